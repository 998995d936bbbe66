"""The numbers that suites of subjects judge: an hour beside its past.

A row is a subject: a camera, a category of hits, a state, a hot list's source. What is not
known has no value, and is then not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from catalog.hours import (
    camera_hours,
    cameras,
    hit_hours,
    hit_sums,
    known_hours,
    read_sums,
)
from catalog.lake import Lake
from catalog.schemas import READS
from catalog.slices import HOUR
from expectations.past import (
    Numbers,
    Past,
    count_deviations,
    deviations,
    rate_deviations,
    usual,
)

ENOUGH_READS: Final = 20
"""Of fewer reads in an hour no mean or share is judged."""

ENOUGH_FOR_RATE: Final = 1000
"""Reads in the past that a hit rate is taken from, at least."""

_DAY: Final = timedelta(hours=24)
_WHOLE_DAY: Final = 20
"""Hours of the 24 that must be known for their sum to count as a day."""

_FLOORS: Final = {"confidence": 0.02, "stateless": 0.03, "delay": 5.0}
"""Least spread of a mean: a share, a share, seconds."""

WHY_NOT: Final = "not enough past: fewer weeks are known than are enough"


@dataclass(frozen=True)
class CameraHour:
    """The numbers of every camera's hour: `names` in order, the rest by column."""

    names: tuple[str, ...]
    columns: Mapping[str, Numbers]

    def table(self) -> pa.Table:
        """As the suite of cameras judges it; NaN becomes no value."""
        return _table(self.names, self.columns)


def camera_frame(
    lake: Lake, hour: datetime, past: Past, out_of_service: frozenset[str] = frozenset()
) -> CameraHour:
    """Each camera's hour beside its past; also cameras that sent nothing.

    Those out of service are left out. Raises Unavailable.
    """
    then = list(past.hours(hour))
    first_hours = {
        name: first
        for name, (first, _) in cameras(lake).items()
        if name not in out_of_service and first <= hour
    }
    names = tuple(sorted(first_hours))
    place = {name: number for number, name in enumerate(names)}
    first = np.array([first_hours[name].timestamp() for name in names])
    now = _hour_columns(lake, hour, place)
    known = [bool(known_hours(lake, READS.name, each, each + HOUR)) for each in then]
    before = [
        _hour_columns(lake, each, place) if there else None
        for each, there in zip(then, known, strict=True)
    ]
    columns: dict[str, Numbers] = {"reads": now["reads"]}
    existed = np.array([first <= each.timestamp() for each in then]).reshape(len(then), len(names))
    reads_then = np.array(
        [np.full(len(names), np.nan) if week is None else week["reads"] for week in before]
    ).reshape(len(then), len(names))
    reads_then[~existed] = np.nan
    columns["reads_deviation"] = count_deviations(now["reads"], reads_then, past.enough)
    columns["reads_usual"] = usual(reads_then, past.enough)[0]

    days = [_day(lake, each, place, first) for each in (hour, *then)]
    columns["reads_day"] = days[0]
    day_past = np.array(days[1:]).reshape(len(then), len(names))
    columns["reads_day_deviation"] = count_deviations(days[0], day_past, past.enough)
    columns["reads_day_usual"] = usual(day_past, past.enough)[0]

    for name in ("confidence", "frames", "stateless", "delay"):
        mean_then = np.array(
            [np.full(len(names), np.nan) if week is None else week[name] for week in before]
        ).reshape(len(then), len(names))
        middle, _ = usual(mean_then, past.enough)
        floor: Numbers | float = np.abs(middle) / 10 if name == "frames" else _FLOORS[name]
        columns[name] = now[name]
        columns[f"{name}_deviation"] = deviations(now[name], mean_then, floor, past.enough)
        columns[f"{name}_usual"] = middle
    columns["ahead"] = now["ahead"]
    return CameraHour(names, columns)


def hit_frame(lake: Lake, hour: datetime, past: Past) -> pa.Table:
    """Hits of each category, over all cameras and at each, beside what the reads would give.

    What is expected is the middle of the past weeks' rates times this hour's reads. Every week
    counts whole, since the hits of one hour are too few to give a rate. Raises Unavailable.
    """
    reads_now = read_sums(lake, hour, hour + HOUR)
    hits_now = hit_sums(lake, hour, hour + HOUR)
    weeks = [
        (hour - timedelta(weeks=number), hour - timedelta(weeks=number - 1))
        for number in range(1, past.weeks + 1)
    ]
    reads_then = [read_sums(lake, start, end) for start, end in weeks]
    hits_then = [hit_sums(lake, start, end) for start, end in weeks]
    found: dict[str, tuple[float, float]] = {}
    for camera, category in {key for week in (hits_now, *hits_then) for key in week}:
        rates = [
            _rate(hits.get((camera, category), 0), reads.get(camera, 0))
            for hits, reads in zip(hits_then, reads_then, strict=True)
        ]
        found[f"{category} at {camera}"] = (
            hits_now.get((camera, category), 0),
            _expected(rates, reads_now.get(camera, 0), past.enough),
        )
    all_reads = [sum(week.values()) for week in reads_then]
    for category in {category for week in (hits_now, *hits_then) for _, category in week}:
        totals = [
            sum(count for (_, each), count in week.items() if each == category)
            for week in (hits_now, *hits_then)
        ]
        rates = [_rate(n, reads) for n, reads in zip(totals[1:], all_reads, strict=True)]
        found[category] = (
            totals[0],
            _expected(rates, sum(reads_now.values()), past.enough),
        )
    names = tuple(sorted(found))
    hits = np.array([found[name][0] for name in names], np.float64)
    expected = np.array([found[name][1] for name in names], np.float64)
    return _table(
        names,
        {
            "hits": hits,
            "hits_usual": expected,
            "hits_deviation": rate_deviations(hits, expected),
        },
    )


def hourly(
    lake: Lake, first: datetime, hours: int, column: str = "reads"
) -> dict[str, list[float]]:
    """A number of every camera for so many hours from `first` on; NaN where it has none."""
    found = camera_hours(lake, first, first + hours * HOUR)
    series: dict[str, list[float]] = {}
    for agency, camera, hour, value in zip(
        *(found[name].to_pylist() for name in ("agency", "camera", "hour", column)), strict=True
    ):
        line = series.setdefault(f"{agency}/{camera}", [float("nan")] * hours)
        line[int((hour - first) / HOUR)] = float("nan") if value is None else value
    return series


def hits_by_camera(lake: Lake, first: datetime, end: datetime) -> dict[str, int]:
    """Hits of all categories by `agency/camera` in the hours of [first, end)."""
    found: dict[str, int] = {}
    rows = hit_hours(lake, first, end)
    for agency, camera, hits in zip(
        *(rows[name].to_pylist() for name in ("agency", "camera", "hits")), strict=True
    ):
        found[f"{agency}/{camera}"] = found.get(f"{agency}/{camera}", 0) + hits
    return found


def _hour_columns(lake: Lake, hour: datetime, place: Mapping[str, int]) -> dict[str, Numbers]:
    """By column a number for each camera: 0 reads and NaN for the rest where it sent nothing."""
    found = camera_hours(lake, hour, hour + HOUR)
    names = [
        f"{agency}/{camera}"
        for agency, camera in zip(
            found["agency"].to_pylist(), found["camera"].to_pylist(), strict=True
        )
    ]
    rows = np.array([number for number, name in enumerate(names) if name in place], np.intp)
    at = np.array([place[name] for name in names if name in place], np.intp)
    columns: dict[str, Numbers] = {}
    for column in ("reads", "confidence", "stateless", "frames", "delay", "ahead"):
        values = np.full(len(place), 0.0 if column == "reads" else np.nan)
        values[at] = found[column].to_numpy(zero_copy_only=False).astype(np.float64)[rows]
        columns[column] = values
    few = columns["reads"] < ENOUGH_READS
    for column in ("confidence", "stateless", "frames", "delay", "ahead"):
        columns[column][few] = np.nan
    return columns


def _day(lake: Lake, hour: datetime, place: Mapping[str, int], first: Numbers) -> Numbers:
    """Reads in the 24 hours that end with this one; NaN where they are not known."""
    start, end = hour + HOUR - _DAY, hour + HOUR
    values = np.full(len(place), np.nan)
    if len(known_hours(lake, READS.name, start, end)) < _WHOLE_DAY:
        return values
    values[first <= start.timestamp()] = 0.0
    for name, reads in read_sums(lake, start, end).items():
        if name in place and first[place[name]] <= start.timestamp():
            values[place[name]] = reads
    return values


def _rate(hits: int, reads: int) -> float:
    return hits / reads if reads >= ENOUGH_FOR_RATE else float("nan")


def _expected(rates: list[float], reads: int, enough: int) -> float:
    middle, _ = usual(np.array(rates, np.float64).reshape(-1, 1), enough)
    return float(middle[0]) * reads


def _table(names: tuple[str, ...], columns: Mapping[str, Numbers]) -> pa.Table:
    arrays = {"subject": pa.array(names, pa.string())}
    for name, values in columns.items():
        arrays[name] = pa.array(values, pa.float64(), mask=~np.isfinite(values))
    return pa.table(arrays)
