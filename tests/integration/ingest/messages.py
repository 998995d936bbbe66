"""Reads back what is in a topic with a plain consumer, apart from the product's own."""

from __future__ import annotations

from typing import NamedTuple

import kafka

Headers = list[tuple[str, bytes]]


class Message(NamedTuple):
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def messages(
    bootstrap: str, topic: str, begin: dict[int, int], end: dict[int, int]
) -> list[Message]:
    """All messages of `topic` from the offsets `begin` to before the offsets `end`."""
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, consumer_timeout_ms=20_000
    )
    found: list[Message] = []
    try:
        for partition in sorted(end):
            left = end[partition] - begin[partition]
            if left == 0:
                continue
            where = kafka.TopicPartition(topic, partition)
            consumer.assign([where])
            consumer.seek(where, begin[partition])
            for _ in range(left):
                m = next(consumer)
                found.append(Message(partition, m.offset, m.key, m.value, list(m.headers)))
    finally:
        consumer.close()
    return found
