from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from catalog.config import LakeConfig
from catalog.hours import (
    camera_hours,
    cameras,
    changed,
    done_hour,
    hit_hours,
    hit_sums,
    known_hours,
    note_hours,
    oldest_hour,
    prune_hours,
    put_camera_hours,
    put_hit_hours,
    read_sums,
    seen_sequence,
    waiting_hours,
)
from catalog.lake import Lake
from catalog.quality import prepare
from catalog.slices import HOUR, HourCount

H = datetime(2026, 11, 20, 14, tzinfo=UTC)
LANDED = H + HOUR


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake"))
    lake.init()
    prepare(lake)
    return lake


def camera_rows(*rows: tuple[datetime, str, int]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "hour": hour,
                "agency": camera.partition("/")[0],
                "camera": camera.partition("/")[2],
                "reads": reads,
                "confidence": 0.9,
                "stateless": 0.1,
                "frames": 3.5,
                "delay": 2.0,
                "ahead": None,
                "last_at": hour + timedelta(minutes=30),
            }
            for hour, camera, reads in rows
        ]
    )


def test_an_hour_waits_until_it_is_done_and_again_when_it_changes(lake: Lake) -> None:
    first = HourCount(H, 10, LANDED)
    assert seen_sequence(lake, "reads") == 0
    assert changed(lake, "reads", [first]) == [first]
    note_hours(lake, "reads", [first], sequence=3)
    assert seen_sequence(lake, "reads") == 3
    assert changed(lake, "reads", [first]) == []
    assert waiting_hours(lake, "reads") == [first]
    assert waiting_hours(lake, "hits") == []
    done_hour(lake, "reads", first)
    assert waiting_hours(lake, "reads") == []

    late = HourCount(H, 11, LANDED + HOUR)
    assert changed(lake, "reads", [late]) == [late]
    note_hours(lake, "reads", [late], sequence=4)
    # What was checked is not what is there now.
    done_hour(lake, "reads", first)
    assert waiting_hours(lake, "reads") == [late]


def test_old_hours_of_a_lake_never_looked_at_do_not_wait(lake: Lake) -> None:
    old, young = HourCount(H - 30 * HOUR, 5, LANDED), HourCount(H, 5, LANDED)
    note_hours(lake, "reads", [old, young], 1, check_from=H - 24 * HOUR)
    assert waiting_hours(lake, "reads") == [young]
    assert known_hours(lake, "reads", H - 30 * HOUR, H) == {old.hour}
    assert oldest_hour(lake, "reads") == old.hour
    assert oldest_hour(lake, "hits") is None


def test_many_hours_at_once(lake: Lake) -> None:
    counts = [HourCount(H + number * HOUR, number, None) for number in range(1200)]
    note_hours(lake, "reads", counts, 1)
    assert changed(lake, "reads", counts) == []
    assert len(waiting_hours(lake, "reads")) == 1200


def test_the_numbers_of_an_hour_are_replaced(lake: Lake) -> None:
    put_camera_hours(lake, [H], camera_rows((H, "a/one", 5), (H, "a/two", 7)))
    put_camera_hours(lake, [H + HOUR], camera_rows((H + HOUR, "a/one", 11)))
    # An hour that is not asked for is not touched, though a row of it came along.
    put_camera_hours(lake, [H], camera_rows((H, "a/one", 6), (H + HOUR, "a/one", 99)))
    assert read_sums(lake, H, H + 2 * HOUR) == {"a/one": 17}
    assert read_sums(lake, H, H + HOUR) == {"a/one": 6}
    row = camera_hours(lake, H, H + HOUR).to_pylist()
    assert row == camera_rows((H, "a/one", 6)).to_pylist()
    assert camera_hours(lake, H + 5 * HOUR, H + 6 * HOUR).num_rows == 0


def test_a_camera_keeps_its_first_hour_and_its_last_read(lake: Lake) -> None:
    put_camera_hours(lake, [H], camera_rows((H, "a/one", 5)))
    assert cameras(lake) == {"a/one": (H, H + HOUR / 2)}
    put_camera_hours(lake, [H - HOUR], camera_rows((H - HOUR, "a/one", 5)))
    put_camera_hours(lake, [H + HOUR], camera_rows((H + HOUR, "a/one", 5)))
    assert cameras(lake) == {"a/one": (H - HOUR, H + 3 * HOUR / 2)}


def hit_rows(*rows: tuple[datetime, str, int]) -> pa.Table:
    listed: list[dict[str, Any]] = [
        {"hour": hour, "agency": "a", "camera": "one", "category": category, "hits": hits}
        for hour, category, hits in rows
    ]
    return pa.Table.from_pylist(listed)


def test_hits_by_camera_and_category(lake: Lake) -> None:
    rows = hit_rows((H, "amber", 1), (H, "bolo", 2), (H + HOUR, "bolo", 3))
    put_hit_hours(lake, [H, H + HOUR], rows)
    assert hit_sums(lake, H, H + 2 * HOUR) == {("a/one", "amber"): 1, ("a/one", "bolo"): 5}
    assert hit_hours(lake, H, H + 2 * HOUR)["hits"].to_pylist() == [1, 2, 3]


def test_old_numbers_end_but_not_what_still_waits(lake: Lake) -> None:
    old, waiting = HourCount(H, 5, None), HourCount(H + HOUR, 5, None)
    note_hours(lake, "reads", [old, waiting], 1)
    done_hour(lake, "reads", old)
    put_camera_hours(lake, [H], camera_rows((H, "a/one", 5)))
    put_hit_hours(lake, [H], hit_rows((H, "amber", 1)))
    assert prune_hours(lake, H) == 0
    assert prune_hours(lake, H + 2 * HOUR) == 4  # the hour, its numbers, its hits, the camera
    assert waiting_hours(lake, "reads") == [waiting]
    assert cameras(lake) == {}
