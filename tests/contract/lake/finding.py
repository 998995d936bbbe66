"""Look-ups against a second engine, beside everything that changes the lake, and killed upkeep."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from alpr.records import Read
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.files import read_rows
from catalog.lake import Lake
from catalog.lookup import index
from catalog.lookup.find import canvass, common, find, together
from catalog.lookup.places import Box
from catalog.lookup.query import Canvass, Common, Sighting, Together, Where
from catalog.lookup.upkeep import refresh_index
from catalog.lookup.view import View
from catalog.query import connect
from tests.contract.lake.holding import die
from tests.contract.lake.samples import DAY, NOW, RETENTION, make_read, no_sleep, stage

EAGER = CompactionPolicy(open_files=2, closed_files=2)
TODAY = NOW.date()
LATER = NOW + timedelta(hours=1)
PLATES = [f"{number:02d}A{number % 3}BC" for number in range(40)]


def make(number: int) -> Read:
    """Forty plates that pass three cameras in turn, over 20 days, four close behind each other."""
    days_ago, place = number % 20, number // 20
    moment = DAY - timedelta(days=days_ago, seconds=600 * (place // 4) - place % 4)
    camera = (days_ago + place // 4) % 3
    return msgspec.structs.replace(
        make_read(number, retention_class="toll" if camera == 2 else "evidence"),
        agency=f"agency-{camera % 2}",
        camera=f"camera-{camera}",
        plate=PLATES[5 + (7 * days_ago + 3 * place) % 35 if place % 4 else place // 4 % 5],
        captured_at=moment,
        received_at=moment + timedelta(seconds=1),
        latitude=42.0 + camera / 10 if number % 9 else None,
        longitude=-71.0,
    )


READS = [make(number) for number in range(480)]


def land(lake: Lake, reads: list[Read], first: int = 0) -> Committer:
    owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    owner.commit([stage(lake, reads, first=first)])
    return owner


def objects(lake: Lake) -> list[str]:
    """The index's objects; a bucket may also have an empty one for each folder."""
    folder = f"{lake.config.warehouse}/{index.FOLDER}"
    return sorted(item.uri for item in lake.store.list(folder) if not item.uri.endswith("/"))


def plates_in_index(lake: Lake) -> set[str]:
    return {
        plate
        for uri in objects(lake)
        for plate in read_rows(lake, uri, ["plate"])["plate"].to_pylist()
    }


def as_rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


class FindingContract:
    """Give it a fixture `config`: a LakeConfig of an empty lake."""

    @pytest.fixture
    def lake(self, config: LakeConfig) -> Lake:
        lake = Lake(config)
        lake.retention = RETENTION
        lake.init()
        return lake

    @pytest.fixture
    def path(self, config: LakeConfig, tmp_path: Path) -> Path:
        config.save(tmp_path / "lake.toml")
        return tmp_path / "lake.toml"

    def test_a_second_engine_finds_the_same(self, lake: Lake) -> None:
        """Most of it compacted and indexed, some landed since."""
        owner = land(lake, READS[:400])
        compact(lake, "reads", TODAY, EAGER, sleep=no_sleep)
        assert refresh_index(lake, TODAY, "test", lambda: NOW)
        owner.commit([stage(lake, READS[400:], first=400)])
        first, last = DAY - timedelta(days=12), DAY - timedelta(hours=1)
        span = Where(first, last)
        columns = ["captured_at", "read_id", "plate", "camera", "latitude"]
        selected = f"SELECT {', '.join(columns)} FROM reads WHERE "
        newest = " ORDER BY captured_at DESC, read_id"
        inside = "captured_at >= $first AND captured_at < $last"
        times = {"first": first, "last": last}
        area = Box(42.05, -72, 42.3, -70)
        with View(lake) as view, connect(lake) as sql:

            def other(query: str, **values: object) -> list[tuple[object, ...]]:
                return as_rows(sql.execute(query, values).to_arrow_table())

            for text, like in (("02A2BC", "02A2BC"), ("*A2B?", "%A2B_"), ("0?A0*", "0_A0%")):
                expected = other(
                    f"{selected} plate LIKE $like AND {inside}{newest}", like=like, **times
                )
                assert expected
                assert as_rows(find(view, Sighting(text, span), columns)) == expected
                assert as_rows(find(view, Sighting(text, span, limit=3), columns)) == expected[:3]
            placed = Where(first, last, agencies=frozenset({"agency-0"}), area=area)
            expected = other(
                f"{selected} {inside} AND agency = 'agency-0' AND latitude BETWEEN 42.05 AND 42.3"
                " ORDER BY captured_at, read_id",
                **times,
            )
            assert expected
            assert as_rows(canvass(view, Canvass(placed), columns)) == expected
            places = tuple(
                Where(first, last, cameras=frozenset({name}))
                for name in ("agency-0/camera-0", "agency-1/camera-1", "agency-0/camera-2")
            )
            expected = other(
                "SELECT plate, count(DISTINCT agency || camera) AS places, count(*) AS reads "
                f"FROM reads WHERE {inside} GROUP BY plate HAVING places >= 3 "
                "ORDER BY places DESC, reads DESC, plate",
                **times,
            )
            assert expected
            assert as_rows(common(view, Common(places, 3))) == expected
            expected = other(
                "SELECT b.plate, count(DISTINCT a.read_id) AS times, count(DISTINCT a.camera) "
                "FROM reads a JOIN reads b ON a.agency = b.agency AND a.camera = b.camera AND "
                "a.plate = '00A0BC' AND b.plate <> a.plate "
                "AND abs(epoch_us(a.captured_at) - epoch_us(b.captured_at)) <= 3000000 "
                "GROUP BY b.plate HAVING times >= 2 ORDER BY times DESC, 3 DESC, b.plate",
            )
            assert expected
            found = together(view, Together("00A0BC", Where(), timedelta(seconds=3), 2))
            assert as_rows(found) == expected

    def test_answers_are_whole_while_everything_changes(
        self, lake: Lake, config: LakeConfig
    ) -> None:
        """Landing, compaction, indexing and deletion of merged files beside the look-ups."""
        owner = land(lake, READS[:20])
        landed = [20]
        trouble: list[BaseException] = []

        def beside(work: Callable[[Lake], object]) -> threading.Thread:
            def run() -> None:
                other = Lake(config)
                other.retention = RETENTION
                try:
                    while landed[0] < len(READS):
                        work(other)
                except BaseException as error:
                    trouble.append(error)
                finally:
                    other.close()

            thread = threading.Thread(target=run)
            thread.start()
            return thread

        def upkeep(other: Lake) -> None:
            before = {file.uri for file in View(other).files}
            compact(other, "reads", TODAY, EAGER, sleep=no_sleep)
            refresh_index(other, TODAY, "test", lambda: datetime.now(NOW.tzinfo))
            with View(other) as view:
                other.store.delete(before - {file.uri for file in view.files})

        def look(other: Lake) -> None:
            with View(other) as view:
                for _ in range(3):
                    least = landed[0]
                    view.refresh()
                    found = view.answer(lambda: find(view, Sighting("*A?BC"), ["read_id"]))
                    assert found.num_rows == len(set(found["read_id"].to_pylist()))
                    assert least <= found.num_rows

        threads = [beside(upkeep), beside(look)]
        for first in range(20, len(READS), 20):
            owner.commit([stage(lake, READS[first : first + 20], first=first)])
            landed[0] = first + 20
        for thread in threads:
            thread.join()
        assert trouble == []
        with View(lake) as view:
            assert find(view, Sighting("*A?BC")).num_rows == len(READS)

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_indexing_killed_at_every_step(self, lake: Lake, path: Path, moment: str) -> None:
        owner = land(lake, READS[:240])
        refresh_index(lake, TODAY, "test", lambda: NOW - timedelta(hours=1))
        before = objects(lake)
        owner.commit([stage(lake, READS[240:], first=240)])
        for step in range(1, 20):
            done = die(path, "index_plates", moment, step)
            self.assert_all_found(lake)
            if done.returncode == 0:
                break
            # The next run waits until the dead one's lease has ended.
            with lake.catalog.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE locks SET until_us = 0 WHERE name = 'index'")
        assert step > 2, "nobody was killed: the test proves nothing"
        refresh_index(lake, TODAY, "test", lambda: LATER)
        assert len(objects(lake)) == len({uri.rpartition("/")[0] for uri in before})
        assert set(objects(lake)) & set(before) == set()

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_day_ends_in_the_index_killed_at_every_step(
        self, lake: Lake, path: Path, moment: str
    ) -> None:
        ending = TODAY - timedelta(days=7)
        only_then = msgspec.structs.replace(
            make_read(900, days_ago=10, retention_class="evidence"), plate="GONE1"
        )
        land(lake, [*READS[:240], only_then])
        refresh_index(lake, TODAY, "test", lambda: NOW)
        assert "GONE1" in plates_in_index(lake)
        for step in range(1, 20):
            done = die(path, "drop_index", moment, step)
            self.assert_all_found(lake, READS[:240])
            if done.returncode == 0:
                break
        assert step > 2, "nobody was killed: the test proves nothing"
        kept = {read.plate for read in READS[:240] if read.captured_at.date() >= ending}
        assert plates_in_index(lake) <= kept
        for uri in objects(lake):
            assert b"GONE1" not in lake.store.read(uri)
        for block in index.list_blocks(lake):
            days = block.open(lake).files
            assert min(days) >= (ending - date(1970, 1, 1)).days

    def assert_all_found(self, lake: Lake, reads: list[Read] | None = None) -> None:
        """Every read, by its plate's pattern, whatever the index is like."""
        with View(lake) as view:
            found = find(view, Sighting("*A?BC", limit=10_000), ["read_id"])
            expected = sorted(read.read_id for read in reads or READS)
            assert sorted(found["read_id"].to_pylist()) == expected
