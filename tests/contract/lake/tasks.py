"""What `dying` runs: each works on the lake that the test filled."""

from __future__ import annotations

from datetime import datetime, timedelta

from alpr.retention import Period, Retention, RetentionClass
from catalog.lake import Lake
from catalog.lookup.index import drop_days
from catalog.lookup.upkeep import refresh_index
from catalog.retention.evidence import complete_pending, purge_evidence
from catalog.retention.holds import Holds, Purpose
from catalog.retention.orders import Orders
from catalog.retention.selection import select
from tests.contract.lake.samples import NOW, RETENTION, make_read, no_sleep

PURPOSE = Purpose("case", "S1-CP7b.iii", "robbery on Main Street", "26-1234")
LATER = NOW + timedelta(days=1)

SHORTER = Retention(
    {
        **RETENTION.policies,
        "short": (
            RetentionClass(
                "short",
                "short",
                frozenset({"read", "hit"}),
                Period(days=7),
                "America/Los_Angeles",
                "§ 2",
                "a test",
            ),
        ),
    },
    {"agency-1": "short"},
    "sample",
)
"""What RETENTION says, after agency-1 chose to keep its records for a week."""


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


def orders(lake: Lake, now: datetime = NOW) -> Orders:
    """The orders of a lake, carried out with uploads that are never under way for long."""
    no_age = -timedelta(days=36_500)  # files are made by the real clock, not at `now`
    return Orders(lake, lambda: now, safe_age=no_age, sleep=no_sleep)


def remove_rows(lake: Lake) -> None:
    """Agency-1 has its rows removed."""
    orders(lake).remove("agency-1", by="chief.adams", reason="left the programme")


def move_rows(lake: Lake) -> None:
    """Agency-1 keeps its rows for a week from now on."""
    lake.retention = SHORTER
    orders(lake).move("agency-1", by="chief.adams", reason="new policy")


def index_plates(lake: Lake) -> None:
    """Bring the index of plates up to the table. The next run may take over at once."""
    refresh_index(lake, NOW.date(), "test", lambda: NOW)


def drop_index(lake: Lake) -> None:
    """What the purge does to the index of days that have ended."""
    drop_days(lake, lambda partition: partition.date < NOW.date() - timedelta(days=7))
