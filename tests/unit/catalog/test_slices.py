from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from alpr.records import Read
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.schemas import TABLES
from catalog.slices import (
    HOUR,
    HourCount,
    changed_hours,
    day_rows,
    days_of,
    floor_hour,
    hour_rows,
    newest_commit_rows,
    span_rows,
)
from tests.contract.lake.samples import (
    DAY,
    NOW,
    ids_of,
    make_read,
    make_reads,
    no_sleep,
    stage,
)

TODAY = DAY.date()


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    """Three commits of ten reads each, all of one day."""
    lake = Lake(config)
    lake.init()
    committer = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    for first in (0, 10, 20):
        committer.commit([stage(lake, make_reads(10, first=first), first=first)])
    return lake


def test_new_table_has_no_rows(config: LakeConfig) -> None:
    lake = Lake(config)
    lake.init()
    assert days_of(lake, "reads") == []
    assert not list(day_rows(lake, "reads", TODAY))
    assert not list(newest_commit_rows(lake, "reads"))


def test_a_day_comes_whole_and_in_parts(lake: Lake) -> None:
    (whole,) = day_rows(lake, "reads", TODAY)
    assert sorted(whole["read_id"].to_pylist()) == ids_of(make_reads(30))
    parts = list(day_rows(lake, "reads", TODAY, columns=["read_id"], max_rows=15))
    assert [part.num_rows for part in parts] == [20, 10]
    assert parts[0].column_names == ["read_id"]
    assert not list(day_rows(lake, "reads", date(2026, 1, 1)))


def test_the_newest_commit_is_its_own_rows_only(lake: Lake) -> None:
    (rows,) = newest_commit_rows(lake, "reads")
    assert sorted(rows["read_id"].to_pylist()) == ids_of(make_reads(10, first=20))


def test_the_newest_commit_is_found_behind_a_compaction_and_a_new_owner(lake: Lake) -> None:
    policy = CompactionPolicy(open_files=2, closed_files=2)
    assert compact(lake, "reads", TODAY, policy, sleep=no_sleep)
    Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    (rows,) = newest_commit_rows(lake, "reads")
    assert sorted(rows["read_id"].to_pylist()) == ids_of(make_reads(10, first=20))


def at(moment: datetime, number: int) -> Read:
    return replace(
        make_read(number), captured_at=moment, received_at=moment, read_id=f"{number:032x}"
    )


def land(lake: Lake, *groups: list[Read], now: datetime = NOW) -> None:
    committer = Committer(lake, "reads", now=lambda: now, sleep=no_sleep)
    first = sum(committer.offsets.values())
    for reads in groups:
        committer.commit([stage(lake, reads, first=first, now=now)])
        first += len(reads)


@pytest.fixture
def spread(config: LakeConfig) -> Lake:
    """Reads at the edges of the hour from 12 to 13, and far around, in a file for each."""
    lake = Lake(config)
    lake.init()
    moments = [
        DAY - timedelta(days=3),
        DAY - timedelta(microseconds=1),
        DAY,
        DAY + HOUR / 2,
        DAY + HOUR - timedelta(microseconds=1),
        DAY + HOUR,
        DAY + 9 * HOUR,
    ]
    land(lake, *([at(moment, number)] for number, moment in enumerate(moments)))
    return lake


def numbers(lake: Lake, hour: datetime) -> list[int]:
    return sorted(
        int(text, 16)
        for part in hour_rows(lake, "reads", hour, columns=["read_id"])
        for text in part["read_id"].to_pylist()
    )


def test_an_hour_is_its_own_rows_only(spread: Lake) -> None:
    assert numbers(spread, DAY) == [2, 3, 4]
    assert numbers(spread, DAY + HOUR) == [5]
    assert numbers(spread, DAY + 2 * HOUR) == []
    assert numbers(spread, DAY.astimezone(ZoneInfo("America/New_York"))) == [2, 3, 4]


def test_an_hour_out_of_a_compacted_file(spread: Lake) -> None:
    merged = compact(spread, "reads", TODAY, CompactionPolicy(2, 2), sleep=no_sleep)
    assert [(done.files, done.rows) for done in merged] == [(6, 6)]
    assert numbers(spread, DAY) == [2, 3, 4]
    (rows,) = hour_rows(spread, "reads", DAY)
    assert rows.column_names == TABLES["reads"].arrow.names


def test_files_that_cannot_hold_the_hour_are_not_opened(
    spread: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    store_open = spread.store.open

    def watched(uri: str) -> pa.NativeFile:
        opened.append(uri)
        return store_open(uri)

    monkeypatch.setattr(spread.store, "open", watched)
    assert numbers(spread, DAY) == [2, 3, 4]
    assert len(opened) == 3


def test_row_groups_that_cannot_hold_the_hour_are_not_read(
    config: LakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.parquet.FEWEST_ROWS", 10)
    lake = Lake(config)
    lake.init()
    land(lake, [at(DAY + timedelta(minutes=number), number) for number in range(120)])
    read: list[int] = []
    whole = pq.ParquetFile.read_row_group

    def watched(file: pq.ParquetFile, group: int, columns: list[str]) -> pa.Table:
        read.append(group)
        return whole(file, group, columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", watched)
    assert numbers(lake, DAY + HOUR) == list(range(60, 120))
    assert read == [6, 7, 8, 9, 10, 11]


def test_an_hour_in_parts(spread: Lake) -> None:
    parts = list(hour_rows(spread, "reads", DAY, max_rows=2))
    assert [part.num_rows for part in parts] == [2, 1]


def test_only_whole_hours(spread: Lake) -> None:
    with pytest.raises(ValueError, match="a whole hour is required"):
        hour_rows(spread, "reads", DAY + timedelta(minutes=1))
    assert floor_hour(DAY + timedelta(minutes=59)) == DAY


def test_a_span_ends_before_its_end(spread: Lake) -> None:
    rows = span_rows(spread, "reads", DAY - HOUR, DAY + timedelta(microseconds=1))
    assert sum(part.num_rows for part in rows) == 2


def test_hours_that_change(spread: Lake) -> None:
    newest, counts = changed_hours(spread, "reads", 0)
    assert counts == [
        HourCount(DAY - timedelta(days=3), 1, NOW),
        HourCount(DAY - HOUR, 1, NOW),
        HourCount(DAY, 3, NOW),
        HourCount(DAY + HOUR, 1, NOW),
        HourCount(DAY + 9 * HOUR, 1, NOW),
    ]
    assert changed_hours(spread, "reads", newest) == (newest, [])

    later = NOW + timedelta(days=1)
    land(spread, [at(DAY + timedelta(minutes=3), 100)], now=later)  # a late upload
    after, counts = changed_hours(spread, "reads", newest)
    assert counts == [HourCount(DAY, 4, later)]
    assert after > newest


def test_a_compaction_changes_no_hour(spread: Lake) -> None:
    newest, counts = changed_hours(spread, "reads", 0)
    compact(spread, "reads", TODAY, CompactionPolicy(2, 2), sleep=no_sleep)
    after, again = changed_hours(spread, "reads", newest)
    assert after > newest
    assert set(again) < set(counts)


def test_a_new_table_has_no_hours(config: LakeConfig) -> None:
    lake = Lake(config)
    lake.init()
    assert changed_hours(lake, "reads", 0) == (0, [])
    assert not list(hour_rows(lake, "reads", DAY))
