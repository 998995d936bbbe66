"""The port of recognition: a picture in, plate readings out.

Jobs know this module only; which engine reads is a name in their settings.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alpr.errors import ConfigurationError

Image: TypeAlias = NDArray[np.uint8]
"""A picture, height x width x 3, channels blue, green, red."""


@dataclass(frozen=True, slots=True)
class Box:
    """An upright rectangle in pixels of the picture: left, top, width, height."""

    x: float
    y: float
    w: float
    h: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, in pixels."""
        return self.x + self.w / 2, self.y + self.h / 2

    def iou(self, other: Box) -> float:
        """Area of the intersection over area of the union, 0 to 1."""
        wide = min(self.x + self.w, other.x + other.w) - max(self.x, other.x)
        high = min(self.y + self.h, other.y + other.h) - max(self.y, other.y)
        if wide <= 0 or high <= 0:
            return 0.0
        both = wide * high
        return both / (self.w * self.h + other.w * other.h - both)


@dataclass(frozen=True, slots=True)
class PlateReading:
    """One plate seen in one picture.

    Attributes:
        box: where the plate is.
        text: the most probable text, canonical; "" if nothing could be read.
        confidence: estimated chance that `text` is right to the letter, 0 to 1.
        candidates: possible texts with the reader's probability (0 to 1), most
            probable first; the first one is `text`.
        state: issuing US state as two capital letters, None if not told.
        state_confidence: probability of `state`, 0 to 1.
        detection_score: how sure the detector is that a plate is there, 0 to 1.
    """

    box: Box
    text: str
    confidence: float
    candidates: tuple[tuple[str, float], ...]
    state: str | None
    state_confidence: float | None
    detection_score: float


class Recogniser(Protocol):
    """Finds and reads the plates of one picture; safe to call from several threads."""

    @property
    def version(self) -> str:
        """Name and version of the engine and its models; travels with every read."""
        ...

    def read(self, image: Image) -> list[PlateReading]:
        """Read every plate found, best (detection score x text probability) first."""
        ...


class PlateReader(Recogniser, Protocol):
    """A recogniser that also reads pictures already cut to one plate."""

    def read_plate(self, image: Image) -> PlateReading | None:
        """Read a picture that is a plate and nothing else; None if it reads nothing."""
        ...


_FACTORIES = {
    "platelake": ("vision.recogniser", "PlatelakeRecogniser"),
    "ppocr": ("vision.ppocr", "PpocrRecogniser"),
}

RECOGNISERS: tuple[str, ...] = tuple(_FACTORIES)
"""Names that `open_recogniser` knows."""

_opened: dict[tuple[str, int], PlateReader] = {}
_opening = threading.Lock()


def open_recogniser(name: str = "platelake", threads: int = 1) -> PlateReader:
    """The recogniser called `name`; one per process and thread count, shared by all callers.

    `threads` is the number of threads inside one inference: 1 gives the most
    frames per second where several workers share a machine.

    Raises:
        ConfigurationError: the name is unknown, or its package is not installed.
        Corrupt: a model file is not the one this version was released with.
    """
    if name not in _FACTORIES:
        raise ConfigurationError(f"recogniser must be one of {', '.join(_FACTORIES)}; got {name!r}")
    if threads < 1:
        raise ConfigurationError(f"threads of a recogniser must be 1 or more; got {threads}")
    with _opening:
        known = _opened.get((name, threads))
        if known is None:
            module, attribute = _FACTORIES[name]
            factory: Callable[[int], PlateReader] = getattr(import_module(module), attribute)
            known = _opened[name, threads] = factory(threads)
        return known
