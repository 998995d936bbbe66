"""Landing on a real lake in a folder: what a worker stages, what the committer makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from apache_beam.utils.windowed_value import WindowedValue

from alpr.errors import Corrupt, Fenced
from alpr.records import Read
from beam_jobs.decode import Records
from beam_jobs.land.transforms import CommitGroups, StageRecords
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.offsets import Source, committed_offsets
from tests.support.beam import Bag, Cell, Timer
from tests.support.clock import FakeClock
from tests.support.records import make_hit, make_read

COMMIT_S, GAP_S = 3.0, 120.0
READS_0, READS_1 = Source("reads", 0), Source("reads", 1)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    config = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    config.save(tmp_path / "lake.toml")
    lake = Lake(config)
    lake.init()
    return lake


@pytest.fixture
def config_file(lake: Lake, tmp_path: Path) -> str:
    return str(tmp_path / "lake.toml")


def reads_at(first: int, count: int) -> list[Read]:
    return [make_read(seconds=float(first + i)) for i in range(count)]


def records_of(
    first: int, count: int, partition: int = 0, *, records: Sequence[Any] | None = None
) -> Records[Any]:
    some = reads_at(1000 * partition + first, count) if records is None else list(records)
    offsets = list(range(first, first + len(some)))
    return Records("reads", partition, first, first + count, offsets, [0] * len(some), some)


def staged(config_file: str, *batches: Records[Any], table: str = "reads") -> bytes:
    """The group that a worker makes of one bundle."""
    dofn = StageRecords(config_file, table)
    dofn.setup()
    dofn.start_bundle()
    for batch in batches:
        dofn.process(batch)
    (output,) = dofn.finish_bundle()
    dofn.teardown()
    assert isinstance(output, WindowedValue)
    assert output.value[0] == table
    data: bytes = output.value[1]
    return data


class Committing:
    """One key of CommitGroups, with state, timer and clock in the test's hand."""

    def __init__(self, config_file: str, commit_rows: int = 1000) -> None:
        self.clock = FakeClock()
        self.waiting, self.rows, self.since, self.due = Bag(), Cell(), Cell(), Timer()
        self._config_file, self._commit_rows = config_file, commit_rows
        self.restart()

    def restart(self) -> None:
        """Another worker, with the state that the engine kept."""
        starts: dict[str, dict[Source, int]] = {"reads": {}, "hits": {}}
        self.dofn = CommitGroups(
            self._config_file, starts, COMMIT_S, self._commit_rows, GAP_S, self.clock
        )

    def kept(self) -> tuple[list[Any], Any, Any]:
        """What a checkpoint holds."""
        return list(self.waiting.bag), self.rows.value, self.since.value

    def restore(self, kept: tuple[list[Any], Any, Any]) -> None:
        self.waiting.bag, self.rows.value, self.since.value = list(kept[0]), kept[1], kept[2]
        self.restart()

    def give(self, *groups: bytes, table: str = "reads") -> list[int]:
        return [
            rows
            for data in groups
            for rows in self.dofn.process(
                (table, data), self.waiting, self.rows, self.since, self.due
            )
        ]

    def fire(self, table: str = "reads") -> list[int]:
        """The timer, when it is due."""
        if self.due.at is not None:
            self.clock.seconds = max(self.clock.seconds, self.due.at)
        return list(self.dofn.due(table, self.waiting, self.rows, self.since, self.due))


def stored(lake: Lake, table: str = "reads") -> Counter[str]:
    column = f"{table[:-1]}_id"
    return Counter(lake.table(table).scan(selected_fields=(column,)).to_arrow()[column].to_pylist())


def ids_of(*reads: Read) -> Counter[str]:
    return Counter(read.read_id for read in reads)


def test_a_bundle_becomes_one_group_committed_when_its_time_has_come(
    lake: Lake, config_file: str
) -> None:
    job = Committing(config_file)
    assert job.give(staged(config_file, records_of(0, 3), records_of(3, 2))) == []
    assert job.due.at == job.clock() + COMMIT_S
    assert stored(lake) == Counter()
    assert job.fire() == [5]
    assert stored(lake) == ids_of(*reads_at(0, 5))
    assert committed_offsets(lake, "reads") == {READS_0: 5}
    assert job.fire() == [], "nothing waits any more"


def test_hits_land_in_their_table(lake: Lake, config_file: str) -> None:
    hits = [make_hit(seconds=float(s)) for s in range(2)]
    batch = Records("hits", 0, 0, 2, [0, 1], [0, 0], hits)
    job = Committing(config_file)
    job.give(staged(config_file, batch, table="hits"), table="hits")
    assert job.fire("hits") == [2]
    assert stored(lake, "hits") == Counter(hit.hit_id for hit in hits)


def test_many_rows_are_committed_without_waiting(lake: Lake, config_file: str) -> None:
    job = Committing(config_file, commit_rows=4)
    assert job.give(staged(config_file, records_of(0, 3))) == []
    assert job.give(staged(config_file, records_of(3, 3))) == [6]


def test_a_batch_of_dead_letters_only_still_moves_the_offsets_on(
    lake: Lake, config_file: str
) -> None:
    job = Committing(config_file)
    job.give(staged(config_file, records_of(0, 4, records=[])))
    job.fire()
    assert stored(lake) == Counter()
    assert committed_offsets(lake, "reads") == {READS_0: 4}


def test_an_empty_bundle_gives_nothing(config_file: str) -> None:
    dofn = StageRecords(config_file, "reads")
    dofn.setup()
    dofn.start_bundle()
    assert list(dofn.finish_bundle()) == []


def test_groups_out_of_order_wait_for_what_is_missing_before_them(
    lake: Lake, config_file: str
) -> None:
    job = Committing(config_file)
    job.give(staged(config_file, records_of(5, 5)), staged(config_file, records_of(0, 2, 1)))
    assert job.fire() == [2]
    assert committed_offsets(lake, "reads") == {READS_1: 2}
    assert job.due.at == job.clock() + COMMIT_S, "it looks again"
    job.give(staged(config_file, records_of(0, 5)))
    assert job.fire() == [10]
    assert committed_offsets(lake, "reads") == {READS_0: 10, READS_1: 2}
    assert set(stored(lake).values()) == {1}


def test_a_gap_that_stays_is_corrupt_and_names_the_offsets(lake: Lake, config_file: str) -> None:
    job = Committing(config_file)
    job.give(staged(config_file, records_of(5, 5)))
    for _ in range(int(GAP_S / COMMIT_S)):
        assert job.fire() == []
    with pytest.raises(Corrupt, match="committed up to 0, but the batch starts at 5"):
        job.fire()


def test_what_a_replay_brings_again_is_stored_once(lake: Lake, config_file: str) -> None:
    job = Committing(config_file)
    job.give(staged(config_file, records_of(0, 5)))
    job.fire()
    job.give(staged(config_file, records_of(0, 5)), staged(config_file, records_of(3, 5)))
    assert job.fire() == [3]
    assert stored(lake) == ids_of(*reads_at(0, 8))


def test_a_read_sent_twice_under_two_offsets_is_stored_once(lake: Lake, config_file: str) -> None:
    same = reads_at(0, 2)
    job = Committing(config_file)
    job.give(staged(config_file, records_of(0, 4, records=[*same, *same])))
    assert job.fire() == [2]
    assert stored(lake) == ids_of(*same)
    assert committed_offsets(lake, "reads") == {READS_0: 4}


@pytest.mark.parametrize("crash", ["before the commit", "after the commit"])
def test_a_crash_around_the_commit_gives_each_row_once(
    lake: Lake, config_file: str, crash: str
) -> None:
    job = Committing(config_file)
    job.give(staged(config_file, records_of(0, 3)), staged(config_file, records_of(3, 3)))
    checkpoint = job.kept()
    if crash == "after the commit":
        assert job.fire() == [6]
    job.restore(checkpoint)
    job.give(staged(config_file, records_of(6, 2)))
    job.fire()
    assert stored(lake) == ids_of(*reads_at(0, 8))
    assert committed_offsets(lake, "reads") == {READS_0: 8}


def test_the_worker_that_was_replaced_can_commit_nothing_more(lake: Lake, config_file: str) -> None:
    old, new = Committing(config_file), Committing(config_file)
    old.give(staged(config_file, records_of(0, 1)))
    old.fire()
    new.give(staged(config_file, records_of(1, 1)))
    new.fire()
    old.give(staged(config_file, records_of(1, 1)))
    with pytest.raises(Fenced):
        old.fire()
    assert stored(lake) == ids_of(*reads_at(0, 2))


def test_a_topic_whose_first_messages_have_expired_starts_where_it_is_told(
    lake: Lake, config_file: str
) -> None:
    job = Committing(config_file)
    job.dofn = CommitGroups(
        config_file, {"reads": {READS_0: 100}}, COMMIT_S, 1000, GAP_S, job.clock
    )
    job.give(staged(config_file, records_of(100, 2)))
    assert job.fire() == [2]
    assert committed_offsets(lake, "reads") == {READS_0: 102}
