"""Policies as files: which agency follows which, and what each says about retention."""

from __future__ import annotations

from pathlib import Path

from alpr.retention import Period, Retention, RetentionClass

_NEUTRAL = RetentionClass(
    name="default",
    policy="neutral",
    records=frozenset({"read", "hit"}),
    keep=Period(days=30),
    zone="UTC",
    clause="none",
    why="no policy was chosen",
)


def load_retention(file: Path | None) -> Retention:
    """What a retention file says; None: every agency follows the neutral policy."""
    return Retention({"neutral": (_NEUTRAL,)}, {}, "neutral")
