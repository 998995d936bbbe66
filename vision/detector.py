"""Finding plates: a small network marks plate centres on a map, one cell per 8 x 8 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from vision.port import Box, Image
from vision.rectify import Corners

LONG_SIDE = 640
"""Long side of the network's input in pixels, as it was trained."""

_STRIDE = 8
_PAD_TO = 32
_PAD_GREY = 114
_UNIT_WIDTH, _UNIT_HEIGHT = 32.0, 16.0
_SAME_PLATE_IOU = 0.35
_UPRIGHT = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
_NEIGHBOURS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Detection:
    """A plate with probability-like `score`, 0 to 1.

    `box` is as wide and high as the plate, around its middle; `corners` are the plate's own.
    """

    box: Box
    score: float
    corners: Corners


class Detector:
    """Plate detector around one network session."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def find(self, image: Image, limit: int, floor: float) -> list[Detection]:
        """At most `limit` plates with a score of `floor` or more, best first.

        Boxes are in pixels of `image`; they may reach over its edges, their centres do not.
        """
        tensor, scale = _prepare(image)
        (maps,) = self._session.run(None, {"x": tensor})
        return _peaks(maps[0], scale, image.shape[:2], limit, floor)


def _prepare(image: Image) -> tuple[NDArray[np.float32], float]:
    """Scale to LONG_SIDE, pad right and below with grey; the tensor is 1 x 3 x H x W."""
    height, width = image.shape[:2]
    scale = LONG_SIDE / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, (w, h), interpolation=method)
    padded_h, padded_w = -(-h // _PAD_TO) * _PAD_TO, -(-w // _PAD_TO) * _PAD_TO
    tensor = np.full((1, 3, padded_h, padded_w), _PAD_GREY, np.float32)
    tensor[0, :, :h, :w] = small.transpose(2, 0, 1)
    return tensor, scale


def _peaks(
    maps: NDArray[np.float32], scale: float, size: tuple[int, ...], limit: int, floor: float
) -> list[Detection]:
    """Local maxima of the centre map as boxes.

    `maps` holds, per cell: logit of a plate centre, offset of the centre in
    cells (x, y), log width, log height, and for four corners the difference
    (x, y) from an upright box's corner as a share of the box's size.
    """
    heat = 1 / (1 + np.exp(-maps[0]))
    heat[heat < cv2.dilate(heat, _NEIGHBOURS)] = 0
    rows, columns = np.nonzero(heat >= floor)
    scores = heat[rows, columns]
    found: list[Detection] = []
    for i in np.argsort(-scores, kind="stable"):
        row, column = int(rows[i]), int(columns[i])
        dx, dy, log_w, log_h = (float(v) for v in maps[1:5, row, column])
        w = float(np.exp(np.clip(log_w, -3, 3))) * _UNIT_WIDTH / scale
        h = float(np.exp(np.clip(log_h, -3, 3))) * _UNIT_HEIGHT / scale
        x = (column + 0.5 + dx) * _STRIDE / scale - w / 2
        y = (row + 0.5 + dy) * _STRIDE / scale - h / 2
        box = Box(x, y, w, h)
        if not (0 <= x + w / 2 < size[1] and 0 <= y + h / 2 < size[0]):
            continue  # in the padding
        if all(box.iou(other.box) < _SAME_PLATE_IOU for other in found):
            lean = maps[5:13, row, column].astype(np.float64).reshape(-1, 2)
            corners = (_UPRIGHT + lean) * (w, h) + box.centre
            found.append(Detection(box, float(scores[i]), corners))
        if len(found) == limit:
            break
    return found
