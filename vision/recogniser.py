"""The default recogniser: own detector, own reader, one picture at a time."""

from __future__ import annotations

import cv2

from vision.calibration import chance_right
from vision.detector import Detector
from vision.onnx import load, model_version, open_session
from vision.port import Box, Image, PlateReading
from vision.reader import CropText, Reader
from vision.rectify import box_corners, rectify

MOST_PLATES = 8
"""Plates read in one picture at most."""

SCORE_FLOOR = 0.3
"""Detections below this score are never read."""

_RELATIVE_FLOOR = 0.4


class PlatelakeRecogniser:
    """Detector and reader behind the port; sessions are shared by all threads."""

    def __init__(self, threads: int = 1) -> None:
        cv2.setNumThreads(threads)
        self._detector = Detector(open_session(load("detector"), threads))
        self._reader = Reader(open_session(load("reader"), threads))
        self._version = f"platelake-{model_version('detector')}-{model_version('reader')}"

    @property
    def version(self) -> str:
        """`platelake-` and the checksums of both models."""
        return self._version

    def read(self, image: Image) -> list[PlateReading]:
        """Read every plate found, best (detection score x text probability) first."""
        found = self._detector.find(image, MOST_PLATES, SCORE_FLOOR)
        if not found:
            return []
        # Beside a sure plate the faint ones are noise: reading them costs only time.
        floor = found[0].score * _RELATIVE_FLOOR
        found = [plate for plate in found if plate.score >= floor]
        texts = self._reader.read([rectify(image, plate.corners) for plate in found])
        readings = [
            _reading(plate.box, plate.score, text) for plate, text in zip(found, texts, strict=True)
        ]
        return sorted(readings, key=_rank, reverse=True)

    def read_plate(self, image: Image) -> PlateReading | None:
        """Read a picture that is a plate and nothing else; None if it reads nothing."""
        height, width = image.shape[:2]
        whole = Box(0, 0, width, height)
        (text,) = self._reader.read([rectify(image, box_corners(whole))])
        return _reading(whole, 1.0, text) if text.candidates[0][0] else None


def _reading(box: Box, score: float, crop: CropText) -> PlateReading:
    text, probability = crop.candidates[0]
    return PlateReading(
        box=box,
        text=text,
        confidence=chance_right(text, probability, score),
        candidates=crop.candidates,
        state=crop.state if text else None,
        state_confidence=crop.state_probability if text and crop.state else None,
        detection_score=score,
    )


def _rank(reading: PlateReading) -> float:
    """What surely is no text must not come before a plate that is hard to read."""
    return reading.detection_score * reading.candidates[0][1] if reading.text else 0.0
