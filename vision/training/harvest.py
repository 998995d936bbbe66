"""Characters and empty plates cut from labelled pictures, so that new serials look real.

A serial is taken apart by connected components of ink; a picture counts as
understood only when there are exactly as many pieces as its label has characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.port import Image
from vision.training.fonts import GLYPH_HEIGHT, Mask

PLATE_WIDTH, PLATE_HEIGHT = 256, 128
"""Every upright plate is kept at this size, whatever its true shape."""

_W, _H = 320, 160  # thresholds below are tuned to this size
_FEWEST_PIECES = 3


@dataclass(frozen=True, slots=True)
class Template:
    """A real plate with its serial painted over.

    `ink` is the serial's colour (BGR), `top` and `height` its band, as shares of
    the plate's height; `group` is a state or a region.
    """

    group: str
    image: Image
    ink: NDArray[np.float64]
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class Harvest:
    """What one plate gave: its characters, their middles (shares of the width), its template."""

    glyphs: tuple[tuple[str, Mask], ...]
    centres: tuple[float, ...]
    template: Template | None


@dataclass(frozen=True, slots=True)
class _Pieces:
    grey: NDArray[np.uint8]
    labels: NDArray[np.int32]
    boxes: NDArray[np.int32]  # per component: x, y, w, h, area
    chosen: list[int]  # from left to right
    top: float
    height: float


def harvest(plate: Image, text: str, group: str, tallest: float = 0.66) -> Harvest:
    """Take apart an upright plate cut to its edge, of any size.

    `tallest` is the greatest height of a character as a share of the plate's.
    """
    method = cv2.INTER_CUBIC if plate.shape[1] < _W else cv2.INTER_AREA
    image = np.asarray(cv2.resize(plate, (_W, _H), interpolation=method), dtype=np.uint8)
    best: _Pieces | None = None
    for pieces in _attempts(image, tallest):
        if best is None or abs(len(pieces.chosen) - len(text)) < abs(len(best.chosen) - len(text)):
            best = pieces
        if len(best.chosen) == len(text):
            break
    if best is None:
        return Harvest((), (), None)
    glyphs: tuple[tuple[str, Mask], ...] = ()
    centres: tuple[float, ...] = ()
    if len(best.chosen) == len(text):
        glyphs = tuple((c, _glyph(best, i)) for c, i in zip(text, best.chosen, strict=True))
        centres = tuple(float(best.boxes[i, 0] + best.boxes[i, 2] / 2) / _W for i in best.chosen)
    template = _template(image, best, group) if len(best.chosen) >= _FEWEST_PIECES else None
    return Harvest(glyphs, centres, template)


def _attempts(image: Image, tallest: float) -> Iterator[_Pieces]:
    """Ways to tell ink from plate: dark or light ink, by grey, red or blue, three thresholds."""
    channels = (cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), image[..., 2], image[..., 0])
    for inverted, channel in product((False, True), channels):
        grey = cv2.GaussianBlur(255 - channel if inverted else channel, (3, 3), 0)
        for offset, block in ((12, 71), (22, 101), (8, 45)):
            ink = cv2.adaptiveThreshold(
                grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, offset
            )
            count, labels, boxes, _ = cv2.connectedComponentsWithStats(ink, connectivity=4)
            likely = [i for i in range(1, count) if _like_character(boxes[i], tallest)]
            if not likely:
                continue
            height = float(np.median([boxes[i, 3] for i in likely]))
            top = float(np.median([boxes[i, 1] for i in likely]))
            slack = 0.14 * height
            row = [
                i
                for i in likely
                if abs(boxes[i, 3] - height) < slack and abs(boxes[i, 1] - top) < slack
            ]
            row.sort(key=lambda i: int(boxes[i, 0]))
            yield _Pieces(
                np.asarray(grey, np.uint8),
                np.asarray(labels, np.int32),
                np.asarray(boxes, np.int32),
                row,
                top,
                height,
            )


def _like_character(box: NDArray[np.int32], tallest: float) -> bool:
    _, y, w, h, area = (int(v) for v in box)
    low = 0.1 if tallest < 0.7 else 0.02
    return (
        0.3 * _H < h < tallest * _H
        and 4 < w < 0.2 * _W
        and y > low * _H
        and y + h < (1 - low / 2) * _H
        and area > 0.12 * w * h
    )


def _glyph(pieces: _Pieces, index: int) -> Mask:
    x, y, w, h, _ = (int(v) for v in pieces.boxes[index])
    x0, y0 = max(0, x - 1), max(0, y - 1)
    mask = (pieces.labels[y0 : y + h + 1, x0 : x + w + 1] == index).astype(np.uint8) * 255
    mask = np.asarray(cv2.GaussianBlur(mask, (3, 3), 0.6), dtype=np.uint8)
    width = max(8, round(mask.shape[1] * GLYPH_HEIGHT / mask.shape[0]))
    return np.asarray(cv2.resize(mask, (width, GLYPH_HEIGHT)), dtype=np.uint8)


def _template(image: Image, pieces: _Pieces, group: str) -> Template:
    """The plate with everything inky in the serial's band painted over from around it."""
    ink = np.isin(pieces.labels, pieces.chosen)
    band = np.zeros((_H, _W), np.uint8)
    y0, y1 = int(max(0, pieces.top - 4)), int(min(_H, pieces.top + pieces.height + 4))
    band[y0:y1, 6 : _W - 6] = 255
    dark = cv2.adaptiveThreshold(
        pieces.grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 71, 6
    )
    mask = cv2.dilate(cv2.bitwise_and(dark, band), np.ones((7, 7), np.uint8))
    mask = cv2.bitwise_and(mask, cv2.dilate(band, np.ones((5, 5), np.uint8)))
    half = (_W // 2, _H // 2)
    painted = cv2.inpaint(
        cv2.resize(image, half),
        cv2.resize(mask, half, interpolation=cv2.INTER_NEAREST),
        5,
        cv2.INPAINT_TELEA,
    )
    share = cv2.GaussianBlur(mask, (5, 5), 0)[..., None] / 255.0
    empty = image * (1 - share) + cv2.resize(painted, (_W, _H)) * share
    small = cv2.resize(
        empty.astype(np.uint8), (PLATE_WIDTH, PLATE_HEIGHT), interpolation=cv2.INTER_AREA
    )
    return Template(
        group,
        np.asarray(small, dtype=np.uint8),
        np.median(image[ink], axis=0).astype(np.float64),
        pieces.top / _H,
        pieces.height / _H,
    )
