"""What the lake holds of an hour, against the same worked out from the records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from catalog.lake import Lake
from catalog.slices import HOUR
from expectations.measures import measure_cameras, measure_hits, measure_states
from tests.support.traffic import land_hits, land_reads, reads_of

H = datetime(2026, 11, 20, 14, tzinfo=UTC)


def test_cameras_by_hour(empty: Lake) -> None:
    late = reads_of("a/one", H + HOUR, 4, delay=timedelta(seconds=-3), state=None, confidence=0.5)
    reads = [
        *reads_of("a/one", H, 3, frames=2, confidence=0.6),
        *reads_of("a/one", H, 1, frames=6, confidence=1.0, delay=timedelta(seconds=90), state=None),
        *reads_of("a/two", H, 10),
        *late,
        *reads_of("a/one", H + 2 * HOUR, 2),
    ]
    # Two of the same id: the lake keeps one.
    land_reads(empty, reads, H + 2 * HOUR)
    one, two, later = measure_cameras(empty, H, H + 2 * HOUR).to_pylist()
    assert (one["hour"], one["agency"], one["camera"], one["reads"]) == (H, "a", "one", 3)
    assert (two["camera"], two["reads"]) == ("two", 10)
    assert one["confidence"] == pytest.approx(0.6)
    assert (one["stateless"], one["frames"], one["delay"], one["ahead"]) == (0, 2, 2, 0)
    assert one["last_at"] == H + timedelta(minutes=40)
    assert (later["hour"], later["reads"], later["stateless"]) == (H + HOUR, 4, 1)
    assert (later["delay"], later["ahead"]) == (-3, 1)
    assert measure_cameras(empty, H + 9 * HOUR, H + 10 * HOUR).num_rows == 0


def test_hits_by_hour_camera_and_category(empty: Lake) -> None:
    land_hits(empty, [*reads_of("a/one", H, 3), *reads_of("a/two", H + HOUR, 2)], H + HOUR)
    assert measure_hits(empty, H, H + 2 * HOUR).to_pylist() == [
        {"hour": H, "agency": "a", "camera": "one", "category": "stolen-vehicle", "hits": 3},
        {"hour": H + HOUR, "agency": "a", "camera": "two", "category": "stolen-vehicle", "hits": 2},
    ]
    assert measure_hits(empty, H + 9 * HOUR, H + 10 * HOUR).num_rows == 0


def test_plates_that_fit_no_serial_of_their_state(empty: Lake) -> None:
    reads = [
        *reads_of("a/one", H, 60, plate="1ABC23", state="MA"),
        *reads_of("a/two", H, 40, plate="7ABC123", state="MA"),  # California's form
        *reads_of("a/three", H, 49, plate="ZZZ", state="NY"),  # too few to tell
        *reads_of("a/four", H, 90, plate="ABC123", state="ON"),  # of no known form
        *reads_of("a/five", H, 90, plate="ABC123", state=None),
        *reads_of("a/one", H + HOUR, 90, plate="ZZZ", state="MA"),
    ]
    land_reads(empty, reads, H + 2 * HOUR)
    assert measure_states(empty, H).to_pylist() == [
        {"subject": "MA", "plates": 100, "unfit": 0.4},
        {"subject": "NY", "plates": 49, "unfit": None},
    ]
