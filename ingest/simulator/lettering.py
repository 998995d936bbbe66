"""The letters of a plate: strokes of one width with round ends, as embossing dies cut them.

The outlines are this project's own: each glyph is a few centre lines on a grid
four wide and eight high, their corners rounded, drawn with a round pen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]

HEIGHT = 8.0
"""Height of the grid; x runs to the right from 0, y downwards from 0."""
PEN = 1.08
"""Width of the stroke in grid units: about an eighth of the height, as on real plates."""
_FINE = 4
_ROUND = 2.0


class Corner(NamedTuple):
    """A point of a centre line and how far its corner is rounded (0 keeps it sharp)."""

    x: float
    y: float
    radius: float = 0.0


def _line(*points: tuple[float, ...]) -> tuple[Corner, ...]:
    return tuple(Corner(*point) for point in points)


def _ring(left: float, top: float, right: float, bottom: float, r: float) -> tuple[Corner, ...]:
    middle = (left + right) / 2
    return _line(
        (middle, top), (right, top, r), (right, bottom, r), (left, bottom, r), (left, top, r),
        (middle, top),
    )  # fmt: skip


_R = _ROUND
_STEM = _line((0, 0), (0, 8))
_BOWL = _line((0, 0), (4, 0, _R), (4, 4.3, _R), (0, 4.3))

GLYPHS: dict[str, tuple[tuple[Corner, ...], ...]] = {
    "0": (_ring(0, 0, 4, 8, _R),),
    "1": (_line((0.5, 1.7), (2, 0), (2, 8)),),
    "2": (_line((0, 2.2), (0, 0, _R), (4, 0, _R), (4, 3.5, 1.5), (0, 8), (4, 8)),),
    "3": (
        _line((0, 1.9), (0, 0, _R), (4, 0, _R), (4, 3.8, 1.8), (1.5, 3.8)),
        _line((1.5, 3.8), (4, 3.8, 1.8), (4, 8, _R), (0, 8, _R), (0, 6.1)),
    ),
    "4": (_line((3, 8), (3, 0), (0, 5.8), (4.1, 5.8)),),
    "5": (_line((3.8, 0), (0.2, 0), (0.2, 3.3), (4, 3.3, _R), (4, 8, _R), (0, 8, _R), (0, 6.3)),),
    "6": (
        _line((3.9, 1.8), (3.9, 0, _R), (0, 0, _R), (0, 6)),
        _ring(0, 3.5, 4, 8, _R),
    ),
    "7": (_line((0, 0), (4, 0), (1.4, 8)),),
    "8": (_ring(0.25, 0, 3.75, 3.8, 1.7), _ring(0, 3.8, 4, 8, _R)),
    "9": (
        _line((0.1, 6.2), (0.1, 8, _R), (4, 8, _R), (4, 2)),
        _ring(0, 0, 4, 4.5, _R),
    ),
    "A": (_line((0, 8), (2, 0), (4, 8)), _line((0.7, 5.5), (3.3, 5.5))),
    "B": (
        _STEM,
        _line((0, 0), (3.7, 0, 1.8), (3.7, 3.8, 1.8), (0, 3.8)),
        _line((0, 3.8), (4, 3.8, _R), (4, 8, _R), (0, 8)),
    ),
    "C": (_line((4, 2.2), (4, 0, _R), (0, 0, _R), (0, 8, _R), (4, 8, _R), (4, 5.8)),),
    "D": (_STEM, _line((0, 0), (4, 0, _R), (4, 8, _R), (0, 8))),
    "E": (_line((3.9, 0), (0, 0), (0, 8), (3.9, 8)), _line((0, 3.9), (3.1, 3.9))),
    "F": (_line((3.9, 0), (0, 0), (0, 8)), _line((0, 3.9), (3.1, 3.9))),
    "G": (_line((4, 2.2), (4, 0, _R), (0, 0, _R), (0, 8, _R), (4, 8, _R), (4, 4.5), (2.4, 4.5)),),
    "H": (_STEM, _line((4, 0), (4, 8)), _line((0, 3.9), (4, 3.9))),
    "I": (_line((2, 0), (2, 8)),),
    "J": (_line((3.8, 0), (3.8, 8, _R), (0, 8, _R), (0, 5.9)),),
    "K": (_STEM, _line((4, 0), (0, 5)), _line((1.5, 3.3), (4.1, 8))),
    "L": (_line((0, 0), (0, 8), (3.8, 8)),),
    "M": (_line((0, 8), (0, 0), (2.3, 4.8), (4.6, 0), (4.6, 8)),),
    "N": (_line((0, 8), (0, 0), (4, 8), (4, 0)),),
    "O": (_ring(0, 0, 4.5, 8, 2.2),),
    "P": (_STEM, _BOWL),
    "Q": (_ring(0, 0, 4.5, 8, 2.2), _line((2.5, 5.8), (4.6, 8.2))),
    "R": (_STEM, _BOWL, _line((1.9, 4.3), (4.1, 8))),
    "S": (
        _line(
            (4, 2),
            (4, 0, _R),
            (0, 0, _R),
            (0, 3.9, 1.9),
            (4, 3.9, 1.9),
            (4, 8, _R),
            (0, 8, _R),
            (0, 6),
        ),
    ),
    "T": (_line((0, 0), (4.2, 0)), _line((2.1, 0), (2.1, 8))),
    "U": (_line((0, 0), (0, 8, _R), (4, 8, _R), (4, 0)),),
    "V": (_line((0, 0), (2, 8), (4, 0)),),
    "W": (_line((0, 0), (1.2, 8), (2.5, 2.2), (3.8, 8), (5, 0)),),
    "X": (_line((0, 0), (4, 8)), _line((4, 0), (0, 8))),
    "Y": (_line((0, 0), (2, 4.2), (4, 0)), _line((2, 4.2), (2, 8))),
    "Z": (_line((0, 0), (4, 0), (0, 8), (4, 8)),),
    "-": (_line((0.4, 4), (1.6, 4)),),
}
"""Centre lines of A-Z, 0-9 and the hyphen."""


def _rounded(path: tuple[Corner, ...]) -> NDArray[np.float64]:
    """The path as dense points, each rounded corner a quadratic curve."""
    points = [np.array(path[0][:2])]
    for before, corner, after in zip(path, path[1:], path[2:], strict=False):
        here = np.array(corner[:2])
        if corner.radius == 0:
            points.append(here)
            continue
        into, out = np.array(before[:2]) - here, np.array(after[:2]) - here
        start = here + into * min(1.0, corner.radius / float(np.hypot(*into)))
        end = here + out * min(1.0, corner.radius / float(np.hypot(*out)))
        for t in np.linspace(0, 1, 9):
            # The control point lies a little inside the corner: nearer to a circle's arc.
            control = here + 0.06 * (start + end - 2 * here)
            points.append((1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end)
    points.append(np.array(path[-1][:2]))
    return np.array(points)


@lru_cache(maxsize=512)
def _glyph(character: str, height: int, width: float, pen: float) -> Mask:
    paths = [_rounded(path) for path in GLYPHS[character]]
    scale = height * _FINE / (HEIGHT + pen)
    right = max(float(path[:, 0].max()) for path in paths)
    left = min(float(path[:, 0].min()) for path in paths)
    columns = round((right - left) * width * scale + pen * scale)
    columns = -(-columns // _FINE) * _FINE
    mask = np.zeros((height * _FINE, columns), np.uint8)
    stretch = np.array([width * scale, scale])
    origin = np.array([pen / 2 * scale - left * width * scale, pen / 2 * scale])
    lines = [np.round((path * stretch + origin) * 16).astype(np.int32) for path in paths]
    cv2.polylines(mask, lines, False, (255,), max(1, round(pen * scale)), cv2.LINE_AA, shift=4)
    return cv2.resize(mask, (columns // _FINE, height), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )


def stamp(
    text: str, height: int, *, width: float = 1.0, pen: float = PEN, gap: float = 1.25
) -> Mask:
    """The coverage (0 to 255) of `text` in letters `height` pixels high, cut to its edges.

    `width` stretches the letters, `pen` and `gap` (between letters) are in
    grid units. A space is as wide as half a letter. Raises KeyError for a
    character that has no glyph.
    """
    unit = height / (HEIGHT + pen)
    between = np.zeros((height, max(1, round(gap * width * unit))), np.uint8)
    space = np.zeros((height, max(1, round(1.6 * width * unit))), np.uint8)
    parts: list[Mask] = []
    for character in text:
        parts.append(space if character == " " else _glyph(character, height, width, pen))
        parts.append(between)
    return np.ascontiguousarray(np.hstack(parts[:-1]))
