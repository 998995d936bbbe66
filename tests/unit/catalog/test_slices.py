from __future__ import annotations

from datetime import date

import pytest

from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.slices import day_rows, days_of, newest_commit_rows
from tests.contract.lake.samples import DAY, NOW, ids_of, make_reads, no_sleep, stage

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
