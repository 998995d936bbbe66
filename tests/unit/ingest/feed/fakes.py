"""A sender that keeps what it is given, and a made JPEG with a chosen EXIF block."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import cv2
import numpy as np


class Kept:
    """Keeps messages as (topic, key, value, headers)."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes | None, bytes | None, list[tuple[str, bytes]]]] = []

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        self.messages.append((topic, key, value, list(headers)))


def jpeg(shade: int = 90) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((24, 32, 3), shade, np.uint8))
    assert done
    return data.tobytes()


def with_exif(picture: bytes, texts: dict[int, str], order: str = "<") -> bytes:
    """`picture` with an Exif directory of ASCII entries, by tag."""
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    pointer = struct.pack(order + "HHHII", 1, 0x8769, 4, 1, 26) + b"\0" * 4
    start = 26 + 2 + 12 * len(texts) + 4
    entries, data = struct.pack(order + "H", len(texts)), b""
    for tag, text in sorted(texts.items()):
        raw = text.encode() + b"\0"
        if len(raw) <= 4:
            entries += struct.pack(order + "HHI", tag, 2, len(raw)) + raw.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "HHII", tag, 2, len(raw), start + len(data))
            data += raw
    block = b"Exif\0\0" + header + pointer + entries + b"\0" * 4 + data
    return picture[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + picture[2:]
