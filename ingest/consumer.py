"""Reading a whole topic as it stands now: for tools, reports and tests, not for jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import kafka

from ingest.codecs import MAX_FRAME_BYTES
from ingest.topics import partitions_of


class Message(NamedTuple):
    """One message with its position."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def open_consumer(bootstrap: str) -> kafka.KafkaConsumer:
    """A consumer without a group: positions are set by its owner and never committed."""
    return kafka.KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        max_partition_fetch_bytes=2 * MAX_FRAME_BYTES,
        max_poll_records=2000,
    )


def snapshot(bootstrap: str, topic: str) -> Iterator[Message]:
    """Every message now in the topic, partition by partition, up to the end at the call."""
    consumer = open_consumer(bootstrap)
    try:
        for partition in partitions_of(bootstrap, topic):
            tp = kafka.TopicPartition(topic, partition)
            consumer.assign([tp])
            end = consumer.end_offsets([tp])[tp]
            consumer.seek_to_beginning(tp)
            while consumer.position(tp) < end:
                for record in consumer.poll(timeout_ms=500).get(tp, ()):
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
