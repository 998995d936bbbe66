"""What the tests of the recognise job share: cars by scene, frames of them, a job to run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from alpr.records import Frame
from beam_jobs.recognise.transforms import RecogniseConfig, RecognisePasses
from tests.support.records import T0, make_frame
from tests.support.scenes import EMPTY, SceneRecogniser, picture, reading
from vision.passes import PassRules
from vision.port import Recogniser

ABC, XYZ, DIM, UNREADABLE = 1, 2, 3, 4
"""Scenes: a car, another one elsewhere, the first one seen badly, a plate without text."""

TABLE = {
    ABC: [reading("ABC1234")],
    XYZ: [reading("XYZ987", x=220)],
    DIM: [reading("ABC1234", confidence=0.5)],
    UNREADABLE: [reading("", confidence=0.0)],
}


def open_scenes(name: str, threads: int) -> Recogniser:
    return SceneRecogniser(TABLE)


def soon_after_noon() -> float:
    """A clock by which the tests' frames are live."""
    return T0.timestamp() + 1.0


def a_day_later() -> float:
    """A clock by which they are an upload."""
    return T0.timestamp() + 86_400.0


RULES = PassRules(
    gap=timedelta(seconds=1),
    linger=timedelta(seconds=30),
    patience=timedelta(seconds=3),
    agreeing=3,
    sure=0.8,
    floor=0.3,
)
"""The tests' own: the defaults are measured on pictures, and may change."""


def recogniser_of(clock: Any = soon_after_noon, **config: Any) -> RecognisePasses:
    return RecognisePasses(RecogniseConfig(**{"rules": RULES} | config), open_scenes, clock)


def frame(seconds: float, scene: int = EMPTY, **fields: Any) -> Frame:
    """A frame of a mobile camera, whose every picture is read."""
    return make_frame(seconds, **{"camera_kind": "mobile", "jpeg": picture(scene)} | fields)
