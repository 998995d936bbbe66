"""Kafka into Beam: a native splittable DoFn, one element a shard, micro-batches out.

A shard is a set of partitions of one topic; its restriction is the vector of
next offsets, so the engine's checkpoint holds exactly where each partition
stands and a replay starts there. `process()` polls for about a second and
yields each poll's messages at once: what is fused behind it (decode, match,
sink) runs without waiting for the bundle to end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from alpr.errors import ConfigurationError
from beam_jobs.io.coder import BatchCoder
from beam_jobs.io.consumer import Consumer, RdKafkaConsumer
from beam_jobs.io.offsets import OffsetVector, OffsetVectorCoder, OffsetVectorTracker
from beam_jobs.io.watermark import SourceWatermark
from beam_jobs.metrics import JobMetrics, job_metrics
from ingest.codecs import Headers
from ingest.topics import beginning_offsets, end_offsets

_POLL_S: Final = 0.02
"""How long one poll may wait: as often the watermark moves on while nothing comes."""


class Shard(NamedTuple):
    """A set of partitions of one topic, read by one consumer."""

    topic: str
    partitions: tuple[int, ...]


class Batch(NamedTuple):
    """The messages of one poll of one partition, as columns of equal length.

    Covers the offsets [first, next): offsets without a message (compacted,
    aborted) belong to the batch that skipped them, so batches are gapless.
    """

    topic: str
    partition: int
    first: int
    next: int
    offsets: list[int]
    timestamps_ms: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers]

    def estimated_bytes(self) -> int:
        """Bytes of the messages' values."""
        return sum(len(value) for value in self.values if value is not None)


beam.coders.registry.register_coder(Batch, BatchCoder)


@dataclass(frozen=True)
class SourceConfig:
    """How a job reads one topic. Times are in seconds."""

    bootstrap: str
    topic: str
    job: str
    start: str = "earliest"
    """Where a job without a checkpoint starts: `earliest` or `latest`."""
    start_offsets: Mapping[int, int] | None = None
    """Offsets that overrule `start`, a partition: the lake's own, for the job that fills it."""
    max_records: int = 2000
    poll_s: float = 1.0
    """How long a `process()` call lasts while nothing came."""
    flush_s: float = 1.0
    """How long it goes on after its first message; short where a shuffle follows."""
    lateness_s: float = 1.0
    idle_s: float = 2.0
    metrics_dir: str | None = None

    def __post_init__(self) -> None:
        if self.start not in ("earliest", "latest"):
            raise ConfigurationError(f"start must be earliest or latest, not {self.start!r}")
        if not 0 < self.flush_s <= self.poll_s <= 10:
            raise ConfigurationError(
                "0 < flush_s <= poll_s <= 10 is required (a checkpoint waits for the bundle), "
                f"got flush_s={self.flush_s}, poll_s={self.poll_s}"
            )


EventTime = Callable[[int, Headers], float | None]
"""(broker timestamp in ms, headers) -> event time in Unix seconds, None if they say none."""


def broker_time(timestamp_ms: int, headers: Headers) -> float | None:
    """Event time by the broker's clock: right where no window hangs on it."""
    del headers
    return timestamp_ms / 1000.0


@dataclass
class _Connection:
    consumer: Consumer
    positions: dict[int, int]
    watermark: SourceWatermark


# Connections outlive one process() call, since connecting costs more than a bundle lasts.
# Keyed by job and shard; taken out while in use, so that no two threads hold the same one.
_connections: dict[tuple[str, str, Shard], _Connection] = {}


class ReadShard(beam.DoFn, RestrictionProvider):
    """Shard in, Batch out, timestamped with the batch's earliest event time.

    Raises Corrupt, and so fails the job, if the broker no longer holds the
    offset to go on from: messages would otherwise be lost in silence.
    """

    def __init__(
        self,
        config: SourceConfig,
        event_time: EventTime = broker_time,
        connect: Callable[[str], Consumer] = RdKafkaConsumer,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._event_time = event_time
        self._connect = connect
        self._clock = clock
        self._metrics: JobMetrics | None = None

    def setup(self) -> None:
        """Serve this process's metrics."""
        job_metrics(self._config.job).serve(self._config.metrics_dir)

    # The restriction provider

    def initial_restriction(self, element: Shard) -> OffsetVector:
        """Where a job without a checkpoint starts."""
        config = self._config
        ask = beginning_offsets if config.start == "earliest" else end_offsets
        offsets = ask(config.bootstrap, element.topic)
        given = config.start_offsets or {}
        return OffsetVector(tuple((p, given.get(p, offsets[p])) for p in element.partitions))

    def create_tracker(self, restriction: OffsetVector) -> OffsetVectorTracker:
        """See OffsetVectorTracker."""
        return OffsetVectorTracker(restriction)

    def restriction_size(self, element: Shard, restriction: OffsetVector) -> int:
        """All shards are alike."""
        return 1

    def split(self, element: Shard, restriction: OffsetVector) -> Iterator[OffsetVector]:
        """A shard starts whole."""
        yield restriction

    def truncate(self, element: Shard, restriction: OffsetVector) -> None:
        """Draining reads nothing more."""
        return

    def restriction_coder(self) -> OffsetVectorCoder:
        """See OffsetVectorCoder."""
        return OffsetVectorCoder()

    # The DoFn

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: Shard,
        tracker: Any = beam.DoFn.RestrictionParam(),
        estimator: Any = beam.DoFn.WatermarkEstimatorParam(
            ManualWatermarkEstimator.default_provider()
        ),
    ) -> Iterator[TimestampedValue]:
        """Poll for about a second, yield what comes at once, defer the rest."""
        config, clock = self._config, self._clock
        key = (config.job, config.bootstrap, element)
        connection = self._take(key, dict(tracker.current_restriction().offsets))
        started, flush_at = clock(), None
        try:
            while (now := clock()) < started + config.poll_s:
                if flush_at is not None and now >= flush_at:
                    break
                for batch, event_time in self._poll(element, connection, now):
                    if not tracker.try_claim((batch.partition, batch.next)):
                        connection.consumer.close()  # it has gone past what is left to others
                        return
                    connection.positions[batch.partition] = batch.next
                    flush_at = flush_at or now + config.flush_s
                    yield TimestampedValue(batch, event_time)
                behind = [p for p, lag in _lags(connection).items() if lag]
                self._advance(estimator, connection.watermark.current(clock(), behind))
        except BaseException:  # the bundle failed: its replay opens a connection of its own
            connection.consumer.close()
            raise
        self._report(element, connection)
        _connections[key] = connection
        tracker.defer_remainder()

    def _take(self, key: tuple[str, str, Shard], offsets: dict[int, int]) -> _Connection:
        shard, config, now = key[2], self._config, self._clock()
        connection = _connections.pop(key, None)
        if connection is not None and connection.positions == offsets:
            return connection
        # In a replay the same consumer, at another place.
        consumer = self._connect(config.bootstrap) if connection is None else connection.consumer
        consumer.assign(shard.topic, offsets)
        watermark = SourceWatermark(shard.partitions, config.lateness_s, config.idle_s, now)
        return _Connection(consumer, offsets, watermark)

    def _poll(
        self, shard: Shard, connection: _Connection, now: float
    ) -> Iterator[tuple[Batch, float]]:
        metrics = job_metrics(self._config.job)
        polled = connection.consumer.poll(_POLL_S, self._config.max_records)
        for partition, columns in polled.items():
            times = [
                t
                for stamp, headers in zip(columns.timestamps_ms, columns.headers, strict=True)
                if (t := self._event_time(stamp, headers)) is not None
            ]
            if times:
                connection.watermark.observe(partition, max(times), now)
            batch = Batch(
                shard.topic,
                partition,
                connection.positions[partition],
                columns.offsets[-1] + 1,
                *columns,
            )
            metrics.count("records_in", len(batch.offsets))
            metrics.count("source_bytes", batch.estimated_bytes())
            metrics.observe("batch_records", len(batch.offsets))
            yield batch, min(times, default=now)

    def _advance(self, estimator: Any, watermark: float) -> None:
        if watermark == float("-inf"):
            return
        stamp, current = Timestamp(watermark), estimator.current_watermark()
        if current is None or stamp > current:
            estimator.set_watermark(stamp)
            job_metrics(self._config.job).gauge("watermark_seconds", watermark)

    def _report(self, shard: Shard, connection: _Connection) -> None:
        for partition, lag in _lags(connection).items():
            job_metrics(self._config.job).gauge(
                "consumer_lag_records", lag, topic=shard.topic, partition=str(partition)
            )


def _lags(connection: _Connection) -> dict[int, int]:
    """Messages not yet read, by partition, as far as the broker has told."""
    return {
        partition: end - position
        for partition, position in connection.positions.items()
        if (end := connection.consumer.end(partition)) is not None
    }


def shards_of(topic: str, partitions: Sequence[int], count: int) -> list[Shard]:
    """The partitions dealt to `count` shards; fewer if there are fewer partitions."""
    dealt = (tuple(partitions[i::count]) for i in range(count))
    return [Shard(topic, mine) for mine in dealt if mine]


class ReadFromKafka(beam.PTransform):
    """The batches of a topic, for ever.

    The number of shards is fixed by a job's first submission: restoring a
    checkpoint brings the shards it holds.
    """

    def __init__(
        self,
        config: SourceConfig,
        shards: Sequence[Shard],
        event_time: EventTime = broker_time,
    ) -> None:
        super().__init__()
        self._config = config
        self._shards = list(shards)
        self._event_time = event_time

    def expand(self, pbegin: Any) -> Any:
        """Shards, spread over the workers, then read."""
        return (
            pbegin
            | "Shards" >> beam.Create(self._shards, reshuffle=False)
            | "Spread" >> beam.Reshuffle()
            | "Read"
            >> beam.ParDo(ReadShard(self._config, self._event_time)).with_output_types(Batch)
        )
