"""Holds: copied before anything can go, whatever is killed, and gone when they end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyiceberg.table import Table, Transaction

from alpr.errors import BadInput
from alpr.holds import HeldRecord, HoldState
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.cutoffs import as_properties
from catalog.files import live_files, partition_of
from catalog.images import walk
from catalog.lake import Lake
from catalog.query import connect
from catalog.retention.evidence import check_copies, complete_pending, image_of, purge_evidence
from catalog.retention.evidence_table import rows_of
from catalog.retention.interlock import pending_holds, pinned
from catalog.retention.purge import run_purge
from catalog.retention.selection import Query, select
from catalog.swap import Change, swap
from tests.contract.lake.samples import (
    DAY,
    NOW,
    RETENTION,
    InterruptedLake,
    make_hit,
    make_read,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
    stored_ids,
)
from tests.contract.lake.tasks import LATER, PURPOSE, holds

HELD = [make_read(number, image=True) for number in (3, 4)]
COPY_STEPS = "ask", "register", "pack", "rows", "commit", "say so", "unregister"
END_STEPS = (
    "take rows out",
    "forget old states",
    "delete what they named",
    "delete packs and rows",
    "say so",
)
NEXT = DAY.date() + timedelta(days=1)


def purge_day(lake: Lake, *, heed: bool = True) -> bool:
    """The decisive part of a purge of DAY, in a swap: whether it went through.

    With `heed` it looks at registrations, as the purge must.
    """

    def decide(table: Table) -> Change | None:
        due = [file for file in live_files(table) if partition_of(file).date < NEXT]
        if heed and {partition_of(file) for file in due} & pinned(table):
            return None

        def change(transaction: Transaction, summary: dict[str, str]) -> None:
            transaction.set_properties(as_properties({"default": NEXT}))
            with transaction.update_snapshot(summary).overwrite() as new:
                for file in due:
                    new.delete_data_file(file)

        return change

    return swap(lake, "reads", "purge", decide, attempts=10, sleep=no_sleep).snapshot_id is not None


def die(config: Path, task: str, moment: str, step: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.contract.lake.dying", config, task, moment, str(step)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def stored_bytes(lake: Lake) -> Iterable[tuple[str, bytes]]:
    """Every object of the lake, but for the empty ones that stand for a folder in a bucket."""
    for item in lake.store.list(lake.config.warehouse):
        if item.uri.endswith("/"):
            assert item.size == 0
            continue
        yield item.uri, lake.store.read(item.uri)


class HoldingContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> InterruptedLake:
        """Ten reads with images, and the hit of read 3."""
        lake = InterruptedLake(config)
        lake.init()
        Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, make_reads(10, image=True))])
        hits = [make_hit(make_read(3))]
        Committer(lake, "hits", now=lambda: NOW).commit([stage_hit_group(lake, hits)])
        return lake

    @pytest.fixture
    def path(self, config: LakeConfig, tmp_path: Path) -> Path:
        config.save(tmp_path / "lake.toml")
        return tmp_path / "lake.toml"

    def other(self, config: LakeConfig) -> Lake:
        """A second process's handle."""
        lake = Lake(config)
        lake.retention = RETENTION
        return lake

    def records(self, lake: Lake) -> list[HeldRecord]:
        return select(lake, reads=[read.read_id for read in HELD])

    def assert_held(self, lake: Lake, state: HoldState) -> None:
        """The copies are there, whole, and say the same as what the camera sent."""
        assert state.status(NOW) == "held"
        stored = {row["record_id"]: row for row in check_copies(lake, state.hold.hold_id)}
        for read in HELD:
            row = stored[read.read_id]
            record = json.loads(row["record"])
            assert (record["plate"], record["source_id"]) == (read.plate, read.source_id)
            assert image_of(lake, row, "crop") == read.crop
            assert (None if row["overview"] is None else image_of(lake, row, "overview")) == (
                read.overview
            )
        assert pending_holds(lake.table("reads")) == pending_holds(lake.table("hits")) == {}

    def test_a_held_read_outlives_its_partition(self, lake: InterruptedLake) -> None:
        state = holds(lake).add(self.records(lake), PURPOSE)
        assert state.copied is not None
        assert (state.copied.records, state.copied.images) == (2, 3)
        assert purge_day(lake)
        lake.store.delete(
            item.uri for item in list(lake.store.list(f"{lake.config.warehouse}/images"))
        )
        assert stored_ids(lake) == []
        self.assert_held(lake, state)

    def test_the_second_engine_reads_the_evidence(self, lake: Lake) -> None:
        state = holds(lake).add(self.records(lake), PURPOSE)
        second = connect(lake)
        location = lake.table("evidence").metadata_location.removeprefix("file://")
        found = second.execute(
            "SELECT record_id, plate, record->>'plate', sha256(record) = record_sha256, hold_id "
            "FROM iceberg_scan(?) ORDER BY record_id",
            [location],
        ).fetchall()
        hold_id = state.hold.hold_id
        assert found == sorted((r.read_id, r.plate, r.plate, True, hold_id) for r in HELD)
        second.close()

    def test_a_hold_on_a_hit_holds_its_read(self, lake: Lake) -> None:
        hit = make_hit(make_read(3))
        state = holds(lake).add(select(lake, hits=[hit.hit_id]), PURPOSE)
        kinds = {(row["kind"], row["record_id"]) for row in rows_of(lake, state.hold.hold_id)}
        assert kinds == {("hit", hit.hit_id), ("read", hit.read_id)}

    def test_a_query_finds_reads_and_their_hits(self, lake: Lake) -> None:
        read = make_read(3)
        query = Query(read.captured_at, read.captured_at + timedelta(seconds=1), plate=read.plate)
        found = select(lake, query=query)
        assert {(record.kind, record.record_id) for record in found} == {
            ("read", read.read_id),
            ("hit", make_hit(read).hit_id),
        }
        late = Query(read.captured_at + timedelta(microseconds=1), NOW, plate=read.plate)
        assert select(lake, query=late) == []

    def test_more_than_the_limit_is_refused(self, lake: Lake) -> None:
        query = Query(DAY, NOW, camera="camera-1")
        assert len(select(lake, query=query)) == 2
        with pytest.raises(BadInput, match="more than 1 record"):
            select(lake, query=query, limit=1)

    def test_an_unknown_id_is_named(self, lake: Lake) -> None:
        with pytest.raises(BadInput, match=r"no read 0{32}"):
            select(lake, reads=["0" * 32])
        with pytest.raises(BadInput, match="no read"):
            select(lake, reads=[HELD[0].read_id], days=(date(2026, 1, 1), date(2026, 1, 2)))

    def test_the_same_hold_twice_is_one(self, lake: Lake) -> None:
        first = holds(lake).add(self.records(lake), PURPOSE)
        again = holds(lake).add(self.records(lake), PURPOSE)
        assert again == first
        assert len(rows_of(lake, first.hold.hold_id)) == 2
        holds(lake, LATER).release(first.hold.hold_id, "charges dropped")
        anew = holds(lake, LATER).add(self.records(lake), PURPOSE)
        assert anew.hold.hold_id != first.hold.hold_id

    def test_a_purge_that_came_first_is_told(self, lake: InterruptedLake) -> None:
        records = self.records(lake)
        assert purge_day(lake)
        state = holds(lake).add(records, PURPOSE)
        assert state.status(NOW) == "refused"
        assert state.refused is not None
        assert "2 of 2 records" in state.refused.why
        assert pending_holds(lake.table("reads")) == {}

    def test_a_purge_between_look_and_registration_is_seen(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """The day goes after the hold found its records and before its swap."""
        records = self.records(lake)
        other = self.other(config)
        # locate reads, locate hits, then the table that the registration swaps against
        lake.after_load += [_nothing, _nothing, lambda: purge_day(other)]
        state = holds(lake).add(records, PURPOSE)
        assert lake.after_load == []
        assert state.status(NOW) == "refused"
        assert pending_holds(lake.table("reads")) == {}

    def test_a_hold_between_the_purge_and_its_swap_wins(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """The purge has decided; the hold registers; the purge's swap fails and it decides anew."""
        other = self.other(config)
        records = self.records(lake)

        def die_registered() -> None:
            def write(*_: object) -> None:
                raise _Killed

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(other.store, "write", write)
                with pytest.raises(_Killed):
                    holds(other).add(records, PURPOSE)

        lake.after_load.append(die_registered)
        assert not purge_day(lake)
        assert len(stored_ids(lake)) == 10
        assert len(pending_holds(lake.table("reads"))) == 1
        assert complete_pending(lake, NOW, sleep=no_sleep) == []
        (state,) = holds(lake).all()
        assert purge_day(lake)
        self.assert_held(lake, state)

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_killed_at_every_step_of_the_copy(
        self, lake: Lake, path: Path, config: LakeConfig, moment: str
    ) -> None:
        """A purge comes after each kill; nothing held is ever lost."""
        step = 0
        while True:
            step += 1
            killed = die(path, "add_hold", moment, step)
            if killed.returncode == 0:
                break
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            if pinned(lake.table("reads")):
                assert not purge_day(lake)
            assert complete_pending(lake, NOW, sleep=no_sleep) == []
            living = [each for each in holds(lake).all() if each.status(NOW) != "gone"]
            if moment == "before" and step == 1:
                assert not living  # nobody was told that anything is held
                continue
            (state,) = living
            self.assert_held(lake, state)
            assert len(rows_of(lake, state.hold.hold_id)) == 2
            holds(lake).release(state.hold.hold_id, "the next step begins anew")
            purge_evidence(lake, LATER, sleep=no_sleep)
        assert step - 1 == len(COPY_STEPS)

    def test_killed_at_every_step_of_the_end(
        self, lake: Lake, path: Path, config: LakeConfig
    ) -> None:
        step = 0
        while True:
            step += 1
            state = holds(lake).add(self.records(lake), PURPOSE)
            holds(lake).release(state.hold.hold_id, "charges dropped")
            killed = die(path, "end_evidence", "after", step)
            purge_evidence(lake, LATER, sleep=no_sleep)
            assert not [uri for uri, _ in stored_bytes(lake) if state.hold.hold_id in uri]
            assert holds(lake).state(state.hold.hold_id).status(LATER) == "gone"
            if killed.returncode == 0:
                break
            assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert step - 1 == len(END_STEPS)

    def test_an_unreadable_image_pins_the_partition(self, lake: InterruptedLake) -> None:
        (pack,) = lake.store.list(f"{lake.config.warehouse}/images")
        data = lake.store.read(pack.uri)
        lake.store.write(
            pack.uri, data.replace(HELD[0].crop or b"", b"x" * len(HELD[0].crop or b""))
        )
        state = holds(lake).add(self.records(lake), PURPOSE)
        assert state.status(NOW) == "stuck"
        assert "checksum" in (state.stuck or "")
        assert not purge_day(lake)
        (unfinished,) = complete_pending(lake, NOW, sleep=no_sleep)
        assert "checksum" in unfinished.why
        lake.store.write(pack.uri, data)
        assert complete_pending(lake, NOW, sleep=no_sleep) == []
        self.assert_held(lake, holds(lake).state(state.hold.hold_id))

    def test_a_released_hold_leaves_nothing(self, lake: Lake) -> None:
        state = holds(lake).add(self.records(lake), PURPOSE)
        hold_id = state.hold.hold_id
        assert purge_evidence(lake, LATER, sleep=no_sleep) == []
        holds(lake).release(hold_id, "charges dropped")
        (erased,) = purge_evidence(lake, LATER, sleep=no_sleep)
        assert (erased.hold_id, erased.records) == (hold_id, 2)
        assert rows_of(lake, hold_id) == []
        assert not [uri for uri, _ in stored_bytes(lake) if hold_id in uri]
        packs = [data for uri, data in stored_bytes(lake) if uri.endswith(".pack")]
        assert sum(image == HELD[0].crop for data in packs for _, image in walk(data)) == 1
        assert holds(lake).state(hold_id).status(LATER) == "gone"
        assert purge_evidence(lake, LATER, sleep=no_sleep) == []

    def test_the_purge_itself_finishes_a_dead_hold_and_ends_a_released_one(
        self, lake: Lake, path: Path
    ) -> None:
        """Registered and killed; the day ends; the purge copies first, and takes the day after."""
        assert die(path, "add_hold", "after", 2).returncode == -signal.SIGKILL
        assert pinned(lake.table("reads"))
        later = NOW + timedelta(days=40)
        (report,) = run_purge(lake, lambda: later, sleep=no_sleep)
        assert (report.unfinished, report.respected, report.remaining) == ((), {}, ())
        assert stored_ids(lake) == []
        (state,) = holds(lake).all()
        assert state.status(later) == "held"
        stored = check_copies(lake, state.hold.hold_id)
        assert {row["plate"] for row in stored} == {read.plate for read in HELD}
        holds(lake, later).release(state.hold.hold_id, "acquitted")
        (report,) = run_purge(lake, lambda: later + timedelta(hours=1), sleep=no_sleep)
        assert [(each.hold_id, each.records) for each in report.evidence] == [
            (state.hold.hold_id, 2)
        ]
        left = [uri for uri, _ in stored_bytes(lake)]
        assert not [uri for uri in left if state.hold.hold_id in uri or uri.endswith(".pack")]
        assert not [uri for uri in left if uri.endswith(".parquet")]

    def test_two_holds_on_one_record_end_apart(self, lake: Lake) -> None:
        first = holds(lake).add(self.records(lake), PURPOSE)
        second = holds(lake).add(self.records(lake), replace(PURPOSE, case_number="26-9"))
        holds(lake).release(first.hold.hold_id, "charges dropped")
        purge_day(lake)
        purge_evidence(lake, LATER, sleep=no_sleep)
        self.assert_held(lake, second)


class _Killed(Exception):
    """Stands for a process that ends here."""


def _nothing() -> None:
    return None
