"""From what the networks say to the chance that a text is right to the letter."""

from __future__ import annotations


def chance_right(text: str, probability: float, detection_score: float) -> float:
    """Estimated chance, 0 to 1, that `text` is exactly what the plate says."""
    return probability * detection_score if text else 0.0
