from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from alpr.errors import BadInput
from alpr.records import DeadLetter
from cli import dead_letters as command
from cli.main import app
from ingest import consumer
from ingest.codecs import encode
from ingest.consumer import Message
from tests.support.kafka import FakeProducer
from tests.support.records import at, make_dead_letter

PLATE = "SECRET7"
VALUE = json.dumps({"plate": PLATE}).encode()


class Topic:
    """The dead letters that the commands find, and the producer they send with."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.producer = FakeProducer()
        self.asked: list[tuple[str, str]] = []

    def snapshot(self, bootstrap: str, topic: str) -> Iterator[Message]:
        self.asked.append((bootstrap, topic))
        for offset, letter in enumerate(self.letters):
            yield Message(topic, 0, offset, 0, None, encode(letter), ())

    @contextmanager
    def open_producer(self, bootstrap: str) -> Iterator[FakeProducer]:
        yield self.producer


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(consumer, "snapshot", made.snapshot)
    monkeypatch.setattr(command, "_open_producer", made.open_producer)
    made.letters = [
        make_dead_letter(offset=1, reason="missing-field", value=VALUE, at=at(1)),
        make_dead_letter(offset=2, value=VALUE, key=PLATE.encode(), at=at(2)),
        make_dead_letter(offset=3, value=None, value_size=9_000_000, at=at(3)),
        make_dead_letter(offset=4, topic="frames", headers=(("camera", PLATE.encode()),), at=at(4)),
    ]
    return made


def call(*arguments: str, answer: str | None = None) -> Result:
    where = ["--bootstrap", "broker:1"]
    return CliRunner().invoke(app, ["dead-letters", *arguments, *where], input=answer)


def as_json(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json").stdout)


def test_list_counts_by_reason_and_shows_the_latest(topic: Topic) -> None:
    found = as_json("list", "--limit", "2")
    assert (found["messages"], found["reasons"]) == (4, {"not-json": 3, "missing-field": 1})
    assert [letter["id"] for letter in found["letters"]] == ["reads/0/3", "frames/0/4"]
    assert topic.asked == [("broker:1", "dead-letters")]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (("--reason", "missing-field"), ["reads/0/1"]),
        (("--topic", "frames"), ["frames/0/4"]),
        (("--reason", "missing-field", "--topic", "frames"), []),
    ],
)
def test_list_can_be_narrowed(topic: Topic, option: tuple[str, ...], expected: list[str]) -> None:
    assert [letter["id"] for letter in as_json("list", *option)["letters"]] == expected


def test_no_plate_is_listed(topic: Topic) -> None:
    for output in (call("list").output, call("list", "--json").output):
        assert "reads/0/1" in output
        assert PLATE not in output


def test_an_empty_topic_is_said(topic: Topic) -> None:
    topic.letters = []
    assert "no dead letters" in call("list").output


@pytest.mark.parametrize("identity", ["reads/0/1", "reads/0/2", "frames/0/4"])
def test_show_hides_what_may_be_a_plate_unless_told_to(topic: Topic, identity: str) -> None:
    for extra in ((), ("--json",)):
        hidden, revealed = (
            call("show", identity, *extra),
            call("show", identity, "--reveal", *extra),
        )
        assert (hidden.exit_code, revealed.exit_code) == (0, 0)
        assert PLATE not in hidden.output
        assert "--reveal" in hidden.output
        assert PLATE in revealed.output


def test_show_names_the_camera(topic: Topic) -> None:
    assert as_json("show", "reads/0/1")["key"] == "pd/cam-1"


def test_bytes_that_are_no_text_are_shown_in_base64(topic: Topic) -> None:
    topic.letters = [make_dead_letter(value=b"\xff\xd8")]
    assert as_json("show", "reads/0/7", "--reveal")["value"] == "base64:/9g="


@pytest.mark.parametrize("verb", ["show", "replay"])
def test_an_unknown_message_is_said(topic: Topic, verb: str) -> None:
    result = call(verb, "reads/9/9")
    assert isinstance(result.exception, BadInput)
    assert "reads/9/9" in str(result.exception)


def test_replay_by_reason_sends_just_those(topic: Topic) -> None:
    result = call("replay", "--reason", "missing-field", "--yes", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"sent": ["reads/0/1"], "refused": []}
    (sent,) = topic.producer.acknowledged
    assert (sent.topic, sent.value) == ("reads", VALUE)
    assert sent.headers == (("replayed-from", b"reads/0/1"),)


def test_replay_by_id_and_reason_sends_what_is_both(topic: Topic) -> None:
    assert as_json("replay", "reads/0/2", "--reason", "not-json", "--yes")["sent"] == ["reads/0/2"]


def test_replay_asks_first_and_sends_nothing_on_no(topic: Topic) -> None:
    assert call("replay", "reads/0/1", answer="n\n").exit_code == 1
    assert topic.producer.pending == topic.producer.acknowledged == []
    assert call("replay", "reads/0/1", answer="y\n").exit_code == 0
    assert len(topic.producer.acknowledged) == 1


def test_replay_of_what_was_not_kept_fails_and_sends_the_others(topic: Topic) -> None:
    result = call("replay", "reads/0/2", "reads/0/3", "--yes")
    assert result.exit_code == 1
    assert "reads/0/3" in result.output
    assert len(topic.producer.acknowledged) == 1


def test_replay_without_a_choice_is_wrong_usage(topic: Topic) -> None:
    assert call("replay", "--yes").exit_code == 2
    assert topic.asked == []


def test_the_local_stacks_broker_is_the_default(
    topic: Topic, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PLATELAKE_PORTS__KAFKA", "29092")
    CliRunner().invoke(app, ["dead-letters", "list", "--home", str(tmp_path)])
    assert topic.asked == [("127.0.0.1:29092", "dead-letters")]
