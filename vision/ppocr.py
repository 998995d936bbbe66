"""PP-OCRv6 (through the rapidocr package) behind the port: a general text reader as alternative.

It reads any text in the picture and tells no state; what cannot be a plate is
left out. Much slower than the default recogniser; meant for comparison.
"""

from __future__ import annotations

import logging
import threading
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from alpr.errors import ConfigurationError
from alpr.plates import canonical, is_canonical
from vision.port import Box, Image, PlateReading

_DETECTION_SIDE = 960
_SHORTEST, _LONGEST = 2, 8


class PpocrRecogniser:
    """PP-OCRv6 text detection and recognition; one thread at a time."""

    def __init__(self, threads: int = 1) -> None:
        try:
            engine = import_module("rapidocr")
        except ImportError as error:
            raise ConfigurationError(
                "recogniser ppocr needs the rapidocr package, which is not installed: "
                "pip install platelake[ppocr]"
            ) from error
        # The defaults fail on full frames: they look for lines of a scanned page.
        self._engine: Any = engine.RapidOCR(
            params={
                "Global.max_side_len": 2000,
                "Global.text_score": 0.3,
                "Global.use_cls": False,
                "Global.log_level": "warning",
                "Det.limit_side_len": _DETECTION_SIDE,
                "Det.limit_type": "max",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
        logging.getLogger("RapidOCR").setLevel(logging.WARNING)
        self._lock = threading.Lock()
        self._version = f"ppocr-v6-rapidocr-{version('rapidocr')}"

    @property
    def version(self) -> str:
        """`ppocr-v6-rapidocr-` and the version of that package."""
        return self._version

    def read(self, image: Image) -> list[PlateReading]:
        """Read every text that may be a plate, large and certain ones first.

        The engine gives one score a text: it stands for confidence and detection both.
        """
        with self._lock:  # the engine keeps what it was last asked for in itself
            result = self._engine(image, use_det=True, use_cls=False, use_rec=True)
        if result.boxes is None or result.txts is None:
            return []
        readings = [
            _reading(np.asarray(corners, np.float64), text, float(score))
            for corners, text, score in zip(
                result.boxes, map(canonical, result.txts), result.scores, strict=True
            )
            if is_canonical(text) and _SHORTEST <= len(text) <= _LONGEST
        ]
        # A plate carries its serial in the largest letters, beside the state's name and a slogan.
        return sorted(readings, key=lambda reading: -reading.confidence * reading.box.h)

    def read_plate(self, image: Image) -> PlateReading | None:
        """The largest certain text of a picture that is one plate; None if it reads nothing."""
        return next(iter(self.read(image)), None)


def _reading(
    corners: np.ndarray[Any, np.dtype[np.float64]], text: str, score: float
) -> PlateReading:
    x, y = (float(v) for v in corners.min(axis=0))
    w, h = (float(v) for v in np.ptp(corners, axis=0))
    score = min(max(score, 0.0), 1.0)
    return PlateReading(Box(x, y, w, h), text, score, ((text, score),), None, None, score)
