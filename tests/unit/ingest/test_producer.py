from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kafka
import pytest
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from alpr.errors import BadInput, PlatelakeError, Unavailable
from ingest.producer import Producer


class Future:
    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.is_done = True

    def get(self, timeout: float) -> None:
        if self._error is not None:
            raise self._error


class Client:
    """kafka.KafkaProducer with faults to order."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.on_send: Exception | None = None
        self.on_acknowledge: Exception | None = None
        self.on_flush: Exception | None = None
        self.closed = False

    def send(self, topic: str, **message: Any) -> Future:
        if self.on_send is not None:
            raise self.on_send
        return Future(self.on_acknowledge)

    def flush(self, timeout: float) -> None:
        if self.on_flush is not None:
            raise self.on_flush

    def close(self, timeout: float) -> None:
        self.closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()

    def connect(**settings: Any) -> Client:
        made.settings = settings
        return made

    monkeypatch.setattr(kafka, "KafkaProducer", connect)
    return made


def send_one(producer: Producer) -> None:
    producer.send("reads", key=b"k", value=b"v")


def test_acknowledged_by_all_replicas_in_order_and_once(client: Client) -> None:
    Producer("127.0.0.1:1")
    assert client.settings["acks"] == "all"
    assert client.settings["enable_idempotence"] is True


def fail_on_send(client: Client, error: Exception) -> None:
    client.on_send = error


def fail_on_acknowledge(client: Client, error: Exception) -> None:
    client.on_acknowledge = error


def fail_on_flush(client: Client, error: Exception) -> None:
    client.on_flush = error


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        (fail_on_send, MessageSizeTooLargeError("9"), BadInput),
        (fail_on_send, KafkaTimeoutError("no metadata"), Unavailable),
        (fail_on_acknowledge, MessageSizeTooLargeError("9"), BadInput),
        (fail_on_acknowledge, KafkaError("lost"), Unavailable),
        (fail_on_flush, KafkaTimeoutError("slow"), Unavailable),
    ],
)
def test_no_fault_of_the_client_goes_unnoticed(
    client: Client,
    fault: Callable[[Client, Exception], None],
    error: Exception,
    kind: type[PlatelakeError],
) -> None:
    producer = Producer("127.0.0.1:1")
    fault(client, error)

    def deliver() -> None:
        send_one(producer)
        producer.flush()

    with pytest.raises(kind):
        deliver()


def test_a_failed_message_is_found_on_the_way_and_not_only_at_the_flush(client: Client) -> None:
    producer = Producer("127.0.0.1:1")
    client.on_acknowledge = KafkaError("lost")

    def send_many() -> None:
        for _ in range(5000):
            send_one(producer)

    with pytest.raises(Unavailable):
        send_many()


def test_leaving_the_block_flushes_and_closes(client: Client) -> None:
    client.on_flush = KafkaTimeoutError("slow")
    with pytest.raises(Unavailable), Producer("127.0.0.1:1"):
        pass
    assert client.closed


def test_leaving_the_block_by_an_error_closes_and_keeps_the_error(client: Client) -> None:
    client.on_flush = KafkaTimeoutError("slow")
    with pytest.raises(KeyError), Producer("127.0.0.1:1"):
        raise KeyError
    assert client.closed


def test_no_broker_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**settings: Any) -> None:
        raise KafkaError("no brokers")

    monkeypatch.setattr(kafka, "KafkaProducer", refuse)
    with pytest.raises(Unavailable, match="platelake up"):
        Producer("127.0.0.1:1")
