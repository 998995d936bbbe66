from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.runners.sdf_utils import RestrictionTrackerView, ThreadsafeRestrictionTracker
from apache_beam.utils.timestamp import Timestamp

from alpr.errors import ConfigurationError
from beam_jobs.io import source as module
from beam_jobs.io.offsets import OffsetVector, OffsetVectorTracker
from beam_jobs.io.source import Batch, ReadShard, Shard, SourceConfig, broker_time, shards_of
from tests.support.clock import FakeClock
from tests.support.kafka import FakeRecord, FakeShardConsumer
from tests.support.records import T0

NOW = T0.timestamp()
SHARD = Shard("reads", (0, 1))


class Source:
    """A ReadShard over lists, and the bundles it is run in."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        self.logs: dict[int, list[FakeRecord]] = {0: [], 1: []}
        self.consumers: list[FakeShardConsumer] = []
        config = SourceConfig("broker", "reads", "match", **settings)
        self.dofn = ReadShard(config, broker_time, self._connect, self.clock)
        self.restriction = OffsetVector(((0, 0), (1, 0)))
        self.estimator = ManualWatermarkEstimator(None)

    def _connect(self, bootstrap: str) -> FakeShardConsumer:
        self.consumers.append(FakeShardConsumer(self.clock, self.logs))
        return self.consumers[-1]

    def put(self, partition: int, *offsets: int) -> None:
        millis = int(self.clock() * 1000)
        self.logs[partition] += [FakeRecord(o, b"v%d" % o, b"k", millis) for o in offsets]

    def start(self) -> tuple[ThreadsafeRestrictionTracker, Generator[Any, None, None]]:
        tracker = ThreadsafeRestrictionTracker(OffsetVectorTracker(self.restriction))
        view = RestrictionTrackerView(tracker)
        output: Generator[Any, None, None] = self.dofn.process(SHARD, view, self.estimator)
        return tracker, output

    def bundle(self) -> list[Batch]:
        """Run process() to its end; the next bundle goes on with what it deferred."""
        tracker, output = self.start()
        batches = [stamped.value for stamped in output]
        tracker.check_done()
        deferred = tracker.deferred_status()
        assert deferred is not None
        self.restriction = deferred[0]
        return batches


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_connections", {})


def test_a_bundle_claims_what_it_yields_and_defers_the_rest() -> None:
    source = Source()
    source.put(0, 0, 1, 2)
    source.put(1, 0)
    batches = source.bundle()
    assert [(b.partition, b.first, b.next, b.offsets) for b in batches] == [
        (0, 0, 3, [0, 1, 2]),
        (1, 0, 1, [0]),
    ]
    assert batches[0].values == [b"v0", b"v1", b"v2"]
    assert source.restriction == OffsetVector(((0, 3), (1, 1)))


def test_the_next_bundle_goes_on_where_the_last_one_ended_with_the_same_connection() -> None:
    source = Source()
    source.put(0, 0, 1)
    source.bundle()
    source.put(0, 2)
    (batch,) = source.bundle()
    assert (batch.first, batch.next) == (2, 3)
    assert len(source.consumers) == 1
    assert len(source.consumers[0].assigned) == 1


def test_ranges_have_no_gaps_where_offsets_do() -> None:
    source = Source(max_records=2)
    source.put(0, 3, 4, 9, 10, 30)
    ranges = [(b.first, b.next) for b in source.bundle()]
    assert ranges == [(0, 5), (5, 11), (11, 31)]


def test_a_bundle_without_messages_ends_after_poll_s() -> None:
    source = Source(poll_s=1.0)
    assert source.bundle() == []
    assert source.clock() == pytest.approx(NOW + 1.0, abs=0.05)


def test_a_bundle_ends_flush_s_after_its_first_message() -> None:
    source = Source(poll_s=1.0, flush_s=0.1)
    source.put(0, 0)
    source.bundle()
    assert source.clock() == pytest.approx(NOW + 0.1, abs=0.05)


def test_a_message_is_yielded_before_the_bundle_ends() -> None:
    source = Source()
    source.put(0, 0)
    _, output = source.start()
    assert next(output).value.offsets == [0]
    assert source.clock() < NOW + 0.1


def test_a_replay_seeks_back_and_reads_the_same_again() -> None:
    source = Source()
    source.put(0, 0, 1, 2)
    first = source.bundle()
    source.restriction = OffsetVector(((0, 0), (1, 0)))
    assert source.bundle() == first
    assert len(source.consumers) == 1
    assert source.consumers[0].assigned == [{0: 0, 1: 0}] * 2


def test_a_batch_has_the_time_of_its_earliest_message() -> None:
    source = Source()
    source.logs[0] = [FakeRecord(0, b"", None, 5000), FakeRecord(1, b"", None, 3000)]
    _, output = source.start()
    assert next(output).timestamp == Timestamp(3)


def test_a_failing_consumer_fails_the_bundle_and_is_closed() -> None:
    source = Source()
    _, output = source.start()
    source.put(0, 0)
    next(output)
    source.consumers[0].failure = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        next(output)
    assert source.consumers[0].closed
    assert len(source.bundle()) == 1, "the replay reads with a connection of its own"
    assert len(source.consumers) == 2


def test_a_bundle_that_fails_behind_the_source_closes_its_connection() -> None:
    source = Source()
    source.put(0, 0)
    _, output = source.start()
    next(output)
    output.close()
    assert source.consumers[0].closed


def test_what_was_polled_after_a_split_is_left_to_the_rest() -> None:
    source = Source()
    tracker, output = source.start()
    assert tracker.try_split(0) is not None
    source.put(0, 0)
    assert list(output) == []
    assert source.consumers[0].closed, "its position is past what was deferred"
    assert module._connections == {}


def test_the_watermark_follows_the_messages_and_never_goes_back() -> None:
    source = Source(lateness_s=1.0, idle_s=2.0)
    source.put(0, 0)
    source.put(1, 0)
    source.bundle()
    first = source.estimator.current_watermark()
    assert float(first) == pytest.approx(NOW - 1.0, abs=0.01)
    source.restriction = OffsetVector(((0, 0), (1, 0)))  # a replay observes old times again
    source.bundle()
    assert source.estimator.current_watermark() >= first
    for _ in range(5):
        source.bundle()
    assert source.estimator.current_watermark() > first, "with nothing to read, time goes on"


def test_where_a_job_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "beginning_offsets", lambda *_: {0: 10, 1: 20})
    monkeypatch.setattr(module, "end_offsets", lambda *_: {0: 15, 1: 25})

    def first(**settings: Any) -> dict[int, int]:
        return dict(Source(**settings).dofn.initial_restriction(SHARD).offsets)

    assert first(start="earliest") == {0: 10, 1: 20}
    assert first(start="latest") == {0: 15, 1: 25}
    assert first(start_offsets={1: 22}) == {0: 10, 1: 22}


@pytest.mark.parametrize(
    "wrong", [{"start": "middle"}, {"flush_s": 0.0}, {"flush_s": 2.0}, {"poll_s": 60.0}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        SourceConfig("broker", "reads", "match", **wrong)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_shards_deal_out_every_partition_once(count: int) -> None:
    shards = shards_of("reads", [0, 1, 2, 3], count)
    assert sorted(p for shard in shards for p in shard.partitions) == [0, 1, 2, 3]
    assert len(shards) == min(count, 4)
