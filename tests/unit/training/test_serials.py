from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vision.reader import STATES
from vision.training.serials import STATE_FORMATS, br_serial, eu_serial, shape, us_serial

SEEDS = st.integers(0, 2**32)


def test_every_state_has_formats() -> None:
    assert set(STATE_FORMATS) == set(STATES)
    assert all(re.fullmatch("[LD]{4,7}", f) for formats in STATE_FORMATS.values() for f in formats)


@given(SEEDS, st.sampled_from(STATES))
def test_us_serials_never_hold_the_letter_o(seed: int, state: str) -> None:
    text = us_serial(np.random.default_rng(seed), state, ())
    assert re.fullmatch("[A-NP-Z0-9]{3,8}", text)


@given(SEEDS)
def test_same_seed_same_serial(seed: int) -> None:
    draw = [us_serial(np.random.default_rng(seed), "CA", ("7ABC123",)) for _ in range(2)]
    assert draw[0] == draw[1]


@given(SEEDS)
def test_foreign_serials_have_their_format(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert re.fullmatch("[A-Z]{3}[0-9]{4}", br_serial(rng))
    assert re.fullmatch("[A-Z0-9]{6,8}", eu_serial(rng))


def test_seen_formats_are_taken_over() -> None:
    rng = np.random.default_rng(1)
    drawn = {shape(us_serial(rng, "NY", ("1A2B3C4D",))) for _ in range(200)}
    assert "DLDLDLDL" in drawn


def test_shape() -> None:
    assert shape("7ABC123") == "DLLLDDD"
