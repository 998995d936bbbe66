"""Histories only grow, in order, and for one lake at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from alpr.holds import HeldRecord, HoldEvent, Requested, Stuck, make_hold
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention.evidence import hold_log
from tests.contract.lake.samples import DAY, NOW


def request(number: int = 1) -> Requested:
    return Requested(
        make_hold(
            kind="directed",
            records=[HeldRecord("read", f"{number:032x}", DAY.date(), "default")],
            case_number="",
            clause="S1-CP7b.v",
            reason="as directed",
            added_by="admin",
            added_at=NOW,
            zone="UTC",
        )
    )


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    lake = Lake(config)
    lake.init()
    return lake


def test_who_saw_less_loses(lake: Lake) -> None:
    """Two that read the same history: the second's event is not written behind the first's."""
    log = hold_log(lake)
    assert log.append("a", 0, request(), NOW)
    assert log.append("a", 1, Stuck(at=NOW, why="first"), NOW)
    assert not log.append("a", 1, Stuck(at=NOW, why="second"), NOW)
    seen: list[int] = []

    def decide(events: object) -> HoldEvent:
        known = log.events("a")
        seen.append(len(known))
        if len(seen) == 1:
            log.append("a", len(known), Stuck(at=NOW, why="in between"), NOW)
        return Stuck(at=NOW, why="at last")

    log.decide("a", decide, NOW)
    assert seen == [2, 3]
    assert [getattr(e, "why", "") for e in log.events("a")] == [
        "",
        "first",
        "in between",
        "at last",
    ]


@pytest.mark.parametrize("statement", ["DELETE FROM hold_events", "UPDATE hold_events SET body=''"])
def test_the_database_refuses_to_change_what_was_written(lake: Lake, statement: str) -> None:
    log = hold_log(lake)
    log.append("a", 0, request(), NOW)
    with pytest.raises(DBAPIError, match="append-only"), lake.catalog.engine.begin() as connection:
        connection.execute(text(statement))
    assert log.events("a") == [request()]


def test_two_lakes_in_one_database_do_not_mix(lake: Lake, config: LakeConfig) -> None:
    hold_log(lake).append("a", 0, request(), NOW)
    other = Lake(replace(config, catalog_name="other"))
    assert hold_log(other).subjects() == {}
    assert hold_log(other).append("a", 0, request(2), NOW)
    assert list(hold_log(lake).subjects().values()) == [[request()]]


def test_subjects_come_in_the_order_of_their_beginning(lake: Lake) -> None:
    log = hold_log(lake)
    for number, subject in enumerate("cab"):
        log.append(subject, 0, request(number), NOW + timedelta(seconds=number))
    log.append("c", 1, Stuck(at=NOW, why="x"), NOW + timedelta(days=1))
    assert list(log.subjects()) == ["c", "a", "b"]
    assert len(log.subjects()["c"]) == 2
