from __future__ import annotations

from collections.abc import Callable
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException

from alpr.errors import BadInput, PlatelakeError, Unavailable
from ingest.producer import Producer


class Client:
    """confluent_kafka.Producer with faults to order; delivers when polled or flushed."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.on_connect: KafkaError | None = None
        self.on_send: KafkaError | None = None
        self.on_acknowledge: KafkaError | None = None
        self.full = 0
        self.silent = False
        self.queue: list[tuple[Any, ...]] = []
        self.acknowledged: list[tuple[Any, ...]] = []
        self.flushed: list[float] = []

    def list_topics(self, timeout: float) -> None:
        if self.on_connect is not None:
            raise KafkaException(self.on_connect)

    def produce(
        self, topic: str, value: bytes, key: bytes, partition: int, headers: list[Any]
    ) -> None:
        if self.on_send is not None:
            raise KafkaException(self.on_send)
        if self.full:
            raise BufferError("queue full")
        self.queue.append((topic, key, value, partition, headers))

    def poll(self, timeout: float) -> int:
        self.full = max(0, self.full - 1)
        return self._deliver()

    def flush(self, timeout: float) -> int:
        self.flushed.append(timeout)
        self._deliver()
        return len(self.queue)

    def _deliver(self) -> int:
        if self.silent:
            return 0
        delivered, self.queue = self.queue, []
        for message in delivered:
            if self.on_acknowledge is None:
                self.acknowledged.append(message)
            else:
                self.settings["on_delivery"](self.on_acknowledge, message)
        return len(delivered)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()

    def connect(settings: dict[str, Any], logger: Any) -> Client:
        made.settings = settings
        return made

    monkeypatch.setattr(confluent_kafka, "Producer", connect)
    return made


def send_one(producer: Producer) -> None:
    producer.send("reads", key=b"k", value=b"v")


TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
LOST = KafkaError(KafkaError._MSG_TIMED_OUT)


def test_acknowledged_by_all_replicas_in_order_and_once(client: Client) -> None:
    Producer("127.0.0.1:1")
    assert client.settings["acks"] == "all"
    assert client.settings["enable.idempotence"] is True


def test_a_key_goes_where_other_clients_of_kafka_put_it(client: Client) -> None:
    Producer("127.0.0.1:1")
    assert client.settings["partitioner"] == "murmur2_random"


def test_what_is_sent_is_delivered(client: Client) -> None:
    with Producer("127.0.0.1:1") as producer:
        send_one(producer)
        producer.send("hits", key=None, value=None, headers=[("h", b"1")], partition=3)
    assert client.acknowledged == [
        ("reads", b"k", b"v", -1, []),
        ("hits", None, None, 3, [("h", b"1")]),
    ]


def fail_on_send(client: Client, error: KafkaError) -> None:
    client.on_send = error


def fail_on_acknowledge(client: Client, error: KafkaError) -> None:
    client.on_acknowledge = error


def never_answer(client: Client, error: KafkaError) -> None:
    client.silent = True


@pytest.mark.parametrize(
    ("fault", "error", "kind"),
    [
        (fail_on_send, TOO_LARGE, BadInput),
        (fail_on_send, KafkaError(KafkaError._FATAL), Unavailable),
        (fail_on_acknowledge, TOO_LARGE, BadInput),
        (fail_on_acknowledge, LOST, Unavailable),
        (never_answer, LOST, Unavailable),
    ],
)
def test_no_fault_of_the_client_goes_unnoticed(
    client: Client,
    fault: Callable[[Client, KafkaError], None],
    error: KafkaError,
    kind: type[PlatelakeError],
) -> None:
    producer = Producer("127.0.0.1:1")
    fault(client, error)

    def deliver() -> None:
        send_one(producer)
        producer.flush()

    with pytest.raises(kind):
        deliver()


def test_a_fault_is_told_once_and_what_follows_is_sent(client: Client) -> None:
    producer = Producer("127.0.0.1:1")
    client.on_acknowledge = LOST
    send_one(producer)
    with pytest.raises(Unavailable):
        producer.flush()
    client.on_acknowledge = None
    send_one(producer)
    producer.flush()
    assert len(client.acknowledged) == 1


def test_a_failed_message_is_found_on_the_way_and_not_only_at_the_flush(client: Client) -> None:
    producer = Producer("127.0.0.1:1")
    client.on_acknowledge = LOST
    send_one(producer)
    with pytest.raises(Unavailable):
        send_one(producer)


def test_a_full_queue_is_waited_for(client: Client) -> None:
    producer = Producer("127.0.0.1:1")
    client.full = 3
    send_one(producer)
    assert len(client.acknowledged) == 1


def test_a_queue_that_stays_full_until_messages_time_out_is_an_error(client: Client) -> None:
    producer = Producer("127.0.0.1:1")
    client.silent = True
    send_one(producer)
    client.full, client.silent, client.on_acknowledge = 3, False, LOST
    with pytest.raises(Unavailable):
        send_one(producer)


def test_leaving_the_block_flushes_and_closes(client: Client) -> None:
    client.silent = True
    with pytest.raises(Unavailable), Producer("127.0.0.1:1") as producer:
        send_one(producer)
    assert client.flushed == [120.0, 10.0]


def test_leaving_the_block_by_an_error_closes_and_keeps_the_error(client: Client) -> None:
    client.silent = True
    with pytest.raises(KeyError), Producer("127.0.0.1:1"):
        raise KeyError
    assert client.flushed == [10.0]


def test_no_broker_is_said_with_what_to_do(client: Client) -> None:
    client.on_connect = KafkaError(KafkaError._TRANSPORT)
    with pytest.raises(Unavailable, match="platelake up"):
        Producer("127.0.0.1:1")
