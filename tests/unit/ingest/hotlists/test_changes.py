from __future__ import annotations

from ingest.codecs import decode_change, encode
from ingest.hotlists.changes import KafkaChangeFeed, publish
from tests.support.clock import FakeClock
from tests.support.kafka import FakeConsumer, FakeProducer, FakeRecord
from tests.support.records import make_change, make_entry

CHANGES = [make_change(make_entry(record=str(i))) for i in range(4)]


class TopicConsumer(FakeConsumer):
    """One partition, from whichever topic is asked for."""

    def beginning_offsets(self, partitions: list[object]) -> dict[object, int]:
        return dict.fromkeys(partitions, self.logs[0][0].offset if self.logs[0] else 0)

    def end_offsets(self, partitions: list[object]) -> dict[object, int]:
        return dict.fromkeys(partitions, self.logs[0][-1].offset + 1 if self.logs[0] else 0)


def feed_of(*records: FakeRecord) -> tuple[KafkaChangeFeed, TopicConsumer]:
    consumer = TopicConsumer(FakeClock(), {0: list(records)}, topic="hotlist-changes")
    return KafkaChangeFeed("broker", connect=lambda _: consumer), consumer


def record(offset: int) -> FakeRecord:
    return FakeRecord(offset, encode(CHANGES[offset]))


def test_goes_on_at_the_snapshots_offset() -> None:
    feed, _ = feed_of(record(0), record(1), record(2))
    assert feed.start(1) == 1
    assert feed.catch_up() == [(1, CHANGES[1]), (2, CHANGES[2])]


def test_starts_at_the_oldest_kept_if_that_is_later() -> None:
    feed, _ = feed_of(record(2), record(3))
    assert feed.start(0) == 2
    assert [offset for offset, _ in feed.catch_up()] == [2, 3]


def test_poll_gives_what_has_come_since() -> None:
    feed, consumer = feed_of(record(0))
    feed.start(0)
    feed.catch_up()
    assert feed.poll() == []
    consumer.logs[0].append(record(1))
    assert feed.poll() == [(1, CHANGES[1])]


def test_a_broken_change_is_counted_and_blinds_nobody_to_the_next() -> None:
    feed, _ = feed_of(record(0), FakeRecord(1, b"{"), FakeRecord(2, None), record(3))
    feed.start(0)
    assert [offset for offset, _ in feed.catch_up()] == [0, 3]
    assert feed.bad == 2


def test_closing_the_feed_closes_its_connection() -> None:
    feed, consumer = feed_of(record(0))
    feed.close()
    assert consumer.closed


def test_a_change_is_keyed_by_its_entry_so_that_compaction_keeps_the_last() -> None:
    producer = FakeProducer()
    publish(producer, CHANGES[0])
    (sent,) = producer.pending
    assert (sent.topic, sent.partition) == ("hotlist-changes", 0)
    assert sent.key == CHANGES[0].entry_id.encode()
    assert decode_change(sent.value) == CHANGES[0]
