from __future__ import annotations

import pytest

from alpr.errors import BadInput, Unavailable
from beam_jobs.io.sink import Outgoing, WriteToKafka
from tests.support.kafka import FakeProducer


def sink_of(producer: FakeProducer) -> WriteToKafka:
    sink = WriteToKafka("broker", "hits", "match", connect=lambda *_, **__: producer)
    sink.setup()
    sink.start_bundle()
    return sink


def test_a_message_goes_out_at_once_and_counts_when_acknowledged() -> None:
    producer = FakeProducer()
    sink = sink_of(producer)
    sink.process(Outgoing(b"k", b"v", (("h", b"1"),)))
    assert [(m.topic, m.key, m.value, m.headers) for m in producer.pending] == [
        ("hits", b"k", b"v", (("h", b"1"),))
    ]
    sink.finish_bundle()
    assert len(producer.acknowledged) == 1
    assert producer.pending == []


def test_a_failing_flush_fails_the_bundle() -> None:
    sink = sink_of(FakeProducer(failure=Unavailable("no broker")))
    sink.process(Outgoing(b"k", b"v"))
    with pytest.raises(Unavailable):
        sink.finish_bundle()


def test_an_empty_bundle_asks_the_broker_nothing() -> None:
    sink = sink_of(FakeProducer(failure=Unavailable("no broker")))
    sink.finish_bundle()


def test_a_message_too_large_fails_the_job_since_records_are_bounded() -> None:
    class Refusing(FakeProducer):
        def send(self, *args: object, **kwargs: object) -> None:
            raise BadInput("message-too-large", "9 bytes")

    with pytest.raises(ValueError, match="hits message cannot be sent"):
        sink_of(Refusing()).process(Outgoing(b"k", b"v"))


def test_the_connection_lasts_as_long_as_the_worker() -> None:
    producer = FakeProducer()
    sink = sink_of(producer)
    for _ in range(3):
        sink.start_bundle()
        sink.process(Outgoing(None, b"v"))
        sink.finish_bundle()
    still_open = not producer.closed
    sink.teardown()
    assert (still_open, producer.closed) == (True, True)
    assert len(producer.acknowledged) == 3
