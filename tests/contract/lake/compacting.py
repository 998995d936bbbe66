"""Compaction beside its like, beside the purge, and killed: nothing doubled or brought back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from alpr.errors import Fenced, Unavailable
from catalog.check import check_table
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact, lock_of
from catalog.config import LakeConfig
from catalog.files import live_files
from catalog.lake import Lake
from catalog.query import connect
from catalog.retention.lock import LEASE, held
from catalog.retention.purge import PurgeReport, run_purge
from tests.contract.lake.samples import (
    NOW,
    RETENTION,
    InterruptedLake,
    ids_of,
    make_reads,
    no_sleep,
    stage,
    stored_ids,
)

EAGER = CompactionPolicy(open_files=2, closed_files=2)
ENDED = 31
"""So many days ago was captured what class `default` does not keep any more at NOW."""


def land(lake: Lake, *, files: int = 3, days_ago: int = 0, first: int = 0) -> list[str]:
    """Land files of ten reads each; their ids."""
    owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    for number in range(files):
        start = first + 10 * number
        owner.commit([stage(lake, make_reads(10, first=start, days_ago=days_ago), first=start)])
    return ids_of(make_reads(10 * files, first=first, days_ago=days_ago))


def merge(lake: Lake, now: Callable[[], datetime] = lambda: NOW) -> int:
    """The number of files that were merged."""
    done = compact(lake, "reads", NOW.date(), EAGER, sleep=no_sleep, now=now)
    return sum(each.files for each in done)


def purge(lake: Lake) -> PurgeReport:
    lake.retention = RETENTION
    (report,) = run_purge(lake, lambda: NOW, sleep=no_sleep)
    return report


def _nothing() -> None:
    return None


class CompactionContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> InterruptedLake:
        lake = InterruptedLake(config)
        lake.init()
        return lake

    def test_one_at_a_time(self, lake: Lake) -> None:
        ids = land(lake)
        with (
            held(lake, lock_of("reads"), "somebody", lambda: NOW),
            pytest.raises(Unavailable, match="another process"),
        ):
            merge(lake)
        assert len(list(live_files(lake.table("reads")))) == 3
        assert merge(lake) == 3
        assert stored_ids(lake) == ids

    def test_tables_are_locked_apart(self, lake: Lake) -> None:
        land(lake)
        with held(lake, lock_of("hits"), "somebody", lambda: NOW):
            assert merge(lake) == 3

    def test_a_lock_whose_holder_was_killed_lapses(self, lake: Lake) -> None:
        land(lake)
        dead = held(lake, lock_of("reads"), "dead", lambda: NOW)
        dead.__enter__()  # and never leaves it
        with pytest.raises(Unavailable):
            merge(lake)
        assert merge(lake, lambda: NOW + LEASE) == 3

    def test_one_that_slept_through_its_lease_is_fenced(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """It has merged its files already when another one does the same and lands first."""
        ids = land(lake)

        def another() -> None:
            assert merge(Lake(config), lambda: NOW + LEASE + timedelta(seconds=1)) == 3

        lake.after_load += [_nothing, another]  # the plan's look at the table, the swap's
        with pytest.raises(Fenced, match="taken over"):
            merge(lake)
        assert stored_ids(lake) == ids
        assert len(list(live_files(lake.table("reads")))) == 1

    def test_a_purge_between_merge_and_swap_wins(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """Swapping the merged file in would bring rows back into a day that is purged."""
        kept = land(lake)
        land(lake, days_ago=ENDED, first=30)
        reports: list[PurgeReport] = []
        lake.after_load += [_nothing, lambda: reports.append(purge(Lake(config)))]
        merge(lake)
        assert sum(each.rows for each in reports[0].ended) == 30
        assert stored_ids(lake) == kept
        assert reports[0].others["strays"] == 1  # the merged file, which nothing ever named
        assert not any("2026-10-20" in item.uri for item in lake.store.list(lake.config.warehouse))

    def test_a_merge_between_plan_and_swap_of_a_purge_goes_with_its_day(
        self, lake: Lake, config: LakeConfig
    ) -> None:
        kept = land(lake)
        land(lake, days_ago=ENDED, first=30)
        merged: list[int] = []

        def on_step(step: str) -> None:
            if step.startswith("swap reads") and not merged:
                merged.append(merge(Lake(config)))

        lake.retention = RETENTION
        (report,) = run_purge(lake, lambda: NOW, sleep=no_sleep, on_step=on_step)
        assert merged == [6]
        assert [(each.rows, each.files) for each in report.ended] == [(30, 1)]
        assert report.ok
        assert stored_ids(lake) == kept
        assert not any("2026-10-20" in item.uri for item in lake.store.list(lake.config.warehouse))
        with connect(lake) as connection:
            assert connection.sql("SELECT count(*) FROM reads").fetchall() == [(30,)]
        assert check_table(lake, "reads").problems == ()
