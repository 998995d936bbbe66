"""Which files are merged: enough of them, never one far larger than the rest, bounded output."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyiceberg.manifest import DataFile

from catalog.compact import CompactionPolicy, plan_compaction
from catalog.parquet import ParquetFile, Partition, data_file

TODAY = date(2026, 11, 20)
DAY = (TODAY - date(1970, 1, 1)).days
POLICY = CompactionPolicy(open_files=4, closed_files=3, max_rows=1_000)


def file(rows: int, day: int = DAY, name: str = "default") -> DataFile:
    return data_file(ParquetFile(f"file:///{rows}", Partition(day, name), rows, rows, 0, 0), 0)


def merged(*rows: int, day: int = DAY) -> list[list[int]]:
    plan = plan_compaction((file(n, day) for n in rows), POLICY, TODAY)
    return [[item.record_count for item in files] for _, files in plan]


def test_few_files_are_left_alone() -> None:
    assert merged(1, 1, 1) == []
    assert merged(1, 1, 1, 1) == [[1, 1, 1, 1]]


def test_a_large_file_waits_for_as_many_rows_from_small_ones() -> None:
    assert merged(1, 1, 1, 1, 500) == [[1, 1, 1, 1]]
    assert merged(100, 100, 100, 100, 400) == [[100, 100, 100, 100, 400]]


def test_a_day_that_is_over_becomes_one_file() -> None:
    assert merged(1, 1, 500, day=DAY - 2) == [[1, 1, 500]]
    assert merged(1, 1, 1, day=DAY - 1) == []


def test_partitions_are_merged_apart() -> None:
    files = [file(1, DAY - n % 2, "toll" if n % 4 < 2 else "default") for n in range(16)]
    plan = plan_compaction(files, POLICY, TODAY)
    assert [partition for partition, _ in plan] == [
        Partition(DAY - 1, "default"),
        Partition(DAY - 1, "toll"),
        Partition(DAY, "default"),
        Partition(DAY, "toll"),
    ]


@given(rows=st.lists(st.integers(1, 400), max_size=40), age=st.integers(0, 5))
def test_merging_ends_and_stays_within_bounds(rows: list[int], age: int) -> None:
    """Merge until nothing is due: it ends, loses no row, and no output is too large."""
    left = list(rows)
    rounds = 0
    while plan := merged(*left, day=DAY - age):
        (chosen,) = plan
        assert len(chosen) >= POLICY.closed_files
        assert sum(chosen) <= POLICY.max_rows
        for n in chosen:
            left.remove(n)
        left.append(sum(chosen))
        rounds += 1
    assert sum(left) == sum(rows)
    assert rounds <= len(rows)


@pytest.mark.parametrize("field", ["open_files", "closed_files", "max_rows"])
def test_a_policy_that_merges_nothing_is_refused(field: str) -> None:
    with pytest.raises(ValueError, match="at least two"):
        CompactionPolicy(**{field: 1})
