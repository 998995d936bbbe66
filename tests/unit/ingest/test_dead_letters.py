from __future__ import annotations

from ingest.codecs import encode
from ingest.consumer import Message
from ingest.dead_letters import REPLAYED_FROM, gather, replay
from tests.support.kafka import FakeProducer
from tests.support.records import at, make_dead_letter


def messages(*values: bytes | None) -> list[Message]:
    return [Message("dead-letters", 0, i, 0, None, value, ()) for i, value in enumerate(values)]


def letters(*changes: dict[str, object]) -> list[Message]:
    return messages(*(encode(make_dead_letter(**change)) for change in changes))


def test_a_message_counts_once_however_many_letters_it_has() -> None:
    found = gather(
        letters(
            {"offset": 1, "job": "match", "at": at(0)},
            {"offset": 1, "job": "land", "at": at(5), "detail": "again"},
            {"offset": 1, "job": "match", "at": at(6), "detail": "last"},
            {"offset": 2, "at": at(1)},
        )
    )
    assert [(s.id, s.copies, s.jobs) for s in found.stored] == [
        ("reads/0/2", 1, ("match",)),
        ("reads/0/1", 3, ("land", "match")),
    ]
    assert found.stored[1].letter.detail == "last"


def test_topic_partition_and_offset_all_make_another_message() -> None:
    found = gather(letters({}, {"topic": "hits"}, {"partition": 1}, {"offset": 8}))
    assert len(found.stored) == 4


def test_reasons_are_counted_by_message_most_frequent_first() -> None:
    found = gather(
        letters(
            {"offset": 1, "reason": "not-json"},
            {"offset": 1, "reason": "not-json"},
            {"offset": 2, "reason": "missing-field"},
            {"offset": 3, "reason": "missing-field"},
        )
    )
    assert list(found.reasons.items()) == [("missing-field", 2), ("not-json", 1)]


def test_what_is_no_letter_is_counted_and_hides_nothing() -> None:
    found = gather([*messages(b"{", None), *letters({})])
    assert (len(found.stored), found.unreadable) == (1, 2)


def test_values_are_left_out_unless_asked_for() -> None:
    topic = letters({"value": b"{"}, {"offset": 8, "value": None, "value_size": 9_000_000})
    assert [(s.letter.value, s.kept) for s in gather(topic).stored] == [(None, True), (None, False)]
    assert gather(topic, values=True).stored[0].letter.value == b"{"


def test_a_replay_sends_the_message_as_it_came_to_where_it_came_from() -> None:
    found = gather(letters({"headers": (("trace", b"1"), (REPLAYED_FROM, b"old"))}), values=True)
    producer = FakeProducer()
    done = replay(found.stored, producer)
    assert (done.sent, done.refused) == (("reads/0/7",), ())
    (sent,) = producer.acknowledged
    assert (sent.topic, sent.key, sent.value, sent.partition) == ("reads", b"pd/cam-1", b"{", None)
    assert sent.headers == (("trace", b"1"), (REPLAYED_FROM, b"reads/0/7"))


def test_what_was_not_kept_is_refused_and_named() -> None:
    topic = letters({"offset": 1, "value": None, "value_size": 9_000_000}, {"offset": 2})
    producer = FakeProducer()
    done = replay(gather(topic, values=True).stored, producer)
    assert (done.sent, done.refused) == (("reads/0/2",), ("reads/0/1",))
    assert len(producer.acknowledged) == 1
