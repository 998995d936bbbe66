"""Serial grammars, checked by their own independent reading of a pattern."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alpr.plates import is_canonical
from ingest.simulator.designs import DESIGNS, STATE_NAMES
from ingest.simulator.lettering import GLYPHS
from ingest.simulator.serials import PATTERNS, make_serial, make_serials

CASES = [(state, pattern) for state, patterns in PATTERNS.items() for pattern in patterns]


def as_regex(pattern: str) -> str:
    kinds = {"A": "[A-HJ-NPR-Z]", "9": "[0-9]"}
    return "".join(kinds.get(place, re.escape(place)) for place in pattern)


@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**32))
def test_serials_follow_their_pattern(case: tuple[str, str], seed: int) -> None:
    _, pattern = case
    serial = make_serial(pattern, np.random.default_rng(seed))
    assert re.fullmatch(as_regex(pattern), serial.printed)
    assert is_canonical(serial.plate)
    assert serial.plate == re.sub("[ -]", "", serial.printed)
    assert all(character in GLYPHS or character == " " for character in serial.printed)


@given(case=st.sampled_from(CASES), seed=st.integers(0, 2**32), count=st.integers(0, 30))
def test_many_serials_follow_their_pattern(case: tuple[str, str], seed: int, count: int) -> None:
    _, pattern = case
    serials = make_serials(pattern, count, np.random.default_rng(seed))
    assert len(serials) == count
    assert all(re.fullmatch(as_regex(pattern), serial) for serial in serials)
    assert serials == make_serials(pattern, count, np.random.default_rng(seed))


def test_every_state_has_a_name_a_pattern_and_a_design() -> None:
    assert set(PATTERNS) == set(STATE_NAMES) == {design.state for design in DESIGNS}
