"""From what the networks say to the chance that a text is right to the letter."""

from __future__ import annotations

import math

# Logistic regression of "right with O as 0 and I as 1" on the log odds of both networks, over US
# pictures that networks of the same recipe had not been trained on (how: docs/recognition.md).
_BIAS, _TEXT, _PLATE = -0.36, 0.97, 0.15
_LEAST, _MOST = 0.001, 0.995  # beyond these the networks' own numbers say nothing more


def chance_right(text: str, probability: float, detection_score: float) -> float:
    """Estimated chance, 0 to 1, that `text` is exactly what the plate says.

    `probability` is the reader's for the text, `detection_score` the detector's
    for there being a plate, both 0 to 1.
    """
    if not text:
        return 0.0
    odds = _BIAS + _TEXT * _log_odds(probability) + _PLATE * _log_odds(detection_score)
    return 1 / (1 + math.exp(-odds))


def _log_odds(p: float) -> float:
    p = min(max(p, _LEAST), _MOST)
    return math.log(p / (1 - p))
