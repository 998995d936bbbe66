"""Spellings: how a known text may be written in bytes, and where a spelling occurs."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

MIN_LENGTH: Final = 8
"""Bytes of the shortest needle: fewer occur in compressed data by chance."""


@dataclass(frozen=True)
class Hit:
    """A needle that was found: its number, how it was spelt, and the first byte of it."""

    needle: int
    spelling: str
    at: int


class Needles:
    """Texts to look for in all their spellings. ValueError for one that is too short."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        if short := [len(text) for text in texts if len(text) < MIN_LENGTH]:
            raise ValueError(f"a needle needs {MIN_LENGTH} bytes, one has {min(short)}")
        self._patterns: dict[bytes, tuple[int, str]] = {}
        for number, text in enumerate(texts):
            for name, pattern in spellings(text):
                self._patterns.setdefault(pattern, (number, name))
        self._any = "|".join(
            "".join(f"\\x{byte:02x}" for byte in pattern) for pattern in self._patterns
        )

    def search(self, data: bytes) -> Iterator[Hit]:
        """The first place of each spelling in the data."""
        if not self._patterns or not self._occurs(data):
            return
        for pattern, (number, name) in self._patterns.items():
            at = data.find(pattern)
            if at >= 0:
                yield Hit(number, name, at)

    def _occurs(self, data: bytes) -> bool:
        """Whether any spelling does: one pass for all of them, in RE2, without Python's lock."""
        ends = pa.py_buffer(struct.pack("=qq", 0, len(data)))
        cell = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(data)])
        return bool(pc.match_substring_regex(cell, self._any)[0].as_py())


def spellings(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The byte strings of which one occurs wherever the text is written, by name.

    UTF-8 (and what agrees with it on ASCII: Latin-1, Java's modified UTF-8), its lower case,
    UTF-16 of both orders, hexadecimal of both cases, and base64 in both alphabets at each of
    the three places at which the text can begin in a group, without the characters that depend
    on its neighbours.
    """
    yield "utf-8", text
    if text.lower() != text:
        yield "utf-8, lower case", text.lower()
    try:
        wide = text.decode("ascii")
    except UnicodeDecodeError:
        pass
    else:
        yield "utf-16-le", wide.encode("utf-16-le")
        yield "utf-16-be", wide.encode("utf-16-be")
    yield "hex", text.hex().encode()
    if text.hex().upper() != text.hex():
        yield "hex, upper case", text.hex().upper().encode()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + text)
        first = -(-8 * shift // 6)
        core = encoded[first : (shift + len(text)) * 8 // 6]
        yield f"base64 at {shift}", core
        other = core.translate(bytes.maketrans(b"+/", b"-_"))
        if other != core:
            yield f"base64url at {shift}", other
