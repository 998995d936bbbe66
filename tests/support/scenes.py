"""Pictures whose content a test decides, and a recogniser that reads just that.

A scene is a number, drawn as the brightness of a square; what is to be read in
it is in a table. So frames go through JPEG, decoding and motion gate as real
ones do, and the readings are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from vision.decode import encode_jpeg
from vision.port import Box, Image, PlateReading

EMPTY = 0
"""The scene without a plate."""

_SQUARE, _STEP = 40, 50


@cache
def picture(scene: int) -> bytes:
    """The JPEG of a scene, 0 to 5, on a grainy road that is the same in all."""
    grain = np.random.default_rng(1).integers(0, 9, (480, 640, 1))
    road = np.linspace(150, 80, 480)[:, None, None] + grain
    image = np.repeat(road, 3, axis=2).astype(np.uint8)
    image[:_SQUARE, :_SQUARE] = scene * _STEP
    return encode_jpeg(image)


def reading(text: str, x: float = 100, confidence: float = 0.9) -> PlateReading:
    """A plate in the middle of the picture, of a size that moves with `x`."""
    box = Box(x, 100, 80, 40)
    return PlateReading(box, text, confidence, ((text, confidence),), "CA", 0.8, 0.9)


class SceneRecogniser:
    """Reads the table's plates of the scene; `version` as engines have one."""

    version = "scenes 1"

    def __init__(self, table: Mapping[int, Sequence[PlateReading]]) -> None:
        self._table = dict(table)

    def read(self, image: Image) -> list[PlateReading]:
        scene = round(float(image[8 : _SQUARE - 8, 8 : _SQUARE - 8].mean()) / _STEP)
        return list(self._table.get(scene, ()))
