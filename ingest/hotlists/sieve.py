"""A sieve before the search: most plates are on no list, and one look at memory says so.

A binary search in twelve million keys waits for memory two dozen times; the sieve's table is a
fortieth of the snapshot and is looked at once for each plate. It lets every listed key through,
and about one in a thousand others, which the search then does not find.

The table is 64-bit words, a power of two of them, at most three keys a word on average. A key's
word and the four bits that it sets there come from one multiplication (Fibonacci hashing).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

KEYS_A_WORD: Final = 3
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_ONE, _LOW = np.uint64(1), np.uint64(63)
_SHIFTS: Final = (np.uint64(0), np.uint64(6), np.uint64(12), np.uint64(18))
_MIX: Final = np.uint64(32)
_PART: Final = 1 << 20


def build(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The table of these keys."""
    words = 1 << max(0, (max(len(keys), 1) - 1) // KEYS_A_WORD).bit_length()
    table = np.zeros(words, np.uint64)
    for begin in range(0, len(keys), _PART):
        word, bits = _places(keys[begin : begin + _PART], words)
        np.bitwise_or.at(table, word, bits)
    return table


def passing(table: NDArray[np.uint64], keys: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Places of the keys that may be listed, ascending; what is left out is surely not."""
    word, bits = _places(keys, len(table))
    return np.flatnonzero((table[word] & bits) == bits)


def _places(keys: NDArray[np.uint64], words: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    mixed = keys * _MULTIPLIER
    mixed ^= mixed >> _MIX
    mixed *= _MULTIPLIER
    bits = _ONE << (mixed & _LOW)
    for shift in _SHIFTS[1:]:
        bits |= _ONE << ((mixed >> shift) & _LOW)
    # The word comes from the upper bits, which are the best mixed, the bits from the lower ones.
    word = (mixed >> np.uint64(24)) & np.uint64(words - 1)
    return word.view(np.int64), bits
