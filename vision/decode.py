"""JPEG in and out, with every check before a byte is decoded.

Reasons of `BadInput`, stable for counting: `not-a-jpeg`, `jpeg-truncated`,
`jpeg-damaged`, `jpeg-unsupported`, `image-too-large`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from alpr.errors import BadInput
from vision.port import Box, Image

MAX_SIDE = 8192
MAX_PIXELS = 40_000_000

HALVE_FROM = 7680
"""Long side in pixels from which a picture is decoded at half size.

The detector works at 640: the smallest plate it can find (about 16 pixels
there) is still about 100 pixels wide at half size, and the reader's input is
128 wide, so a sixth of the memory and a third of the time are saved for free.
"""

_START, _END = b"\xff\xd8", b"\xff\xd9"
_PNG_START = b"\x89PNG\r\n\x1a\n"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive; Huffman coded
_SCAN = 0xDA
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_CROP_LONG_SIDE = 192
_OVERVIEW_LONG_SIDE = 640
_CROP_BYTES, _OVERVIEW_BYTES = 4_000, 30_000
_QUALITIES = (80, 65, 50, 35, 20)


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What the frame header of a JPEG says; `components` is 1 (grey), 3 (colour) or 4 (CMYK)."""

    width: int
    height: int
    components: int


def check_jpeg(data: bytes) -> JpegHeader:
    """Look at the markers of a JPEG (ITU-T T.81, annex B) without decoding it.

    Raises:
        BadInput: `not-a-jpeg`, `jpeg-truncated` (it ends before its end marker),
            `jpeg-damaged`, `jpeg-unsupported` (lossless, arithmetic or 12 bit),
            `image-too-large` (over MAX_SIDE or MAX_PIXELS).
    """
    if not data.startswith(_START):
        raise BadInput("not-a-jpeg", f"a JPEG begins with FFD8; got {data[:4].hex() or 'no bytes'}")
    header: JpegHeader | None = None
    at = 2
    while True:
        if at + 4 > len(data):
            raise BadInput("jpeg-truncated", f"{len(data)} bytes end inside the headers")
        if data[at] != 0xFF:
            raise BadInput("jpeg-damaged", f"a marker must be at byte {at}; got {data[at]:02x}")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _FRAME_HEADERS:
            header = _frame_header(marker, data[at + 4 : at + 2 + length])
        at += 2 + length
        if marker == _SCAN:
            break
    if header is None:
        raise BadInput("jpeg-damaged", "a scan comes before the frame header")
    # Entropy-coded data writes FF as FF00, so a real end marker cannot occur inside it.
    if data.find(_END, at) < 0:
        raise BadInput("jpeg-truncated", f"{len(data)} bytes without an end marker")
    return header


def decode(data: bytes) -> Image:
    """The picture in a JPEG, height x width x 3, blue-green-red, upright as its EXIF says.

    Pictures with a long side of HALVE_FROM or more come at half size.

    Raises:
        BadInput: see `check_jpeg`; also `jpeg-damaged` where decoding fails.
    """
    header = check_jpeg(data)
    halve = max(header.width, header.height) >= HALVE_FROM
    return decode_as(data, cv2.IMREAD_REDUCED_COLOR_2 if halve else cv2.IMREAD_COLOR)


def decode_file(data: bytes) -> Image:
    """A picture a person hands in: JPEG as `decode` takes it, or PNG within the same limits.

    Raises:
        BadInput: see `decode`; `png-damaged` for a PNG that cannot be decoded.
    """
    if not data.startswith(_PNG_START):
        return decode(data)
    # The first chunk is always the header: width and height follow its length and name.
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    _check_size(width, height)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise BadInput("png-damaged", f"{len(data)} bytes cannot be decoded")
    return np.asarray(image, np.uint8)


def encode_crop(image: Image, box: Box) -> bytes:
    """The plate with some surroundings as a JPEG of at most about 4 kB.

    Raises:
        BadInput: `empty-box` when the box lies outside the picture.
    """
    height, width = image.shape[:2]
    left, right = max(0, int(box.x - 0.15 * box.w)), min(width, int(box.x + 1.15 * box.w) + 1)
    top, bottom = max(0, int(box.y - 0.3 * box.h)), min(height, int(box.y + 1.3 * box.h) + 1)
    if right <= left or bottom <= top:
        raise BadInput("empty-box", f"box {box} lies outside a picture of {width} x {height}")
    return _encode(image[top:bottom, left:right], _CROP_LONG_SIDE, _CROP_BYTES)


def encode_overview(image: Image) -> bytes:
    """The whole scene as a JPEG of at most about 30 kB, long side 640 pixels or less."""
    return _encode(image, _OVERVIEW_LONG_SIDE, _OVERVIEW_BYTES)


def encode_jpeg(image: Image, quality: int = 90) -> bytes:
    """The picture as a JPEG of the given quality, 1 to 100."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise BadInput("not-encodable", f"a picture of shape {image.shape} cannot be a JPEG")
    return data.tobytes()


def _encode(image: Image, long_side: int, most: int) -> bytes:
    """Shrink to `long_side`, then the best quality that stays within `most` bytes."""
    scale = long_side / max(image.shape[:2])
    if scale < 1:
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = b""
    for quality in _QUALITIES:
        data = encode_jpeg(image, quality)
        if len(data) <= most:
            break
    return data


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise BadInput(
            "image-too-large",
            f"at most {MAX_SIDE} pixels a side and {MAX_PIXELS} in all; got {width} x {height}",
        )


def _frame_header(marker: int, body: bytes) -> JpegHeader:
    if len(body) < 6:
        raise BadInput("jpeg-truncated", "the frame header is cut off")
    precision, components = body[0], body[5]
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if marker not in _DECODABLE or precision != 8 or components not in (1, 3, 4):
        raise BadInput(
            "jpeg-unsupported",
            "only 8-bit baseline, extended and progressive JPEG of 1, 3 or 4 components is read; "
            f"got marker {marker:02x}, {precision} bits, {components} components",
        )
    if width == 0 or height == 0:
        raise BadInput("jpeg-damaged", f"the frame header says {width} x {height} pixels")
    _check_size(width, height)
    return JpegHeader(width, height, components)


def decode_as(data: bytes, flags: int) -> Image:
    """Checked JPEG bytes through OpenCV with its IMREAD flags; raises `jpeg-damaged`."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise BadInput("jpeg-damaged", f"the decoder refuses it: {error.err}") from error
    if image is None:
        raise BadInput("jpeg-damaged", f"{len(data)} bytes cannot be decoded")
    return np.asarray(image, np.uint8)
