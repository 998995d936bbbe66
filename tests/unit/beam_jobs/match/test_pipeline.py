from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import TimestampedValue

from alpr.records import Hit, Read
from beam_jobs.io.source import Batch
from beam_jobs.match.pipeline import match_reads
from beam_jobs.match.transforms import MatchConfig, MatchReads
from ingest.codecs import encode
from ingest.hotlists.changes import ChangeFeed
from ingest.hotlists.snapshot import write_snapshot
from tests.support.beam import make_batch, run
from tests.support.kafka import FakeFeed
from tests.support.records import T0, at, make_entry, make_read

NOON = T0.timestamp()


def no_changes(config: MatchConfig) -> ChangeFeed:
    return FakeFeed()


def batch(*reads: Read, first: int = 0) -> Any:
    return make_batch([encode(read) for read in reads], first)


def run_match(store: Path, stream: Any, output: str) -> list[Any]:
    matcher = MatchReads(MatchConfig("broker", str(store)), no_changes)
    return run(lambda p: getattr(match_reads(p | stream, matcher, 0.5), output))


def stream_of(*steps: Batch | float) -> Any:
    """Batches, and between them seconds after noon to which the watermark goes."""
    stream = Stream().advance_watermark_to(NOON)
    for step in steps:
        if isinstance(step, Batch):
            stream = stream.add_elements([TimestampedValue(step, NOON)])
        else:
            stream = stream.advance_watermark_to(NOON + step)
    return stream.advance_watermark_to_infinity()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_snapshot(tmp_path, [make_entry("ABC1", valid_from=at(0), valid_to=at(100))], T0, 0)
    return tmp_path


def moments(hits: list[Hit]) -> list[float]:
    return sorted((hit.captured_at - T0).total_seconds() for hit in hits)


def test_late_reads_are_matched_however_far_the_watermark_is(store: Path) -> None:
    stream = stream_of(batch(make_read("ABC1", 200)), 3600.0, batch(make_read("ABC1", 50), first=1))
    assert moments(run_match(store, stream, "hits")) == [50]


def test_reads_out_of_order_are_each_judged_by_their_capture(store: Path) -> None:
    reads = [make_read("ABC1", s) for s in (99, 0, 100, -1, 1)]
    assert moments(run_match(store, stream_of(batch(*reads)), "hits")) == [0, 1, 99]


def test_a_read_that_comes_twice_gives_one_hit(store: Path) -> None:
    read = make_read("ABC1", 5)
    stream = stream_of(batch(read), 60.0, batch(read, first=1))
    assert len({hit.hit_id for hit in run_match(store, stream, "hits")}) == 1


def test_bad_messages_go_to_the_dead_letters_and_stop_nothing(store: Path) -> None:
    good = encode(make_read("ABC1", 5))
    stream = stream_of(make_batch([b"{", good, None]))
    assert moments(run_match(store, stream, "hits")) == [5]
    dead = run_match(store, stream_of(make_batch([b"{", good, None])), "dead")
    assert sorted(letter.reason for letter in dead) == ["empty-message", "not-json"]
