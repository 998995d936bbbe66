"""Reading plates that are cut out and upright: characters and issuing state."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

import msgspec
import numpy as np
import onnxruntime as ort

from vision.ctc import best_texts
from vision.port import Image

_CANDIDATES = 5

STATES: tuple[str, ...] = msgspec.json.decode(
    (files("vision.models") / "states.json").read_bytes(), type=tuple[str, ...]
)
"""Issuing state of each class of the state output but the last, which is "not told"."""


@dataclass(frozen=True, slots=True)
class CropText:
    """What one crop says; probabilities are the network's own, 0 to 1, best first.

    `state` is None where the plate tells none, as on plates from elsewhere;
    `state_probability` is then that of there being none.
    """

    candidates: tuple[tuple[str, float], ...]
    state: str | None
    state_probability: float


class Reader:
    """Plate reader around one network session."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    def read(self, crops: list[Image]) -> list[CropText]:
        """Read plates as `rectify` gives them in one run of the network."""
        if not crops:
            return []
        batch = np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32)
        log_probs, log_states = self._session.run(None, {"x": batch})
        texts: list[CropText] = []
        for steps, states in zip(log_probs, np.exp(log_states), strict=True):
            best = int(states.argmax())
            candidates = tuple(
                (text, min(1.0, float(np.exp(log_p))))
                for text, log_p in best_texts(steps, _CANDIDATES)
            )
            state = STATES[best] if best < len(STATES) else None
            texts.append(CropText(candidates, state, float(states[best])))
        return texts
