from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from vision.training.metrics import (
    Outcome,
    by,
    calibration_error,
    figure,
    fit_calibration,
    held_out_chances,
    light_of,
    reliability,
    summary,
    width_class,
)

RIGHT = Outcome(
    kind="frame",
    region="us",
    text="ABC123",
    width=80.0,
    light="even",
    located=True,
    score=0.8,
    candidates=(("ABC123", 0.9), ("XYZ", 0.01)),
    state=None,
    state_said="unknown",
    state_chance=0.5,
    fold=0,
)


def outcome(text: str = "ABC123", said: str = "ABC123", p: float = 0.9, **other: Any) -> Outcome:
    candidates = ((said, p), ("XYZ", 0.01)) if said else ()
    return replace(RIGHT, **({"text": text, "candidates": candidates} | other))


def test_wilson_interval_of_a_known_case() -> None:
    found = figure([True] * 80 + [False] * 8)
    assert found.share == pytest.approx(0.9091, abs=1e-4)
    assert found.low == pytest.approx(0.8305, abs=1e-3)
    assert found.high == pytest.approx(0.9534, abs=1e-3)
    assert math.isnan(figure([]).share)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_intervals_hold_their_share(hits: list[bool]) -> None:
    found = figure(hits)
    assert 0 <= found.low <= found.share + 1e-12
    assert found.share - 1e-12 <= found.high <= 1


def test_folded_and_top5() -> None:
    o = outcome("RK300AS", "RK3OOAS", candidates=(("RK3OOAS", 0.6), ("RK300AS", 0.3)))
    assert (o.exact, o.folded, o.top5) == (False, True, True)
    silent = outcome(said="")
    assert (silent.said, silent.exact, silent.top5) == ("", False, False)


def test_summary_counts_states_only_where_labelled() -> None:
    shares = summary([outcome(), outcome(said="ABC124", state="CA", state_said="CA")])
    assert shares["exact"].share == 0.5
    assert shares["state_top1"].n == 1
    assert "state_top1" not in summary([outcome()])


def test_groups_are_sorted_by_name() -> None:
    groups = by([outcome(width=300.0), outcome(width=50.0), outcome(width=70.0)], width_class)
    assert list(groups) == ["  0–59 px", " 60–79 px", "250 px and more"]


def test_light_of_plates() -> None:
    def plain(*bgr: int) -> str:
        return light_of(np.full((8, 16, 3), bgr, np.uint8))

    assert plain(100, 100, 100) == "grey"
    assert plain(20, 40, 60) == "dark"
    assert plain(240, 250, 200) == "bright"
    assert plain(90, 120, 150) == "even"


def test_calibration_error_of_known_tables() -> None:
    assert calibration_error([0.95] * 20, [True] * 19 + [False]) == pytest.approx(0)
    assert calibration_error([0.95, 0.55], [False, True]) == pytest.approx((0.95 + 0.45) / 2)
    assert reliability([0.95, 1.0, 0.15], [True, False, False]) == [
        (0.15, 0.0, 1),
        (0.975, 0.5, 2),
    ]


def test_calibration_learns_how_overconfident_a_network_is() -> None:
    rng = np.random.default_rng(5)
    outcomes = []
    for n in range(3000):
        said_p = float(rng.uniform(0.3, 0.99))
        odds = 0.5 * math.log(said_p / (1 - said_p)) - 0.4
        right = rng.random() < 1 / (1 + math.exp(-odds))
        outcomes.append(outcome(said="ABC123" if right else "WRONG", p=said_p, fold=n % 4))
    chances = held_out_chances(outcomes)
    right_ones = [o.folded for o in outcomes]
    assert calibration_error([o.candidates[0][1] for o in outcomes], right_ones) > 0.1
    assert calibration_error(chances, right_ones) < 0.04
    assert fit_calibration(outcomes).text == pytest.approx(0.5, abs=0.1)
