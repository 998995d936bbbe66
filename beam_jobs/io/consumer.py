"""The Kafka client behind the source: librdkafka, and messages as columns.

It fetches and checks in threads of its own outside Python, at a quarter of the
processor time a record that the pure Python client takes (docs/performance.md);
tools and the hot list's changes, where that does not matter, use the other one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from alpr.errors import Corrupt, Unavailable
from ingest.codecs import Headers
from ingest.producer import CLIENT_LOG

_GONE: Final = frozenset(
    {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._LOG_TRUNCATION}
)
_FETCH_BYTES: Final = 4 * 1024 * 1024
_QUEUE_KIB: Final = 16 * 1024


class Columns(NamedTuple):
    """Messages of one partition in the order of their offsets, as columns of equal length."""

    offsets: list[int]
    timestamps_ms: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[Headers]


class Consumer(Protocol):
    """Where the source gets its messages from; tests give their own."""

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        """Read these partitions from these offsets on, and nothing that was read ahead before."""

    def poll(self, timeout_s: float, max_records: int) -> Mapping[int, Columns]:
        """The next messages by partition, as soon as there are any; empty if none came in time.

        Raises Corrupt if the broker no longer holds the offset to go on from, Unavailable for
        whatever else the client cannot mend by trying again.
        """

    def end(self, partition: int) -> int | None:
        """Next offset to be written, as last heard from the broker."""

    def close(self) -> None:
        """Close the connections."""


class RdKafkaConsumer:
    """A consumer without a group: its owner sets the positions, and nothing is committed.

    While no broker answers it goes on trying, and `poll` gives nothing.
    """

    def __init__(self, bootstrap: str) -> None:
        self._topic = ""
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": "platelake",
                # The client demands a name; without a subscription no group comes of it.
                "group.id": "platelake",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # Going on elsewhere than at the position given would lose what lies between.
                "auto.offset.reset": "error",
                "check.crcs": True,
                # Of each partition at a time; a larger message comes alone. The client keeps what
                # it fetched until the last message of it is taken: this bounds its memory.
                "fetch.message.max.bytes": _FETCH_BYTES,
                # Read ahead for half a second or so, and never wait one when that is full.
                "queued.max.messages.kbytes": _QUEUE_KIB,
                "fetch.queue.backoff.ms": 10,
                "reconnect.backoff.max.ms": 1000,
                "max.poll.interval.ms": 86_400_000,
                "enable.metrics.push": False,
                "error_cb": _report,
            },
            logger=CLIENT_LOG,
        )

    def assign(self, topic: str, offsets: Mapping[int, int]) -> None:
        """See Consumer."""
        self._topic = topic
        self._consumer.assign([TopicPartition(topic, p, offset) for p, offset in offsets.items()])

    def poll(self, timeout_s: float, max_records: int) -> Mapping[int, Columns]:
        """See Consumer."""
        # Asked for many, the client waits until it has them all or the time is over: so for one.
        first = self._consumer.poll(timeout_s)
        if first is None:
            return {}
        by_partition: defaultdict[Any, list[Message]] = defaultdict(list)
        for message in (first, *self._consumer.consume(max_records - 1, 0)):
            error = message.error()
            if error is not None:
                raise self._failure(error)
            by_partition[message.partition()].append(message)
        return {partition: _columns(mine) for partition, mine in by_partition.items()}

    def _failure(self, error: KafkaError) -> Corrupt | Unavailable:
        if error.code() in _GONE:
            return Corrupt(
                f"topic {self._topic} no longer holds the offsets to go on from ({error}): "
                "messages expired or were lost before they were read. To accept the loss "
                "start the job without its checkpoint"
            )
        return Unavailable(f"topic {self._topic} cannot be read: {error}")

    def end(self, partition: int) -> int | None:
        """See Consumer."""
        try:
            known = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, partition), cached=True
            )
        except KafkaException:
            return None
        return known[1] if known is not None and known[1] >= 0 else None

    def close(self) -> None:
        """See Consumer."""
        self._consumer.close()


# Any: by the client's types a message made by hand may lack what one from a broker always has.
def _columns(messages: Sequence[Any]) -> Columns:
    return Columns(
        offsets=[message.offset() for message in messages],
        timestamps_ms=[message.timestamp()[1] for message in messages],
        keys=[message.key() for message in messages],
        values=[message.value() for message in messages],
        headers=[message.headers() or () for message in messages],
    )


def _report(error: KafkaError) -> None:
    CLIENT_LOG.warning("%s", error)
