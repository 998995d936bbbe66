"""The source's consumer against a real broker: places, gaps, large frames, what is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kafka import TopicPartition

from alpr.errors import Corrupt
from beam_jobs.io.consumer import Columns, RdKafkaConsumer
from infra.services.kafka import Kafka
from ingest.codecs import MAX_FRAME_BYTES
from ingest.producer import Producer
from ingest.topics import FRAMES, READS, admin, end_offsets, ensure_topics

pytestmark = pytest.mark.integration


@pytest.fixture
def consumer(kafka: Kafka) -> Iterator[RdKafkaConsumer]:
    ensure_topics(kafka.bootstrap)
    opened = RdKafkaConsumer(kafka.bootstrap)
    yield opened
    opened.close()


def read(consumer: RdKafkaConsumer, count: int, deadline_s: float = 30.0) -> list[Columns]:
    """Polls until `count` messages have come."""
    polled: list[Columns] = []
    end = time.monotonic() + deadline_s
    while sum(len(columns.offsets) for columns in polled) < count:
        assert time.monotonic() < end, f"{count} messages did not come in {deadline_s} s"
        polled += consumer.poll(0.02, 500).values()
    return polled


def send(kafka: Kafka, topic: str, *values: bytes) -> int:
    """Sends to partition 0; the offset of the first."""
    first = end_offsets(kafka.bootstrap, topic)[0]
    with Producer(kafka.bootstrap) as producer:
        for value in values:
            producer.send(topic, key=b"k", value=value, headers=[("h", b"1")], partition=0)
    return first


def test_it_reads_from_where_it_is_told_and_again_from_elsewhere(
    kafka: Kafka, consumer: RdKafkaConsumer
) -> None:
    values = [b"%d" % n for n in range(1200)]
    first = send(kafka, READS, *values)
    consumer.assign(READS, {0: first})
    polled = read(consumer, 1200)
    assert [v for columns in polled for v in columns.values] == values
    assert all(len(columns.offsets) <= 500 for columns in polled)
    assert polled[0].offsets[0] == first
    assert polled[0].keys[0] == b"k"
    assert list(polled[0].headers[0]) == [("h", b"1")]
    assert abs(polled[0].timestamps_ms[0] / 1000 - time.time()) < 60
    assert consumer.end(0) == first + 1200
    consumer.assign(READS, {0: first + 700})
    assert [v for columns in read(consumer, 500) for v in columns.values] == values[700:]


def test_the_largest_frames_come_whole(kafka: Kafka, consumer: RdKafkaConsumer) -> None:
    frames = [bytes([n]) * MAX_FRAME_BYTES for n in range(6)]
    consumer.assign(FRAMES, {0: send(kafka, FRAMES, *frames)})
    assert [v for columns in read(consumer, 6) for v in columns.values] == frames


def test_offsets_that_are_gone_are_an_error_and_not_skipped(
    kafka: Kafka, consumer: RdKafkaConsumer
) -> None:
    first = send(kafka, READS, b"1", b"2", b"3")
    client = admin(kafka.bootstrap)
    client.delete_records({TopicPartition(READS, 0): first + 2})
    client.close()
    consumer.assign(READS, {0: first})
    with pytest.raises(Corrupt, match="no longer holds"):
        read(consumer, 3)
    consumer.assign(READS, {0: first + 2})
    assert read(consumer, 1)[0].values == [b"3"]
