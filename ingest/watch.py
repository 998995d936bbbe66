"""Following a topic from now on, for people who look on: never blocks long, keeps no offsets."""

from __future__ import annotations

from collections.abc import Iterator

from kafka import TopicPartition

from ingest.consumer import Message, open_consumer
from ingest.topics import partitions_of


class Follower:
    """The messages of one topic as they come, from its end at the start on."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = open_consumer(bootstrap)
        self._parts = [TopicPartition(topic, p) for p in partitions_of(bootstrap, topic)]
        self._consumer.assign(self._parts)
        self._consumer.seek_to_end(*self._parts)

    def poll(self, timeout_ms: int = 0) -> Iterator[Message]:
        """What has come since the last call."""
        for tp, records in self._consumer.poll(timeout_ms=timeout_ms).items():
            for record in records:
                yield Message(
                    tp.topic,
                    tp.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    record.value,
                    tuple(record.headers),
                )

    def written(self) -> int:
        """Messages written to the topic so far, expired ones included."""
        return sum(self._consumer.end_offsets(self._parts).values())

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
