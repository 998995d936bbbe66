"""Pictures from a folder, in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from cv2.typing import MatLike

from alpr.errors import BadInput, ConfigurationError
from ingest.codecs import check_frame_size
from ingest.feed import exif

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_QUALITY = 92


class Clock(StrEnum):
    """Where the capture time of a picture comes from."""

    NOW = "now"
    EXIF = "exif"
    """The EXIF entry; a picture without one is refused."""
    FILE = "file"
    """The time the file was last written."""


class Picture(NamedTuple):
    """One picture to be sent; captured_at None means: now, when it is sent."""

    jpeg: bytes
    captured_at: datetime | None


def picture_paths(source: Path) -> list[Path]:
    """The pictures of a folder and its subfolders, or the one file; numbers in names count up.

    Raises ConfigurationError if there are none.
    """
    if source.is_file():
        return [source]
    found = [p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
    if not found:
        raise ConfigurationError(
            f"pictures ({', '.join(sorted(SUFFIXES))}) were required in {source}, none is there"
        )
    return sorted(found, key=lambda path: _natural(str(path.relative_to(source))))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts frame9 before frame10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]


def load(path: Path, clock: Clock, zone: tzinfo = UTC) -> Picture:
    """A picture file as JPEG: a JPEG's bytes as they are, anything else encoded.

    Raises BadInput if it is no picture, too large, or has no capture time where `clock` wants it.
    """
    check_frame_size(path.stat().st_size if path.suffix.lower() in (".jpg", ".jpeg") else 0)
    data = path.read_bytes()
    jpeg = data if data[:3] == b"\xff\xd8\xff" else _encoded(data)
    if clock is Clock.EXIF:
        at = exif.captured_at(data, zone)
        if at is None:
            raise BadInput(
                "no-capture-time", "the picture has no EXIF DateTimeOriginal: use another clock"
            )
        return Picture(jpeg, at)
    if clock is Clock.FILE:
        return Picture(jpeg, datetime.fromtimestamp(path.stat().st_mtime, UTC))
    return Picture(jpeg, None)


def _encoded(data: bytes) -> bytes:
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise BadInput("not-a-picture", f"a picture was required, {len(data)} other bytes came")
    return encode(picture)


def encode(picture: MatLike) -> bytes:
    """A BGR picture, height × width × 3, as JPEG. Raises BadInput if OpenCV cannot."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise BadInput("not-a-picture", f"no JPEG can be made of a picture {picture.shape}")
    return data.tobytes()


def load_all(paths: list[Path], clock: Clock, zone: tzinfo = UTC) -> Iterator[Picture | BadInput]:
    """Each picture in order; a file that cannot be used gives its error instead."""
    for path in paths:
        try:
            yield load(path, clock, zone)
        except BadInput as error:
            yield BadInput(error.reason, f"{path.name}: {error.detail}")
