from __future__ import annotations

from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from alpr.errors import Corrupt, PlatelakeError, Unavailable
from beam_jobs.io.consumer import Columns, RdKafkaConsumer


class Client:
    """confluent_kafka.Consumer that hands out what a test has put in `queue`."""

    def __init__(self, settings: dict[str, Any], logger: Any) -> None:
        self.settings = settings
        self.queue: list[Message] = []
        self.assigned: list[tuple[str, int, int]] = []
        self.ends: dict[int, int] = {}
        self.closed = False

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = [(tp.topic, tp.partition, tp.offset) for tp in partitions]

    def poll(self, timeout: float) -> Message | None:
        return self.queue.pop(0) if self.queue else None

    def consume(self, num_messages: int, timeout: float) -> list[Message]:
        assert timeout == 0, "waiting until there are so many would hold up those that are there"
        taken, self.queue = self.queue[:num_messages], self.queue[num_messages:]
        return taken

    def get_watermark_offsets(self, partition: TopicPartition, cached: bool) -> tuple[int, int]:
        assert cached, "asking the broker at every poll would cost more than the poll"
        if partition.partition not in self.ends:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        return 0, self.ends[partition.partition]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client({}, None)

    def connect(settings: dict[str, Any], logger: Any) -> Client:
        made.settings = settings
        return made

    monkeypatch.setattr(confluent_kafka, "Consumer", connect)
    return made


def message(partition: int, offset: int, **fields: Any) -> Message:
    return Message(
        topic="reads", partition=partition, offset=offset, timestamp=(2, 1000 + offset), **fields
    )


def fault(code: int) -> Message:
    return Message(topic="reads", partition=0, offset=0, error=KafkaError(code))


def test_messages_come_as_columns_by_partition(client: Client) -> None:
    client.queue = [
        message(0, 3, key=b"k", value=b"a", headers=[("h", b"1")]),
        message(1, 7, value=b"b"),
        message(0, 5),
    ]
    assert RdKafkaConsumer("broker").poll(0.02, 100) == {
        0: Columns([3, 5], [1003, 1005], [b"k", None], [b"a", None], [[("h", b"1")], ()]),
        1: Columns([7], [1007], [None], [b"b"], [()]),
    }


def test_no_more_than_asked_for_comes_at_once(client: Client) -> None:
    client.queue = [message(0, offset) for offset in range(5)]
    consumer = RdKafkaConsumer("broker")
    assert [consumer.poll(0.02, 2)[0].offsets for _ in range(3)] == [[0, 1], [2, 3], [4]]
    assert consumer.poll(0.02, 2) == {}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._AUTO_OFFSET_RESET, Corrupt),
        (KafkaError.OFFSET_OUT_OF_RANGE, Corrupt),
        (KafkaError._LOG_TRUNCATION, Corrupt),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, Unavailable),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, Unavailable),
    ],
)
@pytest.mark.parametrize("before", [0, 1])
def test_a_fault_is_raised_wherever_it_stands(
    client: Client, code: int, kind: type[PlatelakeError], before: int
) -> None:
    consumer = RdKafkaConsumer("broker")
    consumer.assign("reads", {0: 0})
    client.queue = [*[message(0, 0)] * before, fault(code), message(0, 1)]
    with pytest.raises(kind, match="topic reads"):
        consumer.poll(0.02, 100)


def test_it_says_what_to_do_where_offsets_are_gone(client: Client) -> None:
    client.queue = [fault(KafkaError._AUTO_OFFSET_RESET)]
    with pytest.raises(Corrupt, match="without its checkpoint"):
        RdKafkaConsumer("broker").poll(0.02, 100)


def test_nothing_is_skipped_committed_or_taken_unchecked(client: Client) -> None:
    RdKafkaConsumer("broker")
    assert client.settings["auto.offset.reset"] == "error"
    assert client.settings["enable.auto.commit"] is False
    assert client.settings["check.crcs"] is True


def test_positions_ends_and_closing(client: Client) -> None:
    consumer = RdKafkaConsumer("broker")
    consumer.assign("reads", {0: 4, 2: 9})
    assert client.assigned == [("reads", 0, 4), ("reads", 2, 9)]
    client.ends = {0: 12, 2: -1001}
    assert [consumer.end(partition) for partition in (0, 1, 2)] == [12, None, None]
    consumer.close()
    assert client.closed
