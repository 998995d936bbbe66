"""The most probable texts behind a CTC output (prefix beam search, Graves 2006)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Characters of classes 1 to 36; class 0 is the blank."""

_IMPOSSIBLE = -1e9
_LEAST_LOG = -9.0  # classes below exp(-9) at a step are not followed
_CLASSES_PER_STEP = 6
_BEAM = 12
_HOPELESS = -14.0  # prefixes this far (log) below the best cannot come back into the top few


def best_texts(log_probs: NDArray[np.float32], top: int) -> list[tuple[str, float]]:
    """At most `top` texts with their log probability, best first.

    `log_probs` is steps x 37, natural logarithms, blank first. The probability
    of a text sums over all alignments kept in the beam.
    """
    # prefix -> (log p ending in a blank, log p ending in its last character)
    beams: dict[str, tuple[float, float]] = {"": (0.0, _IMPOSSIBLE)}
    for step in _likely_classes(log_probs):
        grown: dict[str, tuple[float, float]] = {}
        for prefix, (blank, last) in beams.items():
            total = _add(blank, last)
            stay_blank, stay_last = grown.get(prefix, (_IMPOSSIBLE, _IMPOSSIBLE))
            for character, log_p in step:
                if character == "":
                    stay_blank = _add(stay_blank, total + log_p)
                    continue
                start = total
                if prefix.endswith(character):
                    # The same character goes on; only after a blank is it a second one.
                    stay_last = _add(stay_last, last + log_p)
                    start = blank
                longer = prefix + character
                b, n = grown.get(longer, (_IMPOSSIBLE, _IMPOSSIBLE))
                grown[longer] = b, _add(n, start + log_p)
            if stay_blank > _IMPOSSIBLE or stay_last > _IMPOSSIBLE:
                grown[prefix] = stay_blank, stay_last
        beams = _prune(grown)
    return sorted(((t, _add(*p)) for t, p in beams.items()), key=lambda c: -c[1])[:top]


def _likely_classes(log_probs: NDArray[np.float32]) -> list[list[tuple[str, float]]]:
    """Per step the few classes worth following, as (character or "" for blank, log p)."""
    order = np.argsort(-log_probs, axis=1, kind="stable")[:, :_CLASSES_PER_STEP]
    values = np.take_along_axis(log_probs, order, axis=1)
    return [
        [
            ("" if k == 0 else ALPHABET[k - 1], v)
            for k, v in zip(ks, vs, strict=True)
            if v > _LEAST_LOG
        ]
        for ks, vs in zip(order.tolist(), values.tolist(), strict=True)
    ]


def _prune(beams: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    ranked = sorted(((_add(*p), t) for t, p in beams.items()), key=lambda c: -c[0])
    least = ranked[0][0] + _HOPELESS
    return {t: beams[t] for total, t in ranked[:_BEAM] if total >= least}


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    if a < b:
        a, b = b, a
    gap = b - a
    return a if gap < -40 else a + math.log1p(math.exp(gap))
