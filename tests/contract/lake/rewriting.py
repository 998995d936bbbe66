"""Rows removed or moved for their agency: exactly those, with every byte, whatever is killed."""

from __future__ import annotations

import io
import signal
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from alpr.errors import BadInput
from alpr.records import Read
from catalog.check import check_table
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.files import live_files
from catalog.images import walk
from catalog.lake import Lake
from catalog.query import connect
from catalog.retention.evidence import check_copies
from catalog.retention.interlock import pinned
from catalog.retention.orders import Orders
from catalog.retention.selection import select
from catalog.rows import Origin
from catalog.staging import OffsetRange, stage_reads
from tests.contract.lake.holding import die, stored_bytes
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
from tests.contract.lake.tasks import PURPOSE, SHORTER, holds, move_rows, orders, remove_rows

EAGER = CompactionPolicy(open_files=2, closed_files=2)
FILES, ROWS = 3, 12
ALL = make_reads(FILES * ROWS, image=True)
GOING = [read for read in ALL if read.agency == "agency-1"]
STAYING = [read for read in ALL if read.agency != "agency-1"]


def committer(lake: Lake, table: str = "reads") -> Committer:
    return Committer(lake, table, now=lambda: NOW, sleep=no_sleep)


def seen_anywhere(lake: Lake, reads: list[Read]) -> set[str]:
    """What of these reads is in any object of the store, decoded: plates and images."""
    plates = {read.plate.encode() for read in reads}
    images = {image for read in reads for image in (read.crop, read.overview) if image}
    found: set[str] = set()
    for uri, data in stored_bytes(lake):
        texts = data
        if uri.endswith(".parquet"):
            rows = pq.read_table(io.BytesIO(data))
            texts = str(rows.to_pydict()).encode()
        if uri.endswith(".pack") and any(image in images for _, image in walk(data)):
            found.add(f"an image in {uri}")
        found |= {f"a plate in {uri}" for plate in plates if plate in texts}
    return found


class RewritingContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> InterruptedLake:
        """Three files of reads of three agencies, with images, and four hits."""
        lake = InterruptedLake(config)
        lake.init()
        owner = committer(lake)
        for number in range(FILES):
            reads = ALL[number * ROWS : (number + 1) * ROWS]
            owner.commit([stage(lake, reads, first=number * ROWS)])
        hits = [make_hit(read) for read in (*GOING[:2], *STAYING[:2])]
        committer(lake, "hits").commit([stage_hit_group(lake, hits)])
        return lake

    @pytest.fixture
    def path(self, config: LakeConfig, tmp_path: Path) -> Path:
        config.save(tmp_path / "lake.toml")
        return tmp_path / "lake.toml"

    def assert_removed(self, lake: Lake) -> None:
        """Nothing of agency-1 is left, and everything of the others."""
        assert stored_ids(lake) == ids_of(STAYING)
        assert stored_ids(lake, "hits") == sorted(make_hit(r).hit_id for r in STAYING[:2])
        assert seen_anywhere(lake, GOING) == set()
        self.assert_whole(lake, STAYING)

    def assert_whole(self, lake: Lake, reads: list[Read]) -> None:
        """Every image is where its row says, and a second engine counts the same."""
        report = check_table(lake, "reads", image_sample=None)
        images = sum((r.crop is not None) + (r.overview is not None) for r in reads)
        assert (report.problems, report.rows, report.images_read) == ((), len(reads), images)
        second = connect(lake)
        assert second.execute("SELECT count(*), count(crop.pack) FROM reads").fetchall() == [
            (len(reads), len(reads))
        ]
        second.close()

    def test_removed_rows_leave_no_byte(self, lake: Lake) -> None:
        assert len(seen_anywhere(lake, GOING)) > FILES
        state = orders(lake).remove("agency-1", by="chief.adams", reason="left the programme")
        assert (state.removed, state.moved, state.expired) == (len(GOING) + 2, 0, 0)
        assert state.finished is not None
        assert sum(state.by_day.values()) == len(GOING) + 2
        self.assert_removed(lake)

    def test_what_a_merge_left_behind_goes_too(self, lake: Lake) -> None:
        """Compaction leaves its inputs to the sweep, which waits a day."""
        compact(lake, "reads", DAY.date(), EAGER)
        remove_rows(lake)
        self.assert_removed(lake)
        (file,) = live_files(lake.table("reads"))
        assert file.sort_order_id == 1  # what was sorted stays sorted

    def test_an_image_without_a_row_goes_too(self, lake: Lake) -> None:
        """A read sent again is kept once; its second picture lies in a pack of other agencies'."""
        others = [r for r in make_reads(6, first=100, image=True) if r.agency != "agency-1"]
        committer(lake).commit([stage(lake, [GOING[0], *others], first=FILES * ROWS)])
        remove_rows(lake)
        assert seen_anywhere(lake, GOING) == set()
        self.assert_whole(lake, STAYING + others)

    def test_an_upload_under_way_is_not_broken(self, lake: Lake) -> None:
        """Staged before the removal, committed after it: a file that must not be taken away."""
        owner = committer(lake)
        late = make_reads(6, first=100)
        group = stage(lake, late, first=FILES * ROWS)
        remove_rows(lake)
        assert owner.commit([group]).rows == 6
        assert stored_ids(lake) == ids_of(STAYING + late)
        remove_rows(lake)
        assert seen_anywhere(lake, GOING) == set()

    def test_a_pack_too_young_to_be_sure_is_waited_for(self, lake: Lake) -> None:
        """Its rows may be about to be committed. One that was stored later is another matter."""
        stage(lake, make_reads(3, first=100, image=True), first=FILES * ROWS)
        careful = Orders(lake, lambda: datetime.now(UTC), sleep=no_sleep)
        state = careful.remove("agency-1", by="chief.adams", reason="left")
        assert (state.waiting, state.finished) == (1, None)
        (done,) = orders(lake).finish()
        assert (done.waiting, done.finished is None) == (0, False)
        stage(lake, make_reads(3, first=200, image=True), first=FILES * ROWS)
        before = Orders(lake, lambda: datetime.now(UTC) - timedelta(hours=1), sleep=no_sleep)
        assert before.remove("agency-1", by="chief.adams", reason="left").waiting == 0
        self.assert_whole(lake, STAYING)

    def test_a_range_of_days(self, lake: Lake) -> None:
        old = make_reads(6, first=100, days_ago=3)
        committer(lake).commit([stage(lake, old, first=FILES * ROWS)])
        day = DAY.date() - timedelta(days=3)
        orders(lake).remove("agency-1", by="chief.adams", reason="wrong camera", last=day)
        assert stored_ids(lake) == ids_of(ALL + [r for r in old if r.agency != "agency-1"])
        with pytest.raises(BadInput, match="after the last"):
            orders(lake).remove("agency-1", by="x", reason="y", first=day, last=date(2020, 1, 1))

    def test_ids_of_moved_rows_are_still_known(self, lake: Lake) -> None:
        """The sender uploads again; the committer has rows in another class than it remembers."""
        owner = committer(lake)
        owner.commit([stage(lake, make_reads(3, first=100), first=36)])
        move_rows(lake)
        again = owner.commit([stage(lake, ALL, first=39)])
        assert again.duplicates == len(ALL)

    def test_moved_rows_lie_under_their_new_class(self, lake: Lake) -> None:
        before = lake.table("reads").scan().to_arrow().sort_by("read_id").to_pylist()
        lake.retention = SHORTER
        state = orders(lake).move("agency-1", by="chief.adams", reason="new policy")
        assert (state.moved, state.removed, state.expired) == (len(GOING) + 2, 0, 0)
        after = lake.table("reads").scan().to_arrow().sort_by("read_id").to_pylist()
        for old, new in zip(before, after, strict=True):
            if old["agency"] == "agency-1":
                assert new["retention_class"] == "short"
                assert new["crop"]["pack"].startswith("images/class=short/day=2026-11-20/")
            changing = ("crop", "overview", "retention_class", "captured_on")
            assert {k: v for k, v in old.items() if k not in changing} == {
                k: v for k, v in new.items() if k not in changing
            }
        self.assert_whole(lake, ALL)
        old_class = [(uri, data) for uri, data in stored_bytes(lake) if "class=default" in uri]
        crops = {read.crop for read in GOING}
        assert old_class
        assert not any(
            image in crops
            for uri, data in old_class
            if uri.endswith(".pack")
            for _, image in walk(data)
        )
        assert orders(lake).move("agency-1", by="chief.adams", reason="again").moved == 0

    def test_a_moved_row_gets_the_day_of_its_new_zone(self, config: LakeConfig) -> None:
        """02:00 UTC is still the day before in Los Angeles."""
        lake = Lake(config)
        lake.init()
        night = [
            _at(read, DAY.replace(hour=2) + timedelta(seconds=n))
            for n, read in enumerate(make_reads(6, image=True))
        ]
        committer(lake).commit([stage(lake, night)])
        move_rows(lake)
        rows = lake.table("reads").scan("retention_class = 'short'").to_arrow().to_pylist()
        assert {row["captured_on"] for row in rows} == {DAY.date() - timedelta(days=1)}
        assert len(rows) == 2
        self.assert_whole(lake, night)

    def test_a_row_that_its_new_day_has_already_is_not_doubled(self, config: LakeConfig) -> None:
        """Sent again after the policy changed: it landed in the new class, on another day."""
        lake = Lake(config)
        lake.init()
        night = [_at(read, DAY.replace(hour=2)) for read in make_reads(6, image=True)]
        committer(lake).commit([stage(lake, night)])
        again = [
            msgspec.structs.replace(read, retention_class="short")
            for read in night
            if read.agency == "agency-1"
        ]
        lake.retention = SHORTER
        offsets = range(6, 6 + len(again))
        covered = [OffsetRange("reads", 0, 6, 6 + len(again))]
        group = stage_reads(lake, again, Origin("reads", 0, offsets), covered, NOW)
        assert committer(lake).commit([group]).duplicates == 0
        state = orders(lake).move("agency-1", by="chief.adams", reason="new policy")
        assert (state.duplicates, state.moved) == (len(again), 0)
        self.assert_whole(lake, night)

    def test_rows_past_their_new_end_go(self, lake: Lake) -> None:
        """A month of the old policy, a week of the new one."""
        old = make_reads(6, first=100, days_ago=10, image=True)
        committer(lake).commit([stage(lake, old, first=FILES * ROWS)])
        lake.retention = SHORTER
        state = orders(lake).move("agency-1", by="chief.adams", reason="new policy")
        going = [read for read in old if read.agency == "agency-1"]
        assert (state.expired, state.moved) == (len(going), len(GOING) + 2)
        assert seen_anywhere(lake, going) == set()

    def test_a_class_of_ones_own_policy_is_left(self, lake: Lake) -> None:
        own = make_reads(6, first=100, retention_class="evidence")
        committer(lake).commit([stage(lake, own, first=FILES * ROWS)])
        state = orders(lake).move("agency-1", by="chief.adams", reason="tidy")
        assert state.moved == 0
        state = orders(lake).move("agency-1", by="x", reason="y", to_class="toll")
        assert state.moved == len(GOING) + 2 + 2
        with pytest.raises(BadInput, match="no class 'none'"):
            orders(lake).move("agency-1", by="x", reason="y", to_class="none")

    def test_held_rows_are_copied_first_and_their_copies_stay(
        self, lake: InterruptedLake, config: LakeConfig, path: Path
    ) -> None:
        """The hold has registered and died before it copied anything."""
        records = select(lake, reads=[GOING[0].read_id])
        other = InterruptedLake(config)
        other.retention = RETENTION

        def write(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(other.store, "write", write)
            with pytest.raises(KeyboardInterrupt):
                holds(other).add(records, PURPOSE)
        assert pinned(lake.table("reads"))
        state = orders(lake).remove("agency-1", by="chief.adams", reason="left")
        (hold,) = holds(lake).all()
        assert hold.status(NOW) == "held"
        assert [row["record_id"] for row in check_copies(lake, hold.hold.hold_id)] == [
            GOING[0].read_id
        ]
        assert state.finished is not None
        assert state.finished.held == (hold.hold.hold_id,)
        assert stored_ids(lake) == ids_of(STAYING)

    @pytest.mark.parametrize("task", ["remove_rows", "move_rows"])
    def test_killed_at_every_step(self, config: LakeConfig, path: Path, task: str) -> None:
        """Each time the step before has had its effect, and the next one was about to."""
        step = 0
        while True:
            step += 1
            lake = self.fresh(config)
            killed = die(path, task, "before", step)
            if killed.returncode == 0:
                break
            assert killed.returncode == -signal.SIGKILL, killed.stderr
            lake.retention = SHORTER if task == "move_rows" else RETENTION
            self.assert_whole(lake, self.visible(lake))
            orders(lake).finish()
            if step == 1:
                assert stored_ids(lake) == ids_of(ALL)  # nobody's order was taken
            elif task == "remove_rows":
                self.assert_removed(lake)
            else:
                short = lake.table("reads").scan("retention_class = 'short'").to_arrow()
                assert sorted(short["read_id"].to_pylist()) == ids_of(GOING)
                self.assert_whole(lake, ALL)
            assert all(order.finished for order in orders(lake).all())
        assert step > 12, "an order has more steps than that: the test proves nothing"

    def fresh(self, config: LakeConfig) -> InterruptedLake:
        """The lake as the fixture makes it, in the place of what was there."""
        lake = InterruptedLake(config)
        for name in ("reads", "hits"):
            if lake.catalog.table_exists(f"alpr.{name}"):
                lake.catalog.drop_table(f"alpr.{name}")
        lake.store.prepare(config.warehouse)
        lake.store.delete([item.uri for item in lake.store.list(config.warehouse)])
        lake.init()
        owner = committer(lake)
        owner.commit([stage(lake, ALL)])
        hits = [make_hit(read) for read in (*GOING[:2], *STAYING[:2])]
        committer(lake, "hits").commit([stage_hit_group(lake, hits)])
        return lake

    def visible(self, lake: Lake) -> list[Read]:
        """The reads that the table has now: each whole, or not at all."""
        ids = set(stored_ids(lake))
        assert ids in (set(ids_of(ALL)), set(ids_of(STAYING)))
        return [read for read in ALL if read.read_id in ids]

    def test_landing_goes_on_beside_it(self, lake: InterruptedLake, config: LakeConfig) -> None:
        """A commit between plan and swap: it stays, and its rows of the agency go as well."""
        other = Lake(config)
        owner = committer(other)
        late = make_reads(6, first=100, image=True)
        group = stage(other, late, first=FILES * ROWS)
        interrupted: list[int] = []

        def land() -> None:
            interrupted.append(owner.commit([group]).rows)

        lake.after_load += _after(3, land)
        remove_rows(lake)
        assert interrupted == [6]
        assert stored_ids(lake) == ids_of(STAYING + [r for r in late if r.agency != "agency-1"])
        assert seen_anywhere(lake, GOING + [r for r in late if r.agency == "agency-1"]) == set()

    @pytest.mark.parametrize("load", range(2, 8))
    def test_a_merge_beside_it_takes_nothing_back(
        self, lake: InterruptedLake, config: LakeConfig, load: int
    ) -> None:
        """Compaction takes the inputs away at some moment: the partition is looked at anew."""
        other = Lake(config)
        lake.after_load += _after(load, lambda: compact(other, "reads", DAY.date(), EAGER))
        remove_rows(lake)
        self.assert_removed(lake)


def _after(loads: int, then: Callable[[], object]) -> list[Callable[[], object]]:
    return [*([lambda: None] * (loads - 1)), then]


def _at(read: Read, moment: datetime) -> Read:
    return msgspec.structs.replace(read, captured_at=moment)
