"""Landing: exactly once, whatever comes twice, late, out of order or is cut off."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from alpr.errors import Corrupt, Fenced, Unavailable
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.cutoffs import as_properties
from catalog.lake import Lake
from catalog.offsets import OffsetGap, Source, committed_offsets, contiguous
from catalog.swap import MAX_SNAPSHOTS
from tests.contract.lake.samples import (
    DAY,
    NOW,
    InterruptedLake,
    empty_group,
    ids_of,
    make_hit,
    make_read,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
    stored_ids,
)

READS_0 = Source("reads", 0)


def committer(lake: Lake, table: str = "reads", attempts: int = 10) -> Committer:
    return Committer(lake, table, attempts=attempts, now=lambda: NOW, sleep=no_sleep)


class LandingContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> InterruptedLake:
        lake = InterruptedLake(config)
        lake.init()
        return lake

    def test_init_again_changes_nothing(self, lake: Lake) -> None:
        committer(lake).commit([stage(lake, make_reads(3))])
        lake.init()
        assert len(stored_ids(lake)) == 3

    def test_rows_and_offsets_come_together(self, lake: Lake) -> None:
        reads = make_reads(10)
        result = committer(lake).commit([stage(lake, reads)])
        assert (result.rows, result.replayed, result.duplicates) == (10, 0, 0)
        assert stored_ids(lake) == ids_of(reads)
        assert committed_offsets(lake, "reads") == {READS_0: 10} == result.offsets

    def test_every_field_survives(self, lake: Lake) -> None:
        read = make_read(1)
        committer(lake).commit([stage(lake, [read], first=0)])
        (row,) = lake.table("reads").scan().to_arrow().to_pylist()
        for name in read.__struct_fields__:
            if name not in ("candidates", "crop", "overview"):
                assert row[name] == getattr(read, name), name
        assert row["candidates"] == [{"plate": c.plate, "score": c.score} for c in read.candidates]
        assert row["landed_at"] == NOW
        assert [row[f"source_{name}"] for name in ("topic", "partition", "offset")] == [
            "reads",
            0,
            0,
        ]

    def test_hits_land_in_their_table(self, lake: Lake) -> None:
        hits = [make_hit(read) for read in make_reads(5)]
        committer(lake, "hits").commit([stage_hit_group(lake, hits)])
        assert stored_ids(lake, "hits") == sorted(hit.hit_id for hit in hits)
        assert stored_ids(lake, "reads") == []

    def test_a_replayed_group_changes_nothing(self, lake: Lake) -> None:
        group = stage(lake, make_reads(10))
        owner = committer(lake)
        first = owner.commit([group])
        again = owner.commit([group])
        assert first.snapshot_id is not None
        assert again.snapshot_id is None
        assert again.replayed == 10
        assert len(stored_ids(lake)) == 10

    def test_overlapping_offsets_are_trimmed_by_row(self, lake: Lake) -> None:
        reads = make_reads(30)
        owner = committer(lake)
        owner.commit([stage(lake, reads[:20])])
        result = owner.commit([stage(lake, reads[10:30], first=10)])
        assert (result.replayed, result.duplicates, result.rewritten) == (10, 0, 1)
        assert stored_ids(lake) == ids_of(reads)

    def test_overlap_within_one_commit_is_trimmed_too(self, lake: Lake) -> None:
        reads = make_reads(30)
        groups = [stage(lake, reads[10:30], first=10), stage(lake, reads[:20])]
        result = committer(lake).commit(groups)
        assert result.replayed == 10
        assert stored_ids(lake) == ids_of(reads)

    def test_an_id_sent_twice_is_kept_once(self, lake: Lake) -> None:
        """The sender uploads again after a lost answer: same read, other offsets."""
        reads = make_reads(10)
        owner = committer(lake)
        within = owner.commit([stage(lake, reads + reads[:4])])
        across = owner.commit([stage(lake, reads, first=14)])
        after_restart = committer(lake).commit([stage(lake, reads + make_reads(1, first=50), 24)])
        assert [r.duplicates for r in (within, across, after_restart)] == [4, 10, 10]
        assert stored_ids(lake) == ids_of(reads + make_reads(1, first=50))
        assert committed_offsets(lake, "reads") == {READS_0: 35}

    def test_the_same_id_on_two_partitions_is_kept_once(self, lake: Lake) -> None:
        reads = make_reads(10)
        groups = [stage(lake, reads, partition=p) for p in (0, 1)]
        result = committer(lake).commit(groups)
        assert result.duplicates == 10
        assert stored_ids(lake) == ids_of(reads)

    def test_late_reads_of_old_days(self, lake: Lake) -> None:
        old = make_reads(5, days_ago=90)
        owner = committer(lake)
        owner.commit([stage(lake, old)])
        owner.commit([stage(lake, make_reads(5), first=5)])
        late = [
            *make_reads(5, first=100, days_ago=90),
            *old,
            *make_reads(5, first=200, days_ago=30),
        ]
        result = committer(lake).commit([stage(lake, late, first=10)])
        assert result.duplicates == 5
        assert len(stored_ids(lake)) == 20

    def test_classes_lie_apart(self, lake: Lake) -> None:
        mixed = make_reads(5) + make_reads(5, first=10, retention_class="toll")
        result = committer(lake).commit([stage(lake, mixed)])
        assert result.files == 2
        assert lake.table("reads").scan("retention_class = 'toll'").to_arrow().num_rows == 5

    def test_nothing_lands_before_the_cut_off_of_its_class(self, lake: Lake) -> None:
        """A purge between staging and commit: the row would come back to a purged day."""
        owner = committer(lake)
        reads = make_reads(4, days_ago=2) + make_reads(4, first=4, days_ago=1)
        other = make_reads(4, first=8, days_ago=2, retention_class="toll")
        group = stage(lake, reads + other)
        cutoff = as_properties({"default": (DAY - timedelta(days=1)).date()})
        with lake.table("reads").transaction() as transaction:
            transaction.set_properties(cutoff)
        result = owner.commit([group])
        assert (result.rows, result.expired, result.duplicates) == (12, 4, 0)
        assert stored_ids(lake) == ids_of(reads[4:] + other)
        assert owner.offsets == {READS_0: 12}

    def test_a_gap_is_refused_and_named(self, lake: Lake) -> None:
        owner = committer(lake)
        owner.commit([stage(lake, make_reads(10))])
        early = stage(lake, make_reads(10, first=20), first=20)
        with pytest.raises(OffsetGap, match=r"reads/0: committed up to 10, .* starts at 20"):
            owner.commit([early])
        missing = stage(lake, make_reads(10, first=10), first=10)
        ready, waiting = contiguous([early, missing], owner.offsets)
        assert (ready, waiting) == ([missing, early], [])
        owner.commit(ready)
        assert stored_ids(lake) == ids_of(make_reads(30))

    def test_an_unknown_partition_starts_at_zero_unless_told(self, lake: Lake) -> None:
        """Taking the first batch that comes for the start would lose the one still under way."""
        group = stage(lake, make_reads(10, first=100), first=100, partition=1)
        with pytest.raises(OffsetGap, match="committed up to 0"):
            committer(lake).commit([group])
        told = Committer(lake, "reads", starts={Source("reads", 1): 100}, now=lambda: NOW)
        assert told.commit([group]).rows == 10
        ignored = Committer(lake, "reads", starts={Source("reads", 1): 500}, now=lambda: NOW)
        assert ignored.offsets == {Source("reads", 1): 110}

    def test_dead_letters_alone_move_the_offset(self, lake: Lake) -> None:
        owner = committer(lake)
        result = owner.commit([empty_group(0, 40)])
        assert result.snapshot_id is not None
        owner.commit([stage(lake, make_reads(1), first=40)])
        assert committed_offsets(lake, "reads") == {READS_0: 41}

    def test_an_operator_can_step_over_what_the_broker_lost(self, lake: Lake) -> None:
        owner = committer(lake)
        owner.commit([stage(lake, make_reads(2))])
        owner.move_offset(READS_0, 50, "broker disk lost")
        assert owner.commit([stage(lake, make_reads(2, first=50), first=50)]).rows == 2
        assert len(stored_ids(lake)) == 4

    def test_rows_outside_what_their_group_covers_are_refused(self, lake: Lake) -> None:
        group = stage(lake, make_reads(3), first=5)
        wrong = type(group)("reads", group.files, empty_group(5, 7).covered, NOW)
        with pytest.raises(ValueError, match="outside"):
            committer(lake).commit([wrong])

    def test_files_swept_before_their_commit_are_noticed(self, lake: Lake) -> None:
        group = stage(lake, make_reads(3), now=NOW - timedelta(days=2))
        lake.store.delete([group.files[0].file.uri])
        with pytest.raises(Corrupt, match="without its old state"):
            committer(lake).commit([group])

    def test_an_old_committer_is_fenced(self, lake: Lake) -> None:
        old = committer(lake)
        new = committer(lake)
        with pytest.raises(Fenced, match="owned by epoch 2"):
            old.commit([stage(lake, make_reads(5))])
        new.commit([stage(lake, make_reads(5))])
        assert len(stored_ids(lake)) == 5

    def test_a_committer_is_fenced_in_the_middle_of_its_commit(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """The successor takes over, and commits, after the zombie has read the table."""
        zombie = committer(lake)
        group = stage(lake, make_reads(5))
        successors: list[Committer] = []
        lake.after_load.append(lambda: successors.append(committer(Lake(config))))
        with pytest.raises(Fenced):
            zombie.commit([group])
        assert stored_ids(lake) == []
        successors[0].commit([group])
        assert len(stored_ids(lake)) == 5

    def test_a_lost_race_is_decided_anew(self, lake: InterruptedLake, config: LakeConfig) -> None:
        owner = committer(lake)
        for number in range(4):
            owner.commit([stage(lake, make_reads(5, first=number * 5), first=number * 5)])
        policy = CompactionPolicy(open_files=2, closed_files=2)
        lake.after_load.append(lambda: compact(Lake(config), "reads", DAY.date(), policy))
        reads = make_reads(10, first=15)
        result = owner.commit([stage(lake, reads, first=20)])
        assert result.attempts == 2
        assert result.duplicates == 5
        assert stored_ids(lake) == ids_of(make_reads(25))

    def test_a_commit_whose_answer_is_lost_counts_once(self, lake: Lake) -> None:
        owner = committer(lake)
        _interrupt_catalog(lake, after=True)
        result = owner.commit([stage(lake, make_reads(5))])
        assert (result.attempts, result.snapshot_id is None) == (1, False)
        assert owner.commit([stage(lake, make_reads(5), first=5)]).duplicates == 5
        assert len(stored_ids(lake)) == 5

    def test_a_commit_that_never_arrived_is_sent_again(self, lake: Lake) -> None:
        owner = committer(lake)
        _interrupt_catalog(lake, after=False)
        assert owner.commit([stage(lake, make_reads(5))]).attempts == 2
        assert len(stored_ids(lake)) == 5

    def test_a_silent_catalogue_is_given_up(self, lake: Lake) -> None:
        owner = committer(lake, attempts=3)
        _interrupt_catalog(lake, after=False, times=3)
        group = stage(lake, make_reads(5))
        with pytest.raises(Unavailable, match="3 attempts"):
            owner.commit([group])
        assert owner.commit([group]).rows == 5
        assert len(stored_ids(lake)) == 5

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_killed_around_the_swap(
        self, lake: Lake, config: LakeConfig, tmp_path: Path, moment: str
    ) -> None:
        """kill -9 just before or just after the swap; the successor replays the same batch."""
        config.save(tmp_path / "lake.toml")
        worker = subprocess.run(
            [sys.executable, "-m", "tests.contract.lake.doomed", tmp_path / "lake.toml", moment],
            timeout=300,
            check=False,
        )
        assert worker.returncode == -signal.SIGKILL
        landed = {"before": {}, "after": {READS_0: 20}}[moment]
        assert committed_offsets(lake, "reads") == landed
        result = committer(lake).commit([stage(lake, make_reads(20))])
        assert result.replayed == {"before": 0, "after": 20}[moment]
        assert stored_ids(lake) == ids_of(make_reads(20))

    def test_two_processes_race_for_the_table(
        self, lake: Lake, config: LakeConfig, tmp_path: Path
    ) -> None:
        """Both commit the same batches; one is fenced, and every row is there once."""
        config.save(tmp_path / "lake.toml")
        racers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.contract.lake.racer", tmp_path / "lake.toml"]
            )
            for _ in range(2)
        ]
        codes = sorted(racer.wait(timeout=300) for racer in racers)
        assert codes[0] == 0, "nobody finished"
        assert stored_ids(lake) == ids_of(make_reads(200))
        assert committed_offsets(lake, "reads") == {READS_0: 200}

    def test_snapshots_stay_few(self, lake: Lake) -> None:
        owner = committer(lake)
        for number in range(MAX_SNAPSHOTS + 10):
            owner.commit([stage(lake, make_reads(1, first=number), first=number)])
            assert len(lake.table("reads").metadata.snapshots) <= MAX_SNAPSHOTS
        assert stored_ids(lake) == ids_of(make_reads(MAX_SNAPSHOTS + 10))


def _interrupt_catalog(lake: Lake, *, after: bool, times: int = 1) -> None:
    """Let the catalogue's answer to the next commits get lost, after or before they took effect."""
    catalog: Any = lake.catalog
    real = catalog.commit_table
    left = [times]

    def commit_table(*args: object, **kwargs: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            catalog.commit_table = real
        if after:
            real(*args, **kwargs)
        raise OperationalError("COMMIT", None, OSError("connection lost"))

    catalog.commit_table = commit_table
