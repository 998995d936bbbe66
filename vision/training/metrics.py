"""Figures from outcomes: shares with intervals, breakdowns, and how true confidences are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from alpr.plates import match_key

_Z = 1.959964  # 95 %
_BINS = 10
_LEAST, _MOST = 0.001, 0.995  # as vision.calibration limits what networks say


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One labelled picture and what the networks, trained without its plate, said of it.

    kind: frame or crop. width: pixels across the plate in the picture. light: of the
    plate, see `light_of`. candidates: texts with probabilities, best first. located: a
    detection met the label (IoU 0.5 or more); true for crops. state: labelled, None if not.
    """

    kind: str
    region: str
    text: str
    width: float
    light: str
    located: bool
    score: float
    candidates: tuple[tuple[str, float], ...]
    state: str | None
    state_said: str
    state_chance: float
    fold: int

    @property
    def said(self) -> str:
        """The best candidate, "" if there is none."""
        return self.candidates[0][0] if self.candidates else ""

    @property
    def exact(self) -> bool:
        """Right to the letter."""
        return self.said == self.text

    @property
    def folded(self) -> bool:
        """Right with O read as 0 and I as 1."""
        return match_key(self.said) == match_key(self.text)

    @property
    def top5(self) -> bool:
        """The truth is among the first five candidates."""
        return self.text in [text for text, _ in self.candidates[:5]]


class Figure(msgspec.Struct, frozen=True):
    """A share of `n`, with the bounds of its 95 % interval (Wilson)."""

    share: float
    low: float
    high: float
    n: int


def figure(hits: Iterable[bool]) -> Figure:
    """The share of true values."""
    values = list(hits)
    n, k = len(values), sum(values)
    if n == 0:
        return Figure(math.nan, 0.0, 1.0, 0)
    share = k / n
    spread = 1 + _Z**2 / n
    middle = (share + _Z**2 / (2 * n)) / spread
    half = _Z * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n)) / spread
    return Figure(share, max(0.0, middle - half), min(1.0, middle + half), n)


def summary(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    """All shares that make sense for these outcomes."""
    figures = {
        "exact": figure(o.exact for o in outcomes),
        "folded": figure(o.folded for o in outcomes),
        "top5": figure(o.top5 for o in outcomes),
        "located": figure(o.located for o in outcomes),
    }
    with_state = [o for o in outcomes if o.state is not None]
    if with_state:
        figures["state_top1"] = figure(o.state == o.state_said for o in with_state)
    return figures


def by(outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> dict[str, dict[str, Figure]]:
    """`summary` of each group, in order of the key."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return {name: summary(groups[name]) for name in sorted(groups)}


def width_class(outcome: Outcome) -> str:
    """Plate width in classes people compare cameras by, in an order that sorts."""
    for low, high in ((0, 60), (60, 80), (80, 100), (100, 150), (150, 250)):
        if outcome.width < high:
            return f"{low:3d}–{high - 1} px"
    return "250 px and more"


def light_of(plate: NDArray[np.uint8]) -> str:
    """dark, bright or even, by the mean of a plate's picture; grey if it has no colour."""
    values = plate.astype(np.float64)
    if float((values.max(axis=2) - values.min(axis=2)).mean()) < 6:
        return "grey"
    mean = float(values.mean())
    return "dark" if mean < 70 else "bright" if mean > 180 else "even"


@dataclass(frozen=True, slots=True)
class Calibration:
    """Chance right = logistic(bias + text · logit(text probability) + score · logit(score))."""

    bias: float
    text: float
    score: float

    def chance(self, outcome: Outcome) -> float:
        """Estimated chance that the best candidate is right, O taken as 0 and I as 1."""
        return float(_sigmoid(_features([outcome]) @ (self.bias, self.text, self.score))[0])


def fit_calibration(outcomes: Sequence[Outcome], rounds: int = 50) -> Calibration:
    """Maximum likelihood with a weak pull towards the network's own probability (Newton)."""
    x, y = _features(outcomes), np.array([o.folded for o in outcomes], np.float64)
    centre = np.array([0.0, 1.0, 0.0])
    weights = centre.copy()
    pull = np.diag([0.01, 1.0, 1.0])
    for _ in range(rounds):
        chance = _sigmoid(x @ weights)
        slope = x.T @ (chance - y) + pull @ (weights - centre)
        bend = (x * (chance * (1 - chance))[:, None]).T @ x + pull
        weights = weights - np.linalg.solve(bend, slope)
    return Calibration(*(float(w) for w in weights))


def held_out_chances(outcomes: Sequence[Outcome]) -> list[float]:
    """Per outcome the chance by a calibration fitted on the other folds."""
    fitted = {
        fold: fit_calibration([o for o in outcomes if o.fold != fold])
        for fold in {o.fold for o in outcomes}
    }
    return [fitted[o.fold].chance(o) for o in outcomes]


def reliability(chances: Sequence[float], right: Sequence[bool]) -> list[tuple[float, float, int]]:
    """Per tenth of confidence: mean confidence, share right, count; empty tenths are left out."""
    confidence, hit = np.array(chances), np.array(right, np.float64)
    which = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        (
            float(confidence[which == b].mean()),
            float(hit[which == b].mean()),
            int((which == b).sum()),
        )
        for b in range(_BINS)
        if (which == b).any()
    ]


def calibration_error(chances: Sequence[float], right: Sequence[bool]) -> float:
    """Expected calibration error: mean gap between confidence and share right, over tenths."""
    table = reliability(chances, right)
    total = sum(n for _, _, n in table)
    return sum(abs(c - r) * n for c, r, n in table) / total if total else math.nan


def _features(outcomes: Sequence[Outcome]) -> NDArray[np.float64]:
    rows = []
    for o in outcomes:
        p = o.candidates[0][1] if o.candidates else 0.0
        rows.append((1.0, _logit(p), _logit(o.score)))
    return np.array(rows, np.float64).reshape(-1, 3)


def _logit(p: float) -> float:
    p = min(max(p, _LEAST), _MOST)
    return math.log(p / (1 - p))


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(z, -30, 30))), dtype=np.float64)
