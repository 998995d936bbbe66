from __future__ import annotations

from typing import Any

import kafka
import pytest

from alpr.errors import Unavailable
from ingest.consumer import SILENCE_S, open_consumer, read_until
from tests.support.clock import FakeClock
from tests.support.kafka import FakeConsumer, FakeRecord

TP = kafka.TopicPartition("reads", 0)


def consumer_of(*offsets: int, clock: FakeClock, poll_s: float = 0.02) -> FakeConsumer:
    log = [FakeRecord(offset, b"x") for offset in offsets]
    consumer = FakeConsumer(clock, {0: log}, poll_s)
    consumer.assign([TP])
    return consumer


def test_reads_up_to_the_end_over_offsets_without_messages() -> None:
    clock = FakeClock()
    consumer = consumer_of(2, 3, 9, clock=clock)
    assert [r.offset for r in read_until(consumer, TP, 10, clock)] == [2, 3, 9]


def test_what_came_beyond_the_end_is_given_too_since_the_client_is_past_it() -> None:
    clock = FakeClock()
    consumer = consumer_of(0, 1, 2, clock=clock)
    assert [r.offset for r in read_until(consumer, TP, 2, clock)] == [0, 1, 2]


def test_an_empty_topic_needs_no_poll() -> None:
    clock = FakeClock()
    consumer = consumer_of(clock=clock)
    consumer.failure = AssertionError("polled")
    assert list(read_until(consumer, TP, 0, clock)) == []


def test_a_broker_that_falls_silent_is_unavailable() -> None:
    clock = FakeClock()
    consumer = consumer_of(0, clock=clock, poll_s=SILENCE_S / 4)
    with pytest.raises(Unavailable, match="up to offset 5"):
        list(read_until(consumer, TP, 5, clock))


def test_an_offset_that_is_gone_raises_and_is_never_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's default goes on at the end of the topic: a silent loss."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(kafka, "KafkaConsumer", lambda **settings: given.update(settings))
    open_consumer("127.0.0.1:1")
    assert given["auto_offset_reset"] == "none"
    assert given["enable_auto_commit"] is False
    assert given["group_id"] is None
