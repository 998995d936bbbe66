"""How a network was trained, and where results lie in the output folder."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a network was trained; kept beside it."""

    network: str
    steps: int
    batch: int
    rate: float
    seed: int
    device: str
    seconds: float


def outcomes_file(out: Path, fold: int) -> Path:
    """Where a fold's outcomes are kept."""
    return out / f"outcomes-{fold}.json"
