"""Reading a whole topic as it stands now: for tools, reports and tests, not for jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import kafka

from alpr.errors import Unavailable
from ingest.codecs import MAX_FRAME_BYTES
from ingest.topics import partitions_of

SILENCE_S: Final = 30.0
"""A broker that has messages and sends none for so long is called unavailable."""


class Message(NamedTuple):
    """One message with its position."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def open_consumer(bootstrap: str) -> kafka.KafkaConsumer:
    """A consumer without a group: positions are set by its owner and never committed.

    Where the broker no longer holds the position, `poll` raises OffsetOutOfRangeError;
    the client's default would go on at the topic's end and lose what lies between.
    """
    return kafka.KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_partition_fetch_bytes=2 * MAX_FRAME_BYTES,
        max_poll_records=2000,
    )


def snapshot(bootstrap: str, topic: str) -> Iterator[Message]:
    """Every message now in the topic, partition by partition, up to the end at the call.

    Raises Unavailable if the broker falls silent, ConfigurationError if there is no such topic.
    """
    partitions = partitions_of(bootstrap, topic)
    consumer = open_consumer(bootstrap)
    try:
        for partition in partitions:
            tp = kafka.TopicPartition(topic, partition)
            consumer.assign([tp])
            end = consumer.end_offsets([tp])[tp]
            consumer.seek_to_beginning(tp)
            for record in read_until(consumer, tp, end):
                if record.offset < end:
                    yield Message(
                        topic,
                        partition,
                        record.offset,
                        record.timestamp,
                        record.key,
                        record.value,
                        tuple(record.headers),
                    )
    finally:
        consumer.close()


def read_until(
    consumer: Any,
    tp: kafka.TopicPartition,
    end: int,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Any]:
    """The client's records of an assigned partition, from its position to offset `end` at least.

    Those beyond `end` that came with the last ones are given too: the client is past them.
    Raises Unavailable once nothing has come for `SILENCE_S`.
    """
    heard, position = clock(), consumer.position(tp)
    while position < end:
        yield from consumer.poll(timeout_ms=200).get(tp, ())
        reached = consumer.position(tp)
        if reached > position:
            heard, position = clock(), reached
        elif clock() - heard > SILENCE_S:
            raise Unavailable(
                f"{tp.topic}/{tp.partition} has messages up to offset {end}, and the broker has "
                f"sent nothing beyond {position} for {SILENCE_S:.0f} s: see `platelake status`"
            )
