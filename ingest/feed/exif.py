"""When a photograph was taken, from the EXIF data of its JPEG.

CIPA DC-008-2023 (Exif 3.0) §4.6: DateTimeOriginal has no zone; OffsetTimeOriginal
gives it where the camera knew; SubSecTimeOriginal holds the fraction.
"""

from __future__ import annotations

import re
import struct
from datetime import UTC, datetime, timedelta, tzinfo

_EXIF_POINTER, _ORIGINAL, _OFFSET, _FRACTION = 0x8769, 0x9003, 0x9011, 0x9291
_ASCII = 2
_DATE = re.compile(r"(\d{4}):(\d{2}):(\d{2}) (\d{2}):(\d{2}):(\d{2})")
_ZONE = re.compile(r"([+-])(\d{2}):(\d{2})")


def captured_at(jpeg: bytes, zone: tzinfo) -> datetime | None:
    """The capture time in UTC; `zone` is used where the camera gave none.

    None if there is no such entry, or one that cannot be understood.
    """
    block = _exif_block(jpeg)
    if block is None:
        return None
    try:
        entries = _entries(block)
    except (struct.error, IndexError):
        return None
    date = _DATE.fullmatch(entries.get(_ORIGINAL, ""))
    if date is None:
        return None
    fraction = re.match(r"\d{1,6}", entries.get(_FRACTION, ""))
    micros = int(fraction.group().ljust(6, "0")) if fraction else 0
    offset = _ZONE.fullmatch(entries.get(_OFFSET, ""))
    try:
        year, month, day, hour, minute, second = (int(part) for part in date.groups())
        local = datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC)
        if offset is None:
            return local.replace(tzinfo=zone).astimezone(UTC)
        sign = 1 if offset[1] == "+" else -1
        ahead = sign * timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return local - ahead
    except (ValueError, OverflowError):
        return None


def _exif_block(jpeg: bytes) -> bytes | None:
    """The TIFF structure in the APP1 segment; None if the file has none."""
    if jpeg[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        marker, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xDA or size < 2:  # the picture begins: no more segments
            return None
        body = jpeg[at + 4 : at + 2 + size]
        if marker == 0xE1 and body[:6] == b"Exif\0\0":
            return body[6:]
        at += 2 + size
    return None


def _entries(block: bytes) -> dict[int, str]:
    """The texts of the Exif directory by tag."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return {}
    (first,) = struct.unpack_from(order + "I", block, 4)
    pointer = _directory(block, order, first).get(_EXIF_POINTER)
    if pointer is None:
        return {}
    found = _directory(block, order, struct.unpack(order + "I", pointer[2])[0])
    texts = {}
    for tag, (kind, count, value) in found.items():
        if kind == _ASCII:
            start = struct.unpack(order + "I", value)[0]
            raw = value[:count] if count <= 4 else block[start : start + count]
            texts[tag] = raw.rstrip(b"\0 ").decode("ascii", "replace")
    return texts


def _directory(block: bytes, order: str, at: int) -> dict[int, tuple[int, int, bytes]]:
    """Entries of one image file directory: tag to (type, count, the four value bytes)."""
    (count,) = struct.unpack_from(order + "H", block, at)
    entries = {}
    for number in range(count):
        tag, kind, items, value = struct.unpack_from(order + "HHI4s", block, at + 2 + 12 * number)
        entries[tag] = (kind, items, value)
    return entries
