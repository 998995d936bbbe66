"""The comparison must notice whatever can go wrong: it is what all other proofs rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alpr.ids import entry_id
from alpr.records import HotlistEntry
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from cli.balance import Arrivals, Arrived, balance
from tests.contract.lake.samples import DAY, make_hit, make_reads, stage, stage_hit_group

READS = make_reads(6)
STRANGER = Arrived(make_reads(1, first=9)[0], 0.0)
ENTRY = HotlistEntry(
    entry_id=entry_id("test", "1"),
    source="test",
    plate=READS[0].plate,
    category="bolo",
    valid_from=DAY - timedelta(days=1),
)
OVER = HotlistEntry(
    entry_id=entry_id("test", "2"),
    source="test",
    plate=READS[1].plate,
    category="bolo",
    valid_from=DAY - timedelta(days=2),
    valid_to=DAY - timedelta(days=1),
)
HIT = make_hit(READS[0], ENTRY.entry_id)
TOPICS = Arrivals([Arrived(read, 0.0) for read in READS], [Arrived(HIT, 0.0)], 0)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    made = Lake(LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake"))
    made.init()
    Committer(made, "reads").commit([stage(made, READS)])
    Committer(made, "hits").commit([stage_hit_group(made, [HIT])])
    yield made
    made.close()


def test_all_is_there_once(lake: Lake) -> None:
    found = balance(TOPICS, lake, [ENTRY, OVER])
    assert found.sound
    assert (found.reads_emitted, found.reads_landed) == (6, 6)
    assert (found.hits_expected, found.hits_emitted, found.hits_landed) == (1, 1, 1)


def test_a_message_sent_twice_is_sound_and_counted(lake: Lake) -> None:
    twice = Arrivals(TOPICS.reads * 2, TOPICS.hits * 3, 0)
    found = balance(twice, lake, [ENTRY])
    assert found.sound
    assert (found.reads_repeated, found.hits_repeated) == (6, 2)


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("reads_unexplained", lambda a: replace(a, reads=a.reads[1:])),
        ("reads_missing", lambda a: replace(a, reads=[*a.reads, STRANGER])),
        ("hits_missing", lambda a: replace(a, hits=[])),
        ("hits_not_landed", lambda a: replace(a, hits=[*a.hits, Arrived(make_hit(READS[2]), 0)])),
        ("dead_letters", lambda a: replace(a, dead_letters=1)),
    ],
)
def test_what_is_not_on_both_sides_is_noticed(
    lake: Lake, what: str, wrong: Callable[[Arrivals], Arrivals]
) -> None:
    found = balance(wrong(TOPICS), lake, [ENTRY])
    assert getattr(found, what) == 1
    assert not found.sound


def test_a_hit_that_no_list_implies_is_noticed(lake: Lake) -> None:
    found = balance(TOPICS, lake, [OVER])
    assert (found.hits_expected, found.hits_unexplained) == (0, 1)
    assert not found.sound


@pytest.mark.parametrize(("table", "count"), [("reads", 6), ("hits", 1)])
def test_doubled_rows_are_noticed(lake: Lake, table: str, count: int) -> None:
    stored = lake.table(table)
    stored.append(stored.scan().to_arrow())
    found = balance(TOPICS, lake, [ENTRY])
    assert getattr(found, f"{table}_doubled") == count
    assert not found.sound
