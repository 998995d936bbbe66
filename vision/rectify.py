"""Cutting a plate out of a picture by its four corners, upright and at the reader's size."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.port import Box, Image

Corners: TypeAlias = NDArray[np.float64]
"""Corners of a plate in pixels, 4 x 2: top left, top right, bottom right, bottom left."""

WIDTH, HEIGHT = 128, 64
"""Size of a cut plate in pixels, margins included."""

MARGIN_X, MARGIN_Y = 0.05, 0.08
"""Margins beside and above the plate, as shares of its width and height; as in training."""

_SHRINK_FIRST = 1.5
_WHOLE = np.array([1 + 2 * MARGIN_X, 1 + 2 * MARGIN_Y])
_TARGET = (
    (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) + np.array([MARGIN_X, MARGIN_Y]))
    / _WHOLE
    * (WIDTH, HEIGHT)
).astype(np.float32)


def box_corners(box: Box) -> Corners:
    """The corners of an upright box."""
    right, bottom = box.x + box.w, box.y + box.h
    return np.array([[box.x, box.y], [right, box.y], [right, bottom], [box.x, bottom]])


def rectify(image: Image, corners: Corners) -> Image:
    """The plate with a little margin, HEIGHT x WIDTH x 3; parts outside repeat the edge."""
    wide = (np.linalg.norm(corners[1] - corners[0]) + np.linalg.norm(corners[2] - corners[3])) / 2
    shrink = float(wide) * float(_WHOLE[0]) / WIDTH
    reach = (corners.max(axis=0) - corners.min(axis=0)) * 0.2 + 2
    left, top = np.maximum(0, np.floor(corners.min(axis=0) - reach)).astype(int)
    right, bottom = np.ceil(corners.max(axis=0) + reach).astype(int)
    part = image[top:bottom, left:right]
    corners = corners - (left, top)
    if part.size == 0:
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if shrink > _SHRINK_FIRST:
        # Averaging first keeps thin strokes that plain sampling would lose.
        size = (max(1, round(part.shape[1] / shrink)), max(1, round(part.shape[0] / shrink)))
        corners = corners * (size[0] / part.shape[1], size[1] / part.shape[0])
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    # OpenCV counts from the middle of the first pixel, corners from its edge.
    onto = cv2.getPerspectiveTransform((corners - 0.5).astype(np.float32), _TARGET - 0.5)
    return np.asarray(
        cv2.warpPerspective(
            part, onto, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ),
        dtype=np.uint8,
    )
