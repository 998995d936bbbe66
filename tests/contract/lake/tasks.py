"""What `dying` runs: each works on the lake that the test filled."""

from __future__ import annotations

from datetime import datetime, timedelta

from catalog.lake import Lake
from catalog.retention.evidence import complete_pending, purge_evidence
from catalog.retention.holds import Holds, Purpose
from catalog.retention.selection import select
from tests.contract.lake.samples import NOW, make_read, no_sleep

PURPOSE = Purpose("case", "S1-CP7b.iii", "robbery on Main Street", "26-1234")
LATER = NOW + timedelta(days=1)


def holds(lake: Lake, now: datetime = NOW) -> Holds:
    """The holds of a lake, as one investigator uses them."""
    return Holds(lake, "inv.miller", lambda: now, no_sleep)


def add_hold(lake: Lake) -> None:
    """Hold reads 3 and 4."""
    records = select(lake, reads=[make_read(number).read_id for number in (3, 4)])
    holds(lake).add(records, PURPOSE)


def finish_holds(lake: Lake) -> None:
    """What the purge does first."""
    complete_pending(lake, NOW, sleep=no_sleep)


def end_evidence(lake: Lake) -> None:
    """What the purge does for holds that have ended."""
    purge_evidence(lake, LATER, sleep=no_sleep)
