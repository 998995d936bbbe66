"""Compaction, sweep, check and the second engine."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from alpr.errors import Corrupt
from catalog.check import check_table
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.files import live_files, read_rows
from catalog.images import ImageRef, read_image
from catalog.lake import Lake
from catalog.query import connect, refresh
from catalog.schemas import SORTED
from catalog.sweep import Sweep, sweep, sweep_packs
from tests.contract.lake.samples import (
    DAY,
    NOW,
    InterruptedLake,
    ids_of,
    make_hit,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
    stored_ids,
)

EAGER = CompactionPolicy(open_files=2, closed_files=2)
TODAY = DAY.date()


def land(lake: Lake, *, files: int, rows: int = 10, image: bool = False) -> Committer:
    """A committer that has landed `files` files of `rows` reads each."""
    owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    for number in range(files):
        reads = make_reads(rows, first=number * rows, image=image)
        owner.commit([stage(lake, reads, first=number * rows)])
    return owner


class UpkeepContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> InterruptedLake:
        lake = InterruptedLake(config)
        lake.init()
        return lake

    def test_small_files_become_one_sorted_file(self, lake: Lake) -> None:
        land(lake, files=5, image=True)
        before = lake.table("reads").scan().to_arrow().sort_by("read_id")
        (done,) = compact(lake, "reads", TODAY, EAGER)
        assert (done.files, done.rows, done.attempts) == (5, 50, 1)
        (file,) = live_files(lake.table("reads"))
        assert file.sort_order_id == SORTED
        rows = read_rows(lake, file.file_path)
        plates = rows["plate"].to_pylist()
        assert plates == sorted(plates)
        assert lake.table("reads").scan().to_arrow().sort_by("read_id").equals(before)
        assert compact(lake, "reads", TODAY, EAGER) == []

    def test_duplicates_are_still_known_after_compaction(self, lake: Lake) -> None:
        owner = land(lake, files=3)
        compact(lake, "reads", TODAY, EAGER)
        assert owner.commit([stage(lake, make_reads(30), first=30)]).duplicates == 30
        restarted = Committer(lake, "reads", now=lambda: NOW)
        assert restarted.commit([stage(lake, make_reads(30), first=60)]).duplicates == 30
        assert len(stored_ids(lake)) == 30

    def test_compaction_loses_a_race_and_recommits(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """An append lands between compaction's last look at the table and its swap."""
        owner = land(Lake(config), files=3)
        late = stage(lake, make_reads(10, first=30), first=30)
        lake.after_load += [_nothing, lambda: owner.commit([late])]
        (done,) = compact(lake, "reads", TODAY, EAGER, sleep=no_sleep)
        assert (done.files, done.attempts) == (3, 2)
        assert len(list(live_files(lake.table("reads")))) == 2
        assert stored_ids(lake) == ids_of(make_reads(40))

    def test_compaction_gives_up_when_its_files_are_taken_away(
        self, lake: InterruptedLake, config: LakeConfig
    ) -> None:
        """A purge between plan and swap: merging would bring the deleted rows back."""
        land(lake, files=3)
        lake.after_load += [_nothing, lambda: Lake(config).table("reads").delete("plate != ''")]
        assert compact(lake, "reads", TODAY, EAGER, sleep=no_sleep) == []
        assert stored_ids(lake) == []

    def test_compaction_beside_the_appender(self, lake: Lake, config: LakeConfig) -> None:
        stop = threading.Event()
        merges: list[int] = []

        def merge() -> None:
            other = Lake(config)
            while not stop.is_set():
                merges.extend(done.files for done in compact(other, "reads", TODAY, EAGER))
            other.close()

        thread = threading.Thread(target=merge)
        thread.start()
        try:
            land(lake, files=25)
        finally:
            stop.set()
            thread.join()
        assert merges, "nothing was merged: the test proves nothing"
        assert stored_ids(lake) == ids_of(make_reads(250))

    def test_purged_ids_are_forgotten(self, lake: Lake) -> None:
        """Rows taken out by another operation are not held for duplicates for ever."""
        owner = land(lake, files=1)
        lake.table("reads").delete("plate != ''")
        assert owner.commit([stage(lake, make_reads(10), first=10)]).duplicates == 0
        assert stored_ids(lake) == ids_of(make_reads(10))

    def test_sweep_takes_old_orphans_and_nothing_else(self, lake: Lake) -> None:
        land(lake, files=2)
        stage(lake, make_reads(5, first=100))  # stored, never committed
        now = datetime.now(UTC)
        young = sweep(lake, "reads", now, timedelta(hours=1))
        assert (young.orphans >= 1, young.deleted) == (True, 0)
        old = sweep(lake, "reads", now + timedelta(hours=2), timedelta(hours=1))
        assert old.deleted == young.orphans
        assert sweep(lake, "reads", now + timedelta(hours=2), timedelta(hours=1)).orphans == 0
        assert not check_table(lake, "reads").problems
        assert len(stored_ids(lake)) == 20

    def test_packs_that_no_row_points_into_are_swept(self, lake: Lake) -> None:
        land(lake, files=2, image=True)
        stage(lake, make_reads(5, first=100, image=True))  # stored, never committed
        now = datetime.now(UTC)
        age = timedelta(hours=1)
        assert sweep_packs(lake, now, age).deleted == 0, "too young"
        later = now + timedelta(hours=2)
        assert sweep_packs(lake, later, age, dry_run=True).deleted == 1
        done, again = sweep_packs(lake, later, age), sweep_packs(lake, later, age)
        assert (done.orphans, done.deleted) == (3, 1)
        assert again == Sweep(2, 0, 0)
        assert check_table(lake, "reads", image_sample=None).problems == ()
        assert sweep_packs(lake, now + timedelta(days=9), age).orphans == 0, "behind the window"

    def test_images_are_found_by_their_rows(self, lake: Lake) -> None:
        land(lake, files=2, rows=20, image=True)
        by_id = {read.read_id: read for read in make_reads(40, image=True)}
        rows = lake.table("reads").scan().to_arrow().to_pylist()
        for row in rows:
            for name in ("crop", "overview"):
                ref = row[name]
                stored = ref and read_image(lake.store, lake.config.warehouse, ImageRef(**ref))
                assert stored == getattr(by_id[row["read_id"]], name)
        report = check_table(lake, "reads", image_sample=None)
        assert (report.problems, report.images, report.images_read) == ((), 60, 60)

    def test_check_finds_a_lost_pack(self, lake: Lake) -> None:
        land(lake, files=1, image=True)
        packs = [item.uri for item in lake.store.list(f"{lake.config.warehouse}/images")]
        assert len(packs) == 1
        lake.store.delete(packs)
        report = check_table(lake, "reads", image_sample=None)
        assert len(report.problems) == 15
        assert "not stored" in report.problems[0]

    def test_check_finds_a_damaged_pack(self, lake: Lake) -> None:
        land(lake, files=1, image=True)
        (pack,) = lake.store.list(f"{lake.config.warehouse}/images")
        data = bytearray(lake.store.read(pack.uri))
        data[20] ^= 1
        lake.store.write(pack.uri, bytes(data))
        report = check_table(lake, "reads", image_sample=None)
        assert len(report.problems) == 1
        assert "checksum" in report.problems[0]

    def test_check_finds_a_lost_file(self, lake: Lake) -> None:
        land(lake, files=2)
        file = next(live_files(lake.table("reads")))
        lake.store.delete([file.file_path])
        report = check_table(lake, "reads")
        assert (len(report.problems), report.rows) == (1, 10)

    def test_check_finds_doubled_rows(self, lake: Lake) -> None:
        land(lake, files=1)
        table = lake.table("reads")
        table.append(table.scan().to_arrow())
        report = check_table(lake, "reads")
        assert (report.rows, report.distinct_ids) == (20, 10)
        assert report.problems == ("10 rows have an id that another row has too",)

    def test_two_engines_see_the_same(self, lake: Lake) -> None:
        owner = land(lake, files=3, image=True)
        hits = [make_hit(read) for read in make_reads(7)]
        Committer(lake, "hits", now=lambda: NOW).commit([stage_hit_group(lake, hits)])
        second = connect(lake)
        count = "SELECT count(*), count(DISTINCT read_id), count(crop.pack) FROM reads"
        assert second.execute(count).fetchall() == [(30, 30, 30)]
        assert second.execute("SELECT count(*) FROM hits").fetchall() == [(7,)]
        assert second.execute(
            "SELECT count(*) FROM reads JOIN hits USING (read_id) WHERE hits.plate = reads.plate"
        ).fetchall() == [(7,)]
        compact(lake, "reads", TODAY, EAGER)
        owner.commit([stage(lake, make_reads(5, first=30), first=30)])
        refresh(second, lake)
        ids = [row[0] for row in second.execute("SELECT read_id FROM reads ORDER BY 1").fetchall()]
        assert ids == stored_ids(lake)
        row = second.execute("SELECT captured_at, candidates FROM reads WHERE source_id = '2'")
        read = make_reads(1, first=2)[0]
        assert row.fetchall() == [
            (read.captured_at, [{"plate": c.plate, "score": c.score} for c in read.candidates])
        ]
        second.close()

    def test_a_missing_file_is_corrupt_not_empty(self, lake: Lake) -> None:
        with pytest.raises(Corrupt, match="not stored"):
            lake.store.read(f"{lake.config.warehouse}/images/none.pack")


def _nothing() -> None:
    return None
