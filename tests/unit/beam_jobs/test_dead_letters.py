from __future__ import annotations

import pytest

from alpr.errors import BadInput, ConfigurationError, Refused
from beam_jobs.dead_letters import (
    MAX_KEPT_BYTES,
    DeadLetterBudget,
    EncodeDeadLetters,
    TooManyDeadLetters,
    dead_letter,
    letter_key,
)
from ingest.codecs import decode_dead_letter
from tests.support.beam import make_batch
from tests.support.records import T0, make_dead_letter

ERROR = BadInput("not-json", "JSON is malformed")


def bad(count: int) -> list[str]:
    return ["not-json"] * count


def test_a_small_share_goes_by() -> None:
    budget = DeadLetterBudget(0.05)
    for _ in range(100):
        budget.spend(100, bad(5))


def test_a_large_share_stops_the_job_and_names_the_reasons() -> None:
    budget = DeadLetterBudget(0.05)
    with pytest.raises(TooManyDeadLetters, match=r"6 of the last 100.*missing-field, not-json"):
        budget.spend(100, [*bad(5), "missing-field"])


def test_nothing_is_judged_before_the_minimum() -> None:
    budget = DeadLetterBudget(0.05, minimum=50)
    budget.spend(49, bad(49))
    with pytest.raises(TooManyDeadLetters):
        budget.spend(1, bad(1))


def test_what_has_left_the_window_is_forgiven() -> None:
    budget = DeadLetterBudget(0.05, window=1000, minimum=50)
    budget.spend(40, bad(40))
    for _ in range(10):
        budget.spend(100, [])
    budget.spend(100, bad(4))


def test_what_is_in_the_window_is_not() -> None:
    budget = DeadLetterBudget(0.05, window=1000, minimum=50)
    budget.spend(40, bad(40))
    for _ in range(5):
        budget.spend(100, [])
    with pytest.raises(TooManyDeadLetters):
        budget.spend(100, bad(1))


def test_good_messages_alone_never_stop_a_job() -> None:
    budget = DeadLetterBudget(0.05, minimum=50)
    budget.spend(49, bad(49))
    budget.spend(1, [])


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_limit_is_a_share(share: float) -> None:
    with pytest.raises(ConfigurationError):
        DeadLetterBudget(share)


def test_a_dead_letter_says_what_came_from_where() -> None:
    batch = make_batch([b"{}", b"{"], first=40, partition=2, headers=[(), (("trace", b"1"),)])
    letter = dead_letter("match", batch, 1, ERROR, T0)
    assert (letter.topic, letter.partition, letter.offset) == ("reads", 2, 41)
    assert (letter.reason, letter.detail) == (ERROR.reason, ERROR.detail)
    assert (letter.job, letter.at) == ("match", T0)
    assert (letter.key, letter.value, letter.value_size) == (b"pd/cam-1", b"{", 1)
    assert letter.headers == (("trace", b"1"),)


def test_an_empty_message_and_a_header_without_a_value_make_a_dead_letter_too() -> None:
    batch = make_batch([None], headers=[(("a", None), ("b", b""))])
    letter = dead_letter("match", batch, 0, ERROR, T0)
    assert (letter.value, letter.value_size, letter.headers) == (None, 0, (("b", b""),))


def test_a_value_too_large_is_not_kept_but_its_size_is() -> None:
    letter = dead_letter("match", make_batch([bytes(MAX_KEPT_BYTES + 1)]), 0, ERROR, T0)
    assert (letter.value, letter.value_size) == (None, MAX_KEPT_BYTES + 1)


def test_a_message_that_may_not_be_kept_is_not_kept_among_the_dead_letters() -> None:
    late = Refused("past-retention", "too late")
    letter = dead_letter("land", make_batch([b'{"plate":"X"}']), 0, late, T0)
    assert (letter.value, letter.value_size) == (None, 13)


def test_the_key_is_where_the_message_lies_so_that_a_replay_sends_the_same() -> None:
    letter = make_dead_letter(topic="reads", partition=2, offset=41)
    assert letter_key(letter) == b"reads/2/41"
    (sent,) = EncodeDeadLetters("match").process(letter)
    assert sent.key == b"reads/2/41"
    assert decode_dead_letter(sent.value) == letter
