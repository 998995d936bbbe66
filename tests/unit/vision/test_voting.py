from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from vision.voting import consensus, distance

texts = st.text("ABC123", min_size=1, max_size=7)


def test_known_distances() -> None:
    assert distance("ABC123", "ABC123") == 0
    assert distance("ABC123", "A8C123") == 1
    assert distance("ABC123", "BC123") == 1
    assert distance("ABC123", "ABCC123") == 1
    assert distance("", "ABC") == 3
    assert distance("KITTEN", "SITTING") == 3


@given(texts, texts, texts)
def test_distance_is_a_metric(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a)
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)


def test_characters_are_voted_apart() -> None:
    agreed = consensus({"A8C123": 1.0, "ABC12Z": 1.0, "ABG123": 1.0})
    assert agreed.text == "ABC123"
    assert round(agreed.share, 3) == 0.667


def test_missing_and_extra_characters_are_outvoted() -> None:
    assert consensus({"ABC123": 1.0, "BC123": 0.9, "ABC1123": 0.8, "ABC12": 0.7}).text == "ABC123"


def test_insertion_most_of_the_weight_asks_for_is_taken() -> None:
    assert consensus({"AB123": 1.0, "ABC123": 0.8, "ABC12": 0.7}).text == "ABC123"


def test_nothing_to_vote_on() -> None:
    assert consensus({}) == consensus({"": 3.0}) == consensus({"ABC": 0.0})
    assert consensus({}).text == ""


@given(texts, st.floats(0.1, 10))
def test_one_text_is_its_own_consensus(text: str, weight: float) -> None:
    agreed = consensus({text: weight})
    assert (agreed.text, agreed.share) == (text, 1.0)


@given(st.dictionaries(texts, st.floats(0.1, 10), min_size=1, max_size=6), st.randoms())
def test_order_of_votes_never_decides(votes: dict[str, float], random: Random) -> None:
    pairs = list(votes.items())
    random.shuffle(pairs)
    assert consensus(dict(pairs)).text == consensus(votes).text


@given(texts, st.dictionaries(texts, st.floats(0.1, 1), max_size=4))
def test_a_text_with_most_of_the_weight_wins(text: str, others: dict[str, float]) -> None:
    others.pop(text, None)
    assert consensus({text: sum(others.values()) + 0.5, **others}).text == text
