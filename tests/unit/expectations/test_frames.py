"""Numbers beside their past, from hours written straight into the tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from catalog.hours import note_hours, put_camera_hours, put_hit_hours
from catalog.lake import Lake
from catalog.slices import HOUR, HourCount
from expectations.frames import camera_frame, hit_frame, hits_by_camera, hourly
from expectations.past import Past

H = datetime(2026, 11, 20, 14, tzinfo=UTC)
WEEK = timedelta(weeks=1)
PAST = Past(weeks=4, enough=3)


def put(lake: Lake, hour: datetime, cameras: Mapping[str, Mapping[str, Any]]) -> None:
    usual = {"confidence": 0.9, "stateless": 0.1, "frames": 4.0, "delay": 2.0, "ahead": 0.0}
    rows = [
        {
            "hour": hour,
            "agency": "a",
            "camera": name,
            **usual,
            **numbers,
            "last_at": hour + HOUR / 2,
        }
        for name, numbers in cameras.items()
    ]
    if rows:
        put_camera_hours(lake, [hour], pa.Table.from_pylist(rows))
    note_hours(lake, "reads", [HourCount(hour, len(rows), None)])


def weeks(lake: Lake, cameras: Mapping[str, Mapping[str, Any]], count: int = 4) -> None:
    for week in range(1, count + 1):
        put(lake, H - week * WEEK, cameras)


def row(lake: Lake, name: str, past: Past = PAST) -> dict[str, Any]:
    (found,) = (
        each for each in camera_frame(lake, H, past).table().to_pylist() if each["subject"] == name
    )
    return dict(found)


def test_a_usual_hour(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {"one": {"reads": 100}})
    found = row(empty, "a/one")
    assert found["reads"] == found["reads_usual"] == 100
    for measure in ("reads", "confidence", "stateless", "frames", "delay"):
        assert found[f"{measure}_deviation"] == 0
    # No 24 hours of it are known.
    assert found["reads_day_deviation"] is None


@pytest.mark.parametrize(
    ("now", "measure", "expected"),
    [
        ({"reads": 40}, "reads", -6),
        ({"reads": 100, "confidence": 0.78}, "confidence", -6),
        ({"reads": 100, "stateless": 0.31}, "stateless", 7),
        ({"reads": 100, "frames": 2.0}, "frames", -5),
        ({"reads": 100, "delay": -33.0}, "delay", -7),
        ({"reads": 100, "ahead": 1.0}, "reads", 0),
    ],
)
def test_a_camera_that_changed(
    empty: Lake, now: dict[str, Any], measure: str, expected: float
) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {"one": now})
    assert row(empty, "a/one")[f"{measure}_deviation"] == pytest.approx(expected)


def test_a_camera_that_sent_nothing_is_judged_all_the_same(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}, "two": {"reads": 100}})
    put(empty, H, {"two": {"reads": 100}})
    found = row(empty, "a/one")
    assert (found["reads"], found["reads_deviation"]) == (0, -10)
    assert found["confidence"] is found["confidence_deviation"] is None


def test_out_of_service_is_not_expected(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {})
    assert camera_frame(empty, H, PAST, frozenset({"a/one"})).names == ()


def test_a_new_camera_has_too_little_past(empty: Lake) -> None:
    weeks(empty, {"old": {"reads": 100}})
    for week in (1, 2):
        put(empty, H - week * WEEK, {"old": {"reads": 100}, "new": {"reads": 100}})
    put(empty, H, {"old": {"reads": 100}, "new": {"reads": 5}})
    assert row(empty, "a/new")["reads_deviation"] is None
    # In the weeks before its first read it did not send nothing: it was not there.
    assert row(empty, "a/new", Past(weeks=4, enough=2))["reads_usual"] == 100
    assert row(empty, "a/old")["reads_deviation"] == 0


def test_a_week_that_nobody_looked_at_is_not_a_week_of_silence(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}}, count=3)
    put(empty, H, {"one": {"reads": 100}})
    assert row(empty, "a/one")["reads_usual"] == 100
    assert row(empty, "a/one", Past(weeks=4, enough=4))["reads_deviation"] is None
    put(empty, H - 4 * WEEK, {})  # looked at, and the camera was not there yet
    assert row(empty, "a/one", Past(weeks=4, enough=4))["reads_deviation"] is None


def test_few_reads_say_nothing_of_their_mean(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {"one": {"reads": 19, "confidence": 0.1, "ahead": 1.0}})
    found = row(empty, "a/one")
    assert found["confidence"] is found["confidence_deviation"] is found["ahead"] is None


def test_a_quiet_camera_is_missed_after_a_day(empty: Lake) -> None:
    for week in range(5):
        for back in range(24):
            hour = H - week * WEEK - back * HOUR
            put(empty, hour, {"quiet": {"reads": 3}} if week else {})
    found = row(empty, "a/quiet")
    # 3 an hour and none now may be chance, 72 a day and none is not.
    assert found["reads_deviation"] == pytest.approx(-np.sqrt(3))
    assert (found["reads_day"], found["reads_day_usual"]) == (0, 72)
    assert found["reads_day_deviation"] == pytest.approx(-np.sqrt(72))


def put_hits(lake: Lake, hour: datetime, camera: str, category: str, hits: int) -> None:
    row = {"hour": hour, "agency": "a", "camera": camera, "category": category, "hits": hits}
    put_hit_hours(lake, [hour], pa.Table.from_pylist([row]))


def test_hit_rates(empty: Lake) -> None:
    for week in range(1, 5):
        # 10 hits of 5,000 reads: 1 of 500.
        put(empty, H - week * WEEK, {"one": {"reads": 5000}, "two": {"reads": 500}})
        put_hits(empty, H - week * WEEK, "one", "bolo", 10)
    put(empty, H, {"one": {"reads": 1000}, "two": {"reads": 100}})
    put_hits(empty, H, "one", "bolo", 20)
    found = {each["subject"]: each for each in hit_frame(empty, H, PAST).to_pylist()}
    at_one = found["bolo at a/one"]
    assert (at_one["hits"], at_one["hits_usual"]) == (20, pytest.approx(2))
    assert at_one["hits_deviation"] == pytest.approx(2 * (np.sqrt(20.375) - np.sqrt(2.375)))
    assert found["bolo"]["hits_usual"] == pytest.approx(1100 * 10 / 5500)


def test_hits_without_reads_to_take_a_rate_from_are_not_judged(empty: Lake) -> None:
    put(empty, H, {"one": {"reads": 1000}})
    put_hits(empty, H, "one", "bolo", 20)
    for each in hit_frame(empty, H, PAST).to_pylist():
        assert each["hits"] == 20
        assert each["hits_deviation"] is None


def test_hours_in_a_row(empty: Lake) -> None:
    put(empty, H, {"one": {"reads": 5}})
    put(empty, H + 2 * HOUR, {"one": {"reads": 7}})
    series = hourly(empty, H - HOUR, 4)
    assert np.array_equal(series["a/one"], [np.nan, 5, np.nan, 7], equal_nan=True)
    put_hits(empty, H, "one", "bolo", 2)
    assert hits_by_camera(empty, H, H + HOUR) == {"a/one": 2}
    assert hits_by_camera(empty, H + HOUR, H + 2 * HOUR) == {}
