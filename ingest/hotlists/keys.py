"""Plates as integers: exact, sortable, and computed for a whole batch at once.

A plate has at most 12 characters out of 36, so base 37 (0 = no character)
packs it into 63 bits without collisions: 37**12 < 2**63. O counts as 0 and I
as 1, as in `alpr.plates.match_key`; equal integers are equal match keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MAX_LENGTH: Final = 12


def _digits() -> NDArray[np.uint64]:
    table = np.zeros(256, np.uint64)
    for value, character in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", start=1):
        table[ord(character)] = value
    table[ord("O")] = table[ord("0")]
    table[ord("I")] = table[ord("1")]
    return table


_DIGITS: Final = _digits()


def plate_keys(plates: Sequence[str]) -> NDArray[np.uint64]:
    """One uint64 a plate, shape (n,); plates must be canonical (`alpr.plates.is_canonical`)."""
    if not len(plates):
        return np.empty(0, np.uint64)
    characters = np.array(plates, dtype=f"S{MAX_LENGTH}").view(np.uint8)
    digits = _DIGITS[characters.reshape(len(plates), MAX_LENGTH)]
    keys = np.zeros(len(plates), np.uint64)
    for column in range(MAX_LENGTH):
        keys = keys * np.uint64(37) + digits[:, column]
    return keys


def column_keys(plates: pa.StringArray) -> NDArray[np.uint64]:
    """The same for an Arrow column without nulls, shape (n,), without a Python object a plate."""
    if not len(plates):
        return np.empty(0, np.uint64)
    _, offsets, data = plates.buffers()
    bounds = np.frombuffer(offsets, np.int32)[plates.offset : plates.offset + len(plates) + 1]
    starts, ends = bounds[:-1], bounds[1:]
    characters = np.frombuffer(data, np.uint8) if data is not None else np.zeros(1, np.uint8)
    last = max(len(characters) - 1, 0)
    keys = np.zeros(len(plates), np.uint64)
    for column in range(MAX_LENGTH):
        place = starts + np.int32(column)
        digit = _DIGITS[characters[np.minimum(place, last)]]
        digit[place >= ends] = 0
        keys = keys * np.uint64(37) + digit
    return keys
