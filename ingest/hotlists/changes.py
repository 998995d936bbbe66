"""The changes topic: what people and loads have changed since the snapshot was built."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from kafka import TopicPartition

from alpr.errors import BadInput
from alpr.records import HotlistChange
from ingest.codecs import decode_change, encode
from ingest.consumer import open_consumer, read_until
from ingest.producer import Sender
from ingest.topics import HOTLIST_CHANGES

Change = tuple[int, HotlistChange]
"""A change with its offset; the topic has one partition, so offsets order all changes."""


class ChangeFeed(Protocol):
    """Where a worker's hot-list index gets its changes from."""

    bad: int
    """Changes passed over because they could not be decoded."""

    def start(self, offset: int) -> int:
        """Go on from this offset; the offset really started from."""

    def catch_up(self) -> list[Change]:
        """All changes up to the end of the topic at the call; waits for them."""

    def poll(self) -> list[Change]:
        """Changes that have come since; does not wait."""


class KafkaChangeFeed:
    """The changes topic, read by one worker from the snapshot's offset on.

    A change that cannot be decoded is skipped and counted in `bad`: one broken
    message must not blind every worker to the changes after it.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str = HOTLIST_CHANGES,
        connect: Callable[[str], Any] = open_consumer,
    ) -> None:
        self._consumer = connect(bootstrap)
        self._tp = TopicPartition(topic, 0)
        self._consumer.assign([self._tp])
        self.bad = 0

    def start(self, offset: int) -> int:
        """Go on from this offset, or from the oldest kept if compaction has passed it."""
        oldest = self._consumer.beginning_offsets([self._tp])[self._tp]
        begin = max(offset, oldest)
        self._consumer.seek(self._tp, begin)
        return int(begin)

    def catch_up(self) -> list[Change]:
        """All changes up to the end of the topic at the call. Raises Unavailable."""
        end = self._consumer.end_offsets([self._tp])[self._tp]
        return self._decoded(read_until(self._consumer, self._tp, end))

    def poll(self) -> list[Change]:
        """Changes that have come since."""
        return self._decoded(self._consumer.poll(timeout_ms=0).get(self._tp, ()))

    def _decoded(self, records: Iterable[Any]) -> list[Change]:
        changes: list[Change] = []
        for record in records:
            try:
                changes.append((record.offset, decode_change(record.value)))
            except BadInput:
                self.bad += 1
        return changes

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def publish(producer: Sender, change: HotlistChange, topic: str = HOTLIST_CHANGES) -> None:
    """Send one change; in force once `producer.flush()` has returned and workers have polled."""
    producer.send(topic, key=change.entry_id.encode(), value=encode(change), partition=0)
