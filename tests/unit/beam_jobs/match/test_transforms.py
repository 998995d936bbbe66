from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from alpr.records import Hit, HotlistChange, HotlistEntry, Read
from beam_jobs.decode import Records
from beam_jobs.match.transforms import MatchConfig, MatchReads, encode_hit
from beam_jobs.metrics import job_metrics
from ingest.codecs import decode_hit
from ingest.hotlists.snapshot import write_snapshot
from tests.support.kafka import FakeFeed
from tests.support.records import T0, at, make_change, make_entry, make_hit, make_read

MATCHED = at(2)
ENTRY = make_entry("ABC1")


def make_records(*reads: Read, first: int = 0) -> Records[Read]:
    offsets = list(range(first, first + len(reads)))
    millis = [int(T0.timestamp() * 1000)] * len(reads)
    return Records("reads", 0, first, first + len(reads), offsets, millis, list(reads))


class Job:
    """A MatchReads on a list in a folder and a feed to push changes to."""

    def __init__(self, store: Path, *entries: HotlistEntry, remembered: int = 1000) -> None:
        self.feed = FakeFeed()
        write_snapshot(store, entries, T0, 0)
        self.config = MatchConfig("broker", str(store), 300.0, remembered)
        self.restart()

    def restart(self) -> None:
        self.dofn = MatchReads(self.config, lambda _: self.feed, self._now)
        self.dofn.setup()

    @staticmethod
    def _now() -> datetime:
        return MATCHED

    def match(self, *reads: Read) -> list[Hit]:
        return list(self.dofn.process(make_records(*reads)))

    def change(self, change: HotlistChange) -> None:
        self.feed.changes.append(change)


def test_hits_of_a_batch_come_in_the_order_of_its_reads(tmp_path: Path) -> None:
    other = make_entry("XYZ9")
    job = Job(tmp_path, ENTRY, other)
    hits = job.match(make_read("XYZ9"), make_read("NONE"), make_read("ABC1"))
    assert [hit.plate for hit in hits] == ["XYZ9", "ABC1"]
    assert {hit.matched_at for hit in hits} == {MATCHED}


def test_a_read_that_comes_twice_gives_one_hit(tmp_path: Path) -> None:
    job = Job(tmp_path, ENTRY)
    read = make_read("ABC1")
    assert len(job.match(read, read)) == 1
    assert job.match(read) == []


def test_after_a_restart_it_is_sent_again_with_the_same_id(tmp_path: Path) -> None:
    job = Job(tmp_path, ENTRY)
    (before,) = job.match(make_read("ABC1"))
    job.restart()
    (again,) = job.match(make_read("ABC1"))
    assert again.hit_id == before.hit_id


def test_memory_of_sent_hits_is_bounded(tmp_path: Path) -> None:
    job = Job(tmp_path, ENTRY, remembered=2)
    reads = [make_read("ABC1", seconds=s) for s in range(3)]
    assert len(job.match(*reads)) == 3
    assert len(job.match(reads[0])) == 1, "forgotten, so sent again: the id is the same"
    assert job.match(reads[2]) == []


def test_inside_the_cool_down_hits_are_sent_without_sounding(tmp_path: Path) -> None:
    job = Job(tmp_path, ENTRY)
    hits = job.match(*(make_read("ABC1", seconds=s) for s in (0, 10, 400)))
    assert [hit.alert for hit in hits] == [True, False, True]


def test_late_and_out_of_order_reads_hit_by_what_was_in_force_at_capture(tmp_path: Path) -> None:
    job = Job(tmp_path, make_entry("ABC1", valid_from=at(0), valid_to=at(100)))
    hits = job.match(*(make_read("ABC1", seconds=s) for s in (500, 50, -50, 99)))
    assert [hit.captured_at for hit in hits] == [at(50), at(99)]


def test_a_change_is_in_force_with_the_next_batch_and_the_hit_names_the_version(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path)
    assert job.match(make_read("ABC1")) == []
    job.change(make_change(ENTRY))
    (hit,) = job.match(make_read("ABC1", seconds=1))
    assert hit.list_version.endswith("+1")
    job.change(make_change(ENTRY, removed=True))
    assert job.match(make_read("ABC1", seconds=2)) == []


def test_an_empty_batch_gives_nothing(tmp_path: Path) -> None:
    assert Job(tmp_path, ENTRY).match() == []


def test_processing_before_setup_is_an_error(tmp_path: Path) -> None:
    dofn = MatchReads(MatchConfig("broker", str(tmp_path)))
    with pytest.raises(ValueError, match="before setup"):
        list(dofn.process(make_records()))


def test_a_hit_is_keyed_by_its_camera() -> None:
    hit = make_hit()
    message = encode_hit(hit)
    assert message.key == b"pd/cam-1"
    assert decode_hit(message.value) == hit


def test_a_change_that_was_passed_over_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> float:
        name = "platelake_match_hotlist_changes_bad_total"
        return job_metrics("match").registry.get_sample_value(name) or 0.0

    job = Job(tmp_path, ENTRY)
    poll, before = job.feed.poll, counted()

    def poll_past_a_bad_one() -> list[tuple[int, HotlistChange]]:
        job.feed.bad += 1
        return poll()

    monkeypatch.setattr(job.feed, "poll", poll_past_a_bad_one)
    job.match(make_read("ABC1"))
    assert counted() - before == 1
