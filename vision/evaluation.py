"""How well a recogniser reads labelled pictures: one result a picture, then figures over all."""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alpr.errors import BadInput, ConfigurationError
from alpr.plates import canonical, match_key
from vision.decode import decode_file
from vision.port import Box, Image, PlateReader, PlateReading

SURE = 0.5
"""Confidence from which a reading away from every labelled plate counts as a false read."""

_LOCATED_IOU, _ELSEWHERE_IOU = 0.5, 0.1
_BOX_COLUMNS = ("x", "y", "w", "h")


@dataclass(frozen=True, slots=True)
class Label:
    """What one picture shows: its plate ("" for none), where (None: it is the whole picture)."""

    file: str
    plate: str
    box: Box | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was read in one labelled picture, the best reading first, and what it took."""

    label: Label
    readings: tuple[PlateReading, ...]
    wall_ms: float
    cpu_ms: float

    @property
    def best(self) -> PlateReading | None:
        """The reading that counts."""
        return self.readings[0] if self.readings else None

    @property
    def exact(self) -> bool:
        """Whether the best reading is the label to the letter."""
        return self.best is not None and self.best.text == self.label.plate

    @property
    def false_reads(self) -> int:
        """Readings of confidence SURE or more that lie on no labelled plate."""
        box, plate = self.label.box, self.label.plate
        if plate and box is None:
            return 0
        return sum(
            reading.confidence >= SURE
            and (not plate or box is None or reading.box.iou(box) < _ELSEWHERE_IOU)
            for reading in self.readings
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures over labelled pictures; None where the labels do not tell.

    Shares from 0 to 1 are of the pictures that have a plate: `exact` to the
    letter, `folded` with O as 0 and I as 1, `top5` among the candidates of the
    best reading, `located` by any reading with IoU of at least 0.5, `state_top1`
    of those whose state is labelled. Milliseconds are of reading, without
    decoding: wall (median, 95th percentile) and processor (mean).
    `false_reads` counts confident readings that lie on no labelled plate; a
    second vehicle that nobody labelled counts as one.
    """

    n: int
    exact: float | None
    folded: float | None
    top5: float | None
    located: float | None
    state_top1: float | None
    ms_median: float
    ms_p95: float
    cpu_ms: float
    false_reads: int


def read_labels(table: Path, region: str | None = None) -> list[Label]:
    """The labels in a CSV with columns file, plate and, where known, x, y, w, h, state, region.

    With `region` only the rows that have it.

    Raises:
        BadInput: `bad-labels` when a column is missing or a number is none.
    """
    with table.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        missing = {"file", "plate"} - set(rows.fieldnames or ())
        if missing:
            raise BadInput(
                "bad-labels",
                f"{table} must have the columns file and plate; missing: "
                f"{', '.join(sorted(missing))}",
            )
        return [
            _label(table, number, row)
            for number, row in enumerate(rows, 2)
            if region is None or row.get("region") == region
        ]


def evaluate(
    labels: Iterable[Label],
    root: Path,
    recogniser: PlateReader,
    wall: Callable[[], float] = time.perf_counter,
    cpu: Callable[[], float] = time.process_time,
) -> Iterator[Outcome]:
    """Read each labelled picture under `root`; pictures labelled without a box are one plate.

    Raises:
        ConfigurationError: a picture is not there.
        BadInput: a picture cannot be decoded.
    """
    for label in labels:
        image = _picture(root / label.file)
        whole = label.box is None and label.plate != ""
        wall_start, cpu_start = wall(), cpu()
        if whole:
            reading = recogniser.read_plate(image)
            readings = [reading] if reading else []
        else:
            readings = recogniser.read(image)
        yield Outcome(
            label, tuple(readings), (wall() - wall_start) * 1000, (cpu() - cpu_start) * 1000
        )


def figures(outcomes: list[Outcome]) -> Figures:
    """The figures over all outcomes.

    Raises:
        BadInput: `no-pictures` when there is none.
    """
    if not outcomes:
        raise BadInput("no-pictures", "figures need at least one labelled picture; got none")
    plated = [o for o in outcomes if o.label.plate]
    walls = sorted(o.wall_ms for o in outcomes)
    return Figures(
        n=len(outcomes),
        exact=_share([o.exact for o in plated]),
        folded=_share([_folded(o) for o in plated]),
        top5=_share([_in_top5(o) for o in plated]),
        located=_share([_located(o, o.label.box) for o in plated if o.label.box]),
        state_top1=_share([_state_right(o) for o in plated if o.label.state]),
        ms_median=round(statistics.median(walls), 2),
        ms_p95=round(walls[min(len(walls) - 1, int(0.95 * len(walls)))], 2),
        cpu_ms=round(statistics.fmean(o.cpu_ms for o in outcomes), 2),
        false_reads=sum(o.false_reads for o in outcomes),
    )


def _label(table: Path, line: int, row: Mapping[str, str | None]) -> Label:
    texts = [(row.get(column) or "").strip() for column in _BOX_COLUMNS]
    try:
        box = Box(*(float(text) for text in texts)) if all(texts) else None
    except ValueError as error:
        raise BadInput(
            "bad-labels", f"{table} line {line}: x, y, w and h must be numbers"
        ) from error
    state = (row.get("state") or "").strip().upper() or None
    return Label((row["file"] or "").strip(), canonical(row["plate"] or ""), box, state)


def _picture(path: Path) -> Image:
    try:
        return decode_file(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"labelled picture {path} is not there; give its folder with --root"
        ) from error


def _share(rights: list[bool]) -> float | None:
    return round(sum(rights) / len(rights), 4) if rights else None


def _folded(outcome: Outcome) -> bool:
    best = outcome.best
    return best is not None and match_key(best.text) == match_key(outcome.label.plate)


def _in_top5(outcome: Outcome) -> bool:
    best = outcome.best
    return best is not None and outcome.label.plate in [text for text, _ in best.candidates[:5]]


def _located(outcome: Outcome, box: Box) -> bool:
    return any(reading.box.iou(box) >= _LOCATED_IOU for reading in outcome.readings)


def _state_right(outcome: Outcome) -> bool:
    return outcome.best is not None and outcome.best.state == outcome.label.state
