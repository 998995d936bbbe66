"""Kafka made of lists: a change feed, a consumer, a producer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kafka import TopicPartition

from alpr.records import HotlistChange
from beam_jobs.io.consumer import Columns
from ingest.codecs import Headers
from tests.support.clock import FakeClock


class FakeFeed:
    """The changes topic as a list; `oldest` is what compaction has left as its first offset."""

    def __init__(self, changes: Sequence[HotlistChange] = (), oldest: int = 0) -> None:
        self.changes = list(changes)
        self.oldest = oldest
        self._position = 0
        self.bad = 0

    def start(self, offset: int) -> int:
        self._position = max(offset, self.oldest)
        return self._position

    def catch_up(self) -> list[tuple[int, HotlistChange]]:
        return self.poll()

    def poll(self) -> list[tuple[int, HotlistChange]]:
        news = list(enumerate(self.changes))[self._position :]
        self._position = max(self._position, len(self.changes))
        return news


class FakeRecord(NamedTuple):
    """The part of kafka-python's ConsumerRecord that is used."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = 0
    headers: Headers = ()


@dataclass
class FakeConsumer:
    """Hands out what a test has put in `logs`; every poll takes `poll_s` of the clock."""

    clock: FakeClock
    logs: dict[int, list[FakeRecord]] = field(default_factory=dict)
    poll_s: float = 0.02
    topic: str = "reads"
    failure: Exception | None = None
    positions: dict[int, int] = field(default_factory=dict)
    seeks: list[tuple[int, int]] = field(default_factory=list)
    closed: bool = False

    def assign(self, partitions: list[Any]) -> None:
        self.positions = {tp.partition: 0 for tp in partitions}

    def seek(self, partition: Any, offset: int) -> None:
        self.positions[partition.partition] = offset
        self.seeks.append((partition.partition, offset))

    def position(self, partition: Any) -> int:
        return self.positions[partition.partition]

    def poll(self, timeout_ms: int, max_records: int = 2000) -> dict[Any, list[FakeRecord]]:
        self.clock.advance(self.poll_s)
        if self.failure is not None:
            raise self.failure
        polled = {}
        for partition, position in self.positions.items():
            log = self.logs.get(partition, [])
            records = [r for r in log if r.offset >= position][:max_records]
            if records:
                polled[TopicPartition(self.topic, partition)] = records
                self.positions[partition] = records[-1].offset + 1
        return polled

    def highwater(self, partition: Any) -> int | None:
        log = self.logs.get(partition.partition)
        return log[-1].offset + 1 if log else None

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeShardConsumer:
    """The source's consumer over what a test has put in `logs`; a poll takes `poll_s`."""

    clock: FakeClock
    logs: dict[int, list[FakeRecord]]
    poll_s: float = 0.02
    failure: Exception | None = None
    positions: dict[int, int] = field(default_factory=dict)
    assigned: list[dict[int, int]] = field(default_factory=list)
    closed: bool = False

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        self.positions = dict(offsets)
        self.assigned.append(dict(offsets))

    def poll(self, timeout_s: float, max_records: int) -> dict[int, Columns]:
        self.clock.advance(self.poll_s)
        if self.failure is not None:
            raise self.failure
        polled = {}
        for partition, position in self.positions.items():
            log = self.logs.get(partition, [])
            if records := [r for r in log if r.offset >= position][:max_records]:
                polled[partition] = Columns(
                    [r.offset for r in records],
                    [r.timestamp for r in records],
                    [r.key for r in records],
                    [r.value for r in records],
                    [r.headers for r in records],
                )
                self.positions[partition] = records[-1].offset + 1
        return polled

    def end(self, partition: int) -> int | None:
        log = self.logs.get(partition)
        return log[-1].offset + 1 if log else None

    def close(self) -> None:
        self.closed = True


class Sent(NamedTuple):
    """One message given to a FakeProducer."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int | None


class FakeProducer:
    """Keeps what is sent; a message counts as acknowledged once flushed."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.pending: list[Sent] = []
        self.acknowledged: list[Sent] = []
        self.closed = False

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        self.pending.append(Sent(topic, key, value, tuple(headers), partition))

    def flush(self, timeout_s: float = 120.0) -> None:
        if self.failure is not None:
            raise self.failure
        self.acknowledged += self.pending
        self.pending = []

    def close(self) -> None:
        self.closed = True
