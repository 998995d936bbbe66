"""What exported networks say of labelled pictures, end to end, on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime as ort

from vision.ctc import best_texts
from vision.detector import Detection, Detector
from vision.onnx import open_session
from vision.port import Box, Image
from vision.reader import STATES
from vision.rectify import Corners, box_corners, rectify
from vision.training.data import UNKNOWN_STATE, LabelledSet, picture
from vision.training.geometry import Quad
from vision.training.metrics import Outcome, light_of

_CANDIDATES = 5
_PLATES = 3
_FLOOR = 0.05
_MET = 0.5  # IoU


class Networks:
    """An exported detector and reader."""

    def __init__(self, detector: Path, reader: Path, threads: int = 1) -> None:
        self._detector = Detector(open_session(detector.read_bytes(), threads))
        self._reader: ort.InferenceSession = open_session(reader.read_bytes(), threads)

    def read(
        self, image: Image, quads: list[Corners]
    ) -> list[tuple[list[tuple[str, float]], int, float]]:
        """Per plate: texts with probabilities, state class, its probability."""
        batch = np.stack([rectify(image, q) for q in quads]).transpose(0, 3, 1, 2)
        texts, states = self._reader.run(None, {"x": batch.astype(np.float32)})
        read = []
        for steps, state in zip(texts, states, strict=True):
            best = int(state.argmax())
            candidates = [
                (t, min(1.0, math.exp(log_p))) for t, log_p in best_texts(steps, _CANDIDATES)
            ]
            read.append((candidates, best, math.exp(float(state[best]))))
        return read

    def find(self, image: Image) -> list[Detection]:
        """The likeliest plates, best first."""
        return self._detector.find(image, _PLATES, _FLOOR)


def outcomes(networks: Networks, labelled: LabelledSet, fold: int) -> list[Outcome]:
    """Every frame end to end and every crop read whole."""
    return [*_frames(networks, labelled, fold), *_crops(networks, labelled, fold)]


def false_reads(networks: Networks, empty: Iterable[Image], least: float) -> int:
    """How many pictures without plates give a text with score x probability of `least`."""
    wrong = 0
    for image in empty:
        found = networks.find(image)
        read = networks.read(image, [d.corners for d in found]) if found else []
        wrong += any(
            bool(texts[0][0]) and d.score * texts[0][1] >= least
            for d, (texts, _, _) in zip(found, read, strict=True)
        )
    return wrong


def detected_quads(detector: Path, labelled: LabelledSet) -> dict[Path, Quad]:
    """Corners of labelled plates that a detector finds where the label says."""
    finder = Detector(open_session(detector.read_bytes(), 1))
    quads = {}
    for frame in labelled.frames:
        image, _ = picture(frame.file)
        met = [d for d in finder.find(image, _PLATES, _FLOOR) if d.box.iou(frame.box) >= _MET]
        if met:
            quads[frame.file] = met[0].corners
    return quads


def _frames(networks: Networks, labelled: LabelledSet, fold: int) -> Iterable[Outcome]:
    for frame in labelled.frames:
        image, _ = picture(frame.file)
        found = networks.find(image)
        read = networks.read(image, [d.corners for d in found]) if found else []
        ranked = sorted(
            zip(found, read, strict=True),
            key=lambda pair: -pair[0].score * pair[1][0][0][1] if pair[1][0][0][0] else 0.0,
        )
        best = ranked[0] if ranked else None
        yield Outcome(
            kind="frame",
            region=frame.region,
            text=frame.text,
            width=frame.box.w,
            light=light_of(_part(image, frame.box)),
            located=any(d.box.iou(frame.box) >= _MET for d in found),
            score=best[0].score if best else 0.0,
            candidates=tuple(best[1][0]) if best else (),
            state=None,
            state_said=_name(best[1][1]) if best else "",
            state_chance=best[1][2] if best else 0.0,
            fold=fold,
        )


def _crops(networks: Networks, labelled: LabelledSet, fold: int) -> Iterable[Outcome]:
    for crop in labelled.crops:
        image, _ = picture(crop.file)
        whole = box_corners(Box(0, 0, image.shape[1], image.shape[0]))
        texts, state, chance = networks.read(image, [whole])[0]
        yield Outcome(
            kind="crop",
            region="us",
            text=crop.text,
            width=float(image.shape[1]),
            light=light_of(image),
            located=True,
            score=1.0,
            candidates=tuple(texts),
            state=STATES[crop.state],
            state_said=_name(state),
            state_chance=chance,
            fold=fold,
        )


def _part(image: Image, box: Box) -> Image:
    y, x = int(max(0, box.y)), int(max(0, box.x))
    return image[y : int(box.y + box.h) + 1, x : int(box.x + box.w) + 1]


def _name(state: int) -> str:
    return "unknown" if state == UNKNOWN_STATE else STATES[state]
