from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.plates import PLATE_PATTERN, STATE_PATTERN, canonical, is_canonical, match_key
from alpr.records import NAME_PATTERN, Candidate
from tests.support.strategies import plates


@given(st.text())
def test_canonical_keeps_just_the_ascii_letters_and_digits_in_upper_case(text: str) -> None:
    kept = "".join(c for c in text if c.isascii() and c.isalnum())
    assert canonical(text) == kept.upper()
    assert canonical(canonical(text)) == canonical(text)


@pytest.mark.parametrize(
    ("raw", "plate"),
    [("abc-1234", "ABC1234"), (" 7·XYZ 123 ", "7XYZ123"), ("ß", ""), ("ı1", "1"), ("", "")],
)
def test_canonical_drops_and_never_replaces(raw: str, plate: str) -> None:
    assert canonical(raw) == plate


@given(plates)
def test_canonical_plates_are_legal(plate: str) -> None:
    assert is_canonical(plate)
    assert canonical(plate) == plate


@pytest.mark.parametrize("text", ["", "abc", "ABC 123", "ABC123\n", "A" * 13, "ÄBC"])
def test_anything_else_is_not_a_plate(text: str) -> None:
    assert not is_canonical(text)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"plate": text, "score": 0.5}, Candidate)


@pytest.mark.parametrize("pattern", [PLATE_PATTERN, STATE_PATTERN, NAME_PATTERN])
def test_patterns_do_not_let_a_line_feed_slip_in_at_the_end(pattern: str) -> None:
    sample = "ca" if pattern == NAME_PATTERN else "CA"
    assert re.search(pattern, sample)
    assert not re.search(pattern, sample + "\n")


@given(plates)
def test_match_key_folds_the_letters_o_and_i_and_nothing_else(plate: str) -> None:
    key = match_key(plate)
    assert len(key) == len(plate)
    assert match_key(key) == key
    for before, after in zip(plate, key, strict=True):
        assert after == {"O": "0", "I": "1"}.get(before, before)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("O0I1", "00II", True),
        ("ABC1234", "ABCI234", True),
        ("ABC8", "ABCB", False),
        ("S5", "55", False),
        ("A", "AA", False),
    ],
)
def test_which_plates_look_alike(one: str, other: str, same: bool) -> None:
    assert (match_key(one) == match_key(other)) is same
