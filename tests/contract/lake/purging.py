"""The purge: what has ended is gone from the stored bytes, what has not is all there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import fastavro
import msgspec
import pytest

from alpr.errors import Fenced, Unavailable
from alpr.records import Read
from catalog.check import check_table
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.cutoffs import read_cutoffs
from catalog.files import live_files, partition_of
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.query import connect
from catalog.retention import journal
from catalog.retention.interlock import as_property
from catalog.retention.lock import LEASE, held
from catalog.retention.purge import LOCK, PurgeReport, run_purge
from tests.contract.lake.samples import (
    DAY,
    NOW,
    RETENTION,
    InterruptedLake,
    ids_of,
    make_hit,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
    stored_ids,
)

DAYS = (0, 10, 22, 31, 40)
"""How many days before DAY the rows were captured; class `toll` keeps 21 days, `default` 30."""


def fill(lake: Lake) -> list[str]:
    """Land rows of every day and class, with images and hits; the ids of the reads that stay."""
    owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    first = 0
    kept: list[Read] = []
    for name, days in (("default", 30), ("toll", 21)):
        for ago in DAYS:
            reads = make_reads(6, first=first, days_ago=ago, retention_class=name, image=True)
            owner.commit([stage(lake, reads, first=first)])
            first += 6
            kept += reads if ago <= days else []
    hits = [make_hit(read) for read in make_reads(6) + make_reads(6, first=18, days_ago=31)]
    Committer(lake, "hits", now=lambda: NOW).commit([stage_hit_group(lake, hits)])
    return ids_of(kept)


def purge(lake: Lake, **options: object) -> list[PurgeReport]:
    lake.retention = RETENTION
    return run_purge(lake, lambda: NOW, sleep=no_sleep, **options)  # type: ignore[arg-type]


def days_in_store(lake: Lake) -> dict[str, set[str]]:
    """Per class every day that any stored address names."""
    found: dict[str, set[str]] = {}
    for item in lake.store.list(lake.config.warehouse):
        parts = dict(part.split("=", 1) for part in item.uri.split("/") if "=" in part)
        day = parts.get("captured_on") or parts.get("day")
        if day:
            name = parts.get("retention_class") or parts["class"]
            found.setdefault(name, set()).add(day)
    return found


def ago(*days: int) -> set[str]:
    return {(DAY.date() - timedelta(days=n)).isoformat() for n in days}


def named_in_metadata(lake: Lake) -> str:
    """Every manifest, list and metadata file in the store, decoded, as one text."""
    texts = []
    for item in lake.store.list(f"{lake.config.warehouse}/alpr"):
        if item.uri.endswith(".avro"):
            with lake.store.open(item.uri) as file:
                texts += [repr(record) for record in fastavro.reader(file)]
    return "\n".join(texts)


class PurgeContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> InterruptedLake:
        lake = InterruptedLake(config)
        lake.init()
        return lake

    def test_what_has_ended_is_gone_and_nothing_else(self, lake: Lake) -> None:
        kept = fill(lake)
        reports: list[PurgeReport] = []
        (report,) = purge(lake, certify=lambda report, _: reports.append(report))
        assert reports == [report]
        assert report.ok
        assert stored_ids(lake) == kept
        assert days_in_store(lake) == {"default": ago(0, 10, 22), "toll": ago(0, 10)}
        assert [(e.table, str(e.partition.date), e.partition.retention_class, e.rows, e.files,
                 e.packs) for e in report.ended] == [
            ("hits", *sorted(ago(31)), "default", 6, 1, 0),
            ("reads", *sorted(ago(40)), "default", 6, 1, 1),
            ("reads", *sorted(ago(40)), "toll", 6, 1, 1),
            ("reads", *sorted(ago(31)), "default", 6, 1, 1),
            ("reads", *sorted(ago(31)), "toll", 6, 1, 1),
            ("reads", *sorted(ago(22)), "toll", 6, 1, 1),
        ]  # fmt: skip
        assert all(e.bytes > 0 and len(e.uris) == e.files + e.packs for e in report.ended)
        for table in ("reads", "hits"):
            assert check_table(lake, table, image_sample=None).problems == ()
            assert len(lake.table(table).metadata.snapshots) == 1
        assert journal.runs(lake) == {}

    def test_no_metadata_names_what_is_gone(self, lake: Lake) -> None:
        fill(lake)
        days = ago(31, 40)
        assert all(day in named_in_metadata(lake) for day in days)
        purge(lake)
        assert not any(day in named_in_metadata(lake) for day in days)

    def test_a_second_engine_counts_what_stays(self, lake: Lake) -> None:
        kept = fill(lake)
        purge(lake)
        with connect(lake) as connection:
            found = connection.sql("SELECT read_id FROM reads ORDER BY 1").fetchall()
            (hits,) = connection.sql("SELECT count(*) FROM hits").fetchall()
        assert ([row[0] for row in found], hits) == (kept, (6,))

    def test_purging_again_changes_nothing(self, lake: Lake) -> None:
        fill(lake)
        purge(lake)
        before = days_in_store(lake)
        (again,) = purge(lake)
        assert (again.ended, again.ok, days_in_store(lake)) == ((), True, before)

    def test_more_days_than_fit_into_one_swap(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.retention.purge._PARTITIONS", 2)
        kept = fill(lake)
        (report,) = purge(lake)
        assert stored_ids(lake) == kept
        assert days_in_store(lake) == {"default": ago(0, 10, 22), "toll": ago(0, 10)}
        assert sum(e.rows for e in report.ended) == 36

    def test_the_cut_offs_say_from_when_on_rows_are_kept(self, lake: Lake) -> None:
        fill(lake)
        purge(lake)
        first = {"default": date(2026, 10, 21), "toll": date(2026, 10, 30)}
        known = read_cutoffs(lake.table("reads"))
        assert {name: known[name] for name in first} == first

    def test_a_longer_policy_does_not_bring_days_back(self, lake: Lake) -> None:
        """A cut-off never moves back: a row landed into a purged day would be all alone there."""
        fill(lake)
        purge(lake)
        before = read_cutoffs(lake.table("reads"))
        run_purge(lake, lambda: NOW - timedelta(days=9), sleep=no_sleep)
        assert read_cutoffs(lake.table("reads")) == before

    def test_staged_leftovers_of_a_closed_day_go_whatever_their_age(self, lake: Lake) -> None:
        fill(lake)
        stage(lake, make_reads(3, first=500, days_ago=35, image=True), first=500)
        (report,) = purge(lake)
        assert report.others["strays"] == 2
        assert days_in_store(lake)["default"] == ago(0, 10, 22)

    def test_what_a_hold_is_still_to_copy_stays(self, lake: Lake) -> None:
        """A registration without a history: nobody knows how to finish it, so it pins its day."""
        fill(lake)
        partition = Partition((DAY.date() - date(1970, 1, 1)).days - 31, "default")
        with lake.table("reads").transaction() as transaction:
            transaction.set_properties(dict(as_property("f" * 32, [partition])))
        (report,) = purge(lake)
        assert not report.ok
        assert [each.hold_id for each in report.unfinished] == ["f" * 32]
        assert report.respected == {"f" * 32: {partition}}
        assert days_in_store(lake)["default"] == ago(0, 10, 22, 31)
        assert check_table(lake, "reads", image_sample=None).problems == ()
        # When the hold is settled the day goes with the next run.
        with lake.table("reads").transaction() as transaction:
            transaction.remove_properties(*as_property("f" * 32, []))
        (report,) = purge(lake)
        assert report.ok
        assert days_in_store(lake)["default"] == ago(0, 10, 22)

    def test_a_closed_day_that_is_held_is_not_compacted(self, lake: Lake) -> None:
        fill(lake)
        partition = Partition((DAY.date() - date(1970, 1, 1)).days - 31, "default")
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
        owner.commit([stage(lake, make_reads(6, first=90, days_ago=31), first=60)])
        with lake.table("reads").transaction() as transaction:
            transaction.set_properties(dict(as_property("f" * 32, [partition])))
        purge(lake)
        eager = CompactionPolicy(open_files=2, closed_files=2)
        assert compact(lake, "reads", NOW.date(), eager, sleep=no_sleep) == []

    def test_a_class_that_no_policy_has_stays_and_is_told(self, lake: Lake) -> None:
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
        owner.commit([stage(lake, make_reads(3, days_ago=31, retention_class="toll"))])
        del lake.retention  # the neutral policy: it has no such class
        (report,) = run_purge(lake, lambda: NOW, sleep=no_sleep)
        assert (report.unknown_classes, report.ok) == (("toll",), False)
        assert len(stored_ids(lake)) == 3

    def test_only_one_purges_at_a_time(self, lake: Lake) -> None:
        with (
            held(lake, LOCK, "somebody", lambda: NOW),
            pytest.raises(Unavailable, match="another process"),
        ):
            purge(lake)
        assert purge(lake)[-1].ok

    def test_a_purge_that_slept_through_its_lease_is_fenced(
        self, lake: Lake, config: LakeConfig
    ) -> None:
        kept = fill(lake)
        later = NOW + LEASE + timedelta(seconds=1)

        def take_over(step: str) -> None:
            if step.startswith("take-out reads"):
                other = Lake(config)
                other.retention = RETENTION
                run_purge(other, lambda: later, sleep=no_sleep)

        with pytest.raises(Fenced, match="taken over"):
            purge(lake, on_step=take_over)
        assert stored_ids(lake) == kept

    def test_who_looked_at_a_state_that_is_purged_looks_again(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """A purge deletes the files of old states: a commit that read one of them failed."""
        kept = fill(lake)
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)  # knows no ids yet
        group = stage(lake, make_reads(6, image=True) + make_reads(5, first=70), first=60)
        lake.after_load.append(lambda: purge(Lake(config)))
        result = owner.commit([group])
        assert (result.attempts, result.duplicates) == (2, 6)
        assert stored_ids(lake) == sorted(kept + ids_of(make_reads(5, first=70)))

    def test_a_purge_costs_the_committer_no_look_at_its_ids(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ends the history that says what happened since the last commit; but it remembers."""
        fill(lake)
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
        owner.commit([stage(lake, make_reads(5, first=70), first=60)])
        purge(lake)
        loads: list[int] = []
        monkeypatch.setattr(owner._index, "_load", loads.append)
        again = owner.commit([stage(lake, make_reads(5, first=70), first=65)])
        assert (again.duplicates, loads) == (5, [])

    def test_a_run_without_anything_due_leaves_old_states_to_their_readers(
        self, lake: Lake
    ) -> None:
        fill(lake)
        purge(lake)
        reader = lake.table("reads")
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
        owner.commit([stage(lake, make_reads(5, first=70), first=60)])
        purge(lake)
        assert reader.scan().to_arrow().num_rows == 30

    def test_landing_and_compaction_go_on_beside_it(self, lake: Lake, config: LakeConfig) -> None:
        kept = fill(lake)
        stop = threading.Event()
        landed: list[Read] = []
        errors: list[Exception] = []

        def beside(work: Callable[[Lake, int], None]) -> threading.Thread:
            def loop() -> None:
                other = Lake(config)
                number = 0
                try:
                    while not stop.wait(0.2):  # the job commits every three seconds
                        work(other, number)
                        number += 1
                except Exception as error:
                    errors.append(error)
                finally:
                    other.close()

            thread = threading.Thread(target=loop)
            thread.start()
            return thread

        owner = Committer(Lake(config), "reads", now=lambda: NOW)

        def land(other: Lake, number: int) -> None:
            reads = make_reads(20, first=1000 + 20 * number)
            owner.commit([stage(other, reads, first=60 + 20 * number)])
            landed.extend(reads)

        def merge(other: Lake, _: int) -> None:
            compact(other, "reads", NOW.date(), CompactionPolicy(open_files=4, closed_files=2))

        threads = [beside(land), beside(merge)]
        try:
            lake.retention = RETENTION
            for _ in range(3):
                (report,) = run_purge(lake, lambda: NOW)
                assert report.ok
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert landed
        assert stored_ids(lake) == sorted(kept + ids_of(landed))
        assert check_table(lake, "reads", image_sample=None).problems == ()

    def test_killed_at_every_moment_one_after_the_other(
        self, lake: Lake, config: LakeConfig, tmp_path: Path
    ) -> None:
        """kill -9 at the first change, the next purge's second, and so on, until one is through."""
        kept = fill(lake)
        config.save(tmp_path / "lake.toml")
        out = tmp_path / "certificates"
        out.mkdir()
        script = [sys.executable, "-m", "tests.contract.lake.doomed_purge"]
        killed = subprocess.check_output([*script, str(tmp_path / "lake.toml"), str(out)])
        assert int(killed) > 20
        assert stored_ids(lake) == kept
        assert days_in_store(lake) == {"default": ago(0, 10, 22), "toll": ago(0, 10)}
        assert not any(day in named_in_metadata(lake) for day in ago(31, 40))
        assert journal.runs(lake) == {}
        for table in ("reads", "hits"):
            assert check_table(lake, table, image_sample=None).problems == ()
        certified = [row for file in out.iterdir() for row in json.loads(file.read_text())]
        assert all(ok for *_, ok in certified)
        assert sorted((table, day, name, rows) for table, day, name, rows, _ in certified) == [
            ("hits", *ago(31), "default", 6),
            ("reads", *ago(40), "default", 6),
            ("reads", *ago(40), "toll", 6),
            ("reads", *ago(31), "default", 6),
            ("reads", *ago(31), "toll", 6),
            ("reads", *ago(22), "toll", 6),
        ]

    def test_the_last_moment_of_a_local_day_and_the_first_of_the_next(self, lake: Lake) -> None:
        """23:59:59.999 on the day that ends now goes with its day; 00:00 stays a day longer."""
        zone = RETENTION.named("toll")
        end = zone.ends_at(date(2026, 10, 30))  # of the first day that is kept at NOW
        midnight = datetime(2026, 10, 31, 4, tzinfo=UTC)  # in New York, in summer time
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
        reads = make_reads(2, retention_class="toll")
        last, first = (
            _at(read, moment)
            for read, moment in zip(
                reads, (midnight - timedelta(milliseconds=1), midnight), strict=True
            )
        )
        owner.commit([stage(lake, [last, first])])
        lake.retention = RETENTION
        run_purge(lake, lambda: end - timedelta(microseconds=1), sleep=no_sleep)
        assert stored_ids(lake) == ids_of([last, first])
        run_purge(lake, lambda: end, sleep=no_sleep)
        assert stored_ids(lake) == ids_of([first])

    def test_only_due_partitions_are_named_by_the_plan(self, lake: Lake) -> None:
        fill(lake)
        purge(lake)
        left = {partition_of(file) for file in live_files(lake.table("reads"))}
        assert left == {
            Partition((DAY.date() - date(1970, 1, 1)).days - n, name)
            for name, days in (("default", (0, 10, 22)), ("toll", (0, 10)))
            for n in days
        }


def _at(read: Read, moment: datetime) -> Read:
    return msgspec.structs.replace(read, captured_at=moment, received_at=moment)
