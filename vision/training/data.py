"""The labelled pictures: plates in frames, and single plate crops with their state."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from alpr.errors import ConfigurationError
from alpr.plates import canonical, match_key
from vision.port import Box, Image
from vision.reader import STATES

UNKNOWN_STATE = len(STATES)
"""Class of the state output that stands for "no US state is told"."""

_FRAMES_HEADER = ("file", "region", "x", "y", "w", "h", "plate")
_CROPS_HEADER = ("file", "state", "plate")
REGIONS = ("us", "eu", "br")
"""Where a labelled frame was taken."""


@dataclass(frozen=True, slots=True)
class LabelledFrame:
    """A picture of a vehicle with one labelled plate; the box is in pixels."""

    file: Path
    region: str
    box: Box
    text: str
    fold: int


@dataclass(frozen=True, slots=True)
class LabelledCrop:
    """A picture of nothing but one US plate; `state` is a class of the state output."""

    file: Path
    state: int
    text: str
    fold: int


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """What there is to learn from."""

    frames: tuple[LabelledFrame, ...]
    crops: tuple[LabelledCrop, ...]

    def without(self, fold: int) -> LabelledSet:
        """Everything besides one fold."""
        return LabelledSet(
            tuple(f for f in self.frames if f.fold != fold),
            tuple(c for c in self.crops if c.fold != fold),
        )

    def only(self, fold: int) -> LabelledSet:
        """One fold."""
        return LabelledSet(
            tuple(f for f in self.frames if f.fold == fold),
            tuple(c for c in self.crops if c.fold == fold),
        )


def load(folder: Path, folds: int) -> LabelledSet:
    """Read `frames.csv` and `crops.csv` of `folder`.

    A plate's fold follows from its text (look-alikes folded), so no plate is
    in two folds, however many pictures show it.

    Raises:
        ConfigurationError: the folder, a table, a column or a picture is missing,
            or a row is wrong.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"training needs the folder of labelled pictures; {folder} is not there: name it with "
            "--data (frames.csv, crops.csv and the pictures they list, see docs/recognition.md)"
        )
    frames = tuple(
        LabelledFrame(
            file=_picture(folder, row),
            region=_one_of(row["region"], REGIONS, "region", row),
            box=Box(*(_number(row[key], key, row) for key in "xywh")),
            text=_text(row),
            fold=fold_of(_text(row), folds),
        )
        for row in _rows(folder / "frames.csv", _FRAMES_HEADER)
    )
    crops = tuple(
        LabelledCrop(
            file=_picture(folder, row),
            state=STATES.index(_one_of(row["state"].upper(), STATES, "state", row)),
            text=_text(row),
            fold=fold_of(_text(row), folds),
        )
        for row in _rows(folder / "crops.csv", _CROPS_HEADER)
    )
    return LabelledSet(frames, crops)


def fold_of(text: str, folds: int) -> int:
    """The fold a plate belongs to, 0 to folds - 1; the same on every machine."""
    digest = hashlib.sha256(match_key(text).encode()).digest()
    return int.from_bytes(digest[:8], "big") % folds


def picture(file: Path, longest: int | None = None) -> tuple[Image, float]:
    """A picture as H x W x 3 (BGR) and the factor it was shrunk by (1 or less).

    Raises:
        ConfigurationError: the file is no readable picture.
    """
    image = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigurationError(f"{file} must be a readable picture; OpenCV cannot decode it")
    scale = 1.0
    if longest is not None and max(image.shape[:2]) > longest:
        scale = longest / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(image, dtype=np.uint8), scale


def _rows(file: Path, header: tuple[str, ...]) -> list[dict[str, str]]:
    if not file.is_file():
        raise ConfigurationError(f"the labelled set must have {file.name}; {file} is not there")
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = set(header) - set(reader.fieldnames or ())
        if missing:
            raise ConfigurationError(
                f"{file} must have the columns {', '.join(header)}; "
                f"missing: {', '.join(sorted(missing))}"
            )
        return list(reader)


def _picture(folder: Path, row: dict[str, str]) -> Path:
    file = folder / row["file"]
    if not file.is_file():
        raise ConfigurationError(f"the labels name the picture {row['file']}; {file} is not there")
    return file


def _text(row: dict[str, str]) -> str:
    text = canonical(row["plate"])
    if not text:
        raise ConfigurationError(f"the label of {row['file']} must have a plate text; it is empty")
    return text


def _one_of(value: str, allowed: tuple[str, ...], what: str, row: dict[str, str]) -> str:
    if value not in allowed:
        raise ConfigurationError(
            f"{what} of {row['file']} must be one of {', '.join(allowed)}; got {value!r}"
        )
    return value


def _number(value: str, what: str, row: dict[str, str]) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ConfigurationError(
            f"{what} of {row['file']} must be a number of pixels; got {value!r}"
        ) from error
