from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vision.ctc import ALPHABET, best_texts


def log_probs(*steps: dict[str, float]) -> np.ndarray:
    """Steps x 37 with the given probabilities ("" is the blank), the rest next to nothing."""
    table = np.full((len(steps), 37), -30.0, np.float32)
    for row, step in zip(table, steps, strict=True):
        for character, p in step.items():
            row[ALPHABET.index(character) + 1 if character else 0] = math.log(p)
    return table


def by_enumeration(*steps: dict[str, float]) -> dict[str, float]:
    """Probability of every text, summed over all alignments."""
    texts: dict[str, float] = {}
    for path in itertools.product(*(step.items() for step in steps)):
        text = "".join(c for c, _ in itertools.groupby(character for character, _ in path))
        texts[text] = texts.get(text, 0.0) + math.prod(p for _, p in path)
    return texts


def test_repeats_collapse_unless_a_blank_parts_them() -> None:
    assert best_texts(log_probs({"A": 1}, {"A": 1}, {"B": 1}), 1)[0][0] == "AB"
    assert best_texts(log_probs({"A": 1}, {"": 1}, {"A": 1}), 1)[0][0] == "AA"


def test_the_sum_over_alignments_decides_not_the_best_path() -> None:
    steps = ({"": 0.6, "A": 0.4}, {"": 0.6, "A": 0.4})
    (text, log_p), *_ = best_texts(log_probs(*steps), 2)
    assert text == "A"
    assert math.exp(log_p) == pytest.approx(0.64)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(0.05, 1), min_size=3, max_size=3), min_size=1, max_size=6))
def test_probabilities_are_those_of_full_enumeration(weights: list[list[float]]) -> None:
    steps = [{c: w / sum(row) for c, w in zip(("", "A", "8"), row, strict=True)} for row in weights]
    truth = by_enumeration(*steps)
    (text, log_p), *_ = best_texts(log_probs(*steps), 3)
    # Width 12 keeps what matters; light prefixes that were cut may hold a little.
    assert math.exp(log_p) == pytest.approx(truth[text], rel=0.05)
    assert truth[text] >= 0.95 * max(truth.values())
