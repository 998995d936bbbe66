"""Evidence: the copies that holds keep, and their end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from catalog.lake import Lake


@dataclass(frozen=True)
class Unfinished:
    """A hold whose records could not be copied: its partitions stay registered."""

    hold_id: str
    why: str


@dataclass(frozen=True)
class Erased:
    """The copies of a hold that has ended, deleted."""

    hold_id: str
    records: int
    objects: int
    bytes: int


def complete_pending(lake: Lake, now: datetime) -> Sequence[Unfinished]:
    """Copy, verify and unregister every hold that is still to be copied; what could not be.

    The purge calls it before it decides, and leaves alone whatever `interlock.pinned` still names.
    """
    raise NotImplementedError


def purge_evidence(lake: Lake, now: datetime) -> Sequence[Erased]:
    """Delete the copies of every hold that has ended, rows, old snapshots and images."""
    raise NotImplementedError
