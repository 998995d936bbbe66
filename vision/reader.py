"""Reading plates: cut the plate out of the picture, then characters and issuing state."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import cv2
import msgspec
import numpy as np
import onnxruntime as ort

from vision.ctc import best_texts
from vision.port import Box, Image

WIDTH, HEIGHT = 128, 64
"""Size of the network's input in pixels."""

# Margins round the box, as in training; others read clearly worse (see the model card).
_MARGIN_X, _MARGIN_Y = 0.05, 0.08
_SHRINK_FIRST = 1.5
_CANDIDATES = 5

STATES: tuple[str, ...] = msgspec.json.decode(
    (files("vision.models") / "states.json").read_bytes(), type=tuple[str, ...]
)
"""Issuing state of each class of the state output: 50 states and DC."""


@dataclass(frozen=True, slots=True)
class CropText:
    """What one crop says; probabilities are the network's own, 0 to 1, best first."""

    candidates: tuple[tuple[str, float], ...]
    state: str
    state_probability: float


class Reader:
    """Plate reader around one network session."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def read(self, crops: list[Image]) -> list[CropText]:
        """Read crops of HEIGHT x WIDTH x 3 in one run of the network."""
        if not crops:
            return []
        batch = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
        log_probs, state_logits = self._session.run(None, {"x": batch})
        chances = np.exp(state_logits - state_logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        texts: list[CropText] = []
        for steps, states in zip(log_probs, chances, strict=True):
            best = int(states.argmax())
            candidates = tuple(
                (text, min(1.0, float(np.exp(log_p))))
                for text, log_p in best_texts(steps, _CANDIDATES)
            )
            texts.append(CropText(candidates, STATES[best], float(states[best])))
        return texts


def cut(image: Image, box: Box) -> Image:
    """The box with a little margin, scaled to HEIGHT x WIDTH x 3.

    Parts outside the picture repeat its edge.
    """
    x0, x1 = box.x - _MARGIN_X * box.w, box.x + (1 + _MARGIN_X) * box.w
    y0, y1 = box.y - _MARGIN_Y * box.h, box.y + (1 + _MARGIN_Y) * box.h
    shrink = (x1 - x0) / WIDTH
    if shrink > _SHRINK_FIRST:
        # Averaging first keeps thin strokes that plain sampling would lose.
        left, top = max(0, int(x0)), max(0, int(y0))
        right, bottom = min(image.shape[1], int(x1) + 1), min(image.shape[0], int(y1) + 1)
        part = image[top:bottom, left:right]
        factor = 1 / shrink
        smaller = cv2.resize(part, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, np.uint8)
        x0, x1 = (x0 - left) / shrink, (x1 - left) / shrink
        y0, y1 = (y0 - top) / shrink, (y1 - top) / shrink
    # Maps crop corners to picture corners; warpAffine with WARP_INVERSE_MAP samples the picture.
    onto = np.array([[(x1 - x0) / WIDTH, 0, x0], [0, (y1 - y0) / HEIGHT, y0]], dtype=np.float64)
    crop = cv2.warpAffine(
        image,
        onto,
        (WIDTH, HEIGHT),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)
