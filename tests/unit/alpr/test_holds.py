"""Holds: what they need, how long they last, and that their events add up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import BadInput, Corrupt
from alpr.holds import (
    HOLD_KINDS,
    Copied,
    Exported,
    Gone,
    HeldRecord,
    Hold,
    HoldEvent,
    HoldKind,
    HoldState,
    Refused,
    Released,
    Renewed,
    Requested,
    Stuck,
    fold,
    make_hold,
    release,
    renewal,
)
from alpr.retention import Period

NOW = datetime(2026, 11, 25, 15, tzinfo=UTC)
TODAY = NOW.date()
RECORDS = [HeldRecord("read", f"{number:032x}", TODAY, "default") for number in (2, 1)]
COPIED = Copied(at=NOW, records=2, images=0, image_bytes=0, digest="d")


def hold(kind: HoldKind = "case", **changes: object) -> Hold:
    given_: dict[str, object] = {
        "kind": kind,
        "records": RECORDS,
        "case_number": "26-1234",
        "clause": "S1-CP7b.iii",
        "reason": "robbery",
        "added_by": "inv.miller",
        "added_at": NOW,
        "zone": "America/New_York",
    }
    return make_hold(**(given_ | changes))  # type: ignore[arg-type]


def state(kind: HoldKind = "case", *events: HoldEvent, **changes: object) -> HoldState:
    return fold([Requested(hold(kind, **changes)), *events])


def test_the_same_purpose_and_records_are_the_same_hold() -> None:
    again = hold(records=[*reversed(RECORDS), RECORDS[0]], reason="in other words", added_by="x")
    assert again.hold_id == hold().hold_id
    for change in (
        {"kind": "evidence"},
        {"case_number": "26-9"},
        {"records": RECORDS[:1]},
        {"earlier": 1},
    ):
        assert hold(**{"kind": "case", **change}).hold_id != hold().hold_id  # type: ignore[arg-type]


def test_a_change_of_class_makes_no_second_hold() -> None:
    moved = [msgspec.structs.replace(record, retention_class="toll") for record in RECORDS]
    assert hold(records=moved).hold_id == hold().hold_id


@pytest.mark.parametrize("kind", HOLD_KINDS)
def test_which_kinds_need_a_case(kind: HoldKind) -> None:
    if kind in ("acted-on-hit", "preservation", "directed"):
        hold(kind, case_number="")
    else:
        with pytest.raises(BadInput, match="case number"):
            hold(kind, case_number="")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"records": []}, "at least one record"),
        ({"until": TODAY - timedelta(days=1)}, "today"),
        ({"reason": ""}, "reason"),
        ({"clause": ""}, "clause"),
        ({"added_by": ""}, "added_by"),
        ({"kind": "preservation", "until": date(2027, 11, 26)}, "1 year at most"),
    ],
)
def test_what_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        hold(**({"kind": "case"} | changes))  # type: ignore[arg-type]


def test_a_preservation_lasts_a_year_and_its_last_day_counts_whole() -> None:
    """N.C.G.S. 20-183.32; the day ends at local midnight, not at UTC's."""
    kept = state("preservation", COPIED)
    assert kept.until == date(2027, 11, 25)
    assert kept.ends_at == datetime(2027, 11, 26, 5, tzinfo=UTC)
    assert kept.status(datetime(2027, 11, 26, 4, 59, 59, tzinfo=UTC)) == "held"
    assert kept.status(datetime(2027, 11, 26, 5, tzinfo=UTC)) == "ended"


def test_a_preservation_is_renewed_a_year_at_a_time() -> None:
    kept = state("preservation", COPIED)
    event = renewal(kept, by="da", at=NOW, reason="again")
    assert event.until == date(2028, 11, 25)
    with pytest.raises(BadInput, match="1 year at most"):
        renewal(kept, by="da", at=NOW, reason="again", until=date(2028, 11, 26))
    with pytest.raises(BadInput, match="later than"):
        renewal(kept, by="da", at=NOW, reason="again", until=date(2027, 11, 25))
    renewed = state("preservation", COPIED, event)
    assert renewed.status(datetime(2028, 1, 1, tzinfo=UTC)) == "held"


def test_a_rule_says_how_long_a_hold_lasts_and_by_how_much_it_is_renewed() -> None:
    """23 V.S.A. 1608: 90 days, not a year; it holds for any kind whose rule states a period."""
    for kind in ("preservation", "evidence"):
        kept = state(kind, COPIED, lasts=Period(days=90))
        assert kept.until == TODAY + timedelta(days=90)
        assert renewal(kept, by="x", at=NOW, reason="y").until == TODAY + timedelta(days=180)
        with pytest.raises(BadInput, match="90 days at most"):
            renewal(kept, by="x", at=NOW, reason="y", until=TODAY + timedelta(days=181))
        with pytest.raises(BadInput, match="90 days at most"):
            hold(kind, lasts=Period(days=90), until=TODAY + timedelta(days=91))


def test_a_preservation_that_was_written_before_its_period_was_lasts_a_year() -> None:
    written = json.loads(msgspec.json.encode(Requested(hold("preservation"))))
    del written["hold"]["lasts"]
    kept = fold([msgspec.convert(written, Requested), COPIED])
    assert renewal(kept, by="da", at=NOW, reason="again").until == date(2028, 11, 25)


def test_what_has_ended_is_not_renewed() -> None:
    late = datetime(2028, 1, 1, tzinfo=UTC)
    with pytest.raises(BadInput, match="is ended"):
        renewal(state("preservation", COPIED), by="da", at=late, reason="forgot")
    with pytest.raises(BadInput, match="no last day"):
        renewal(state("case", COPIED), by="da", at=NOW, reason="why")
    with pytest.raises(BadInput, match="a day you name"):
        renewal(state("case", COPIED, until=TODAY), by="da", at=NOW, reason="why")


def test_a_release_ends_it_once() -> None:
    event = release(state("case", COPIED), by="inv", at=NOW, reason="acquitted")
    ended = state("case", COPIED, event)
    assert ended.status(NOW) == "ended"
    assert ended.status(NOW - timedelta(microseconds=1)) == "held"
    with pytest.raises(BadInput, match="ended already"):
        release(ended, by="inv", at=NOW, reason="again")


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "requested"),
        ([Stuck(at=NOW, why="a damaged pack")], "stuck"),
        ([Stuck(at=NOW, why="a damaged pack"), COPIED], "held"),
        ([Refused(at=NOW, why="gone")], "refused"),
        ([COPIED, Released(at=NOW, by="x", reason="y")], "ended"),
        ([COPIED, Released(at=NOW, by="x", reason="y"), Gone(at=NOW, objects=3, bytes=9)], "gone"),
        ([Released(at=NOW, by="x", reason="y")], "ended"),
    ],
)
def test_what_it_is_after_its_events(events: Sequence[HoldEvent], status: str) -> None:
    assert state("case", *events).status(NOW) == status
    assert state("case", *events).is_unfinished(NOW) == (status in ("requested", "stuck"))


def test_a_history_without_its_beginning_is_corrupt() -> None:
    for events in ([], [COPIED]):
        with pytest.raises(Corrupt, match="first event"):
            fold(events)
    with pytest.raises(Corrupt, match="twice"):
        fold([Requested(hold()), Requested(hold())])


_EVENTS = st.lists(
    st.one_of(
        st.just(COPIED),
        st.builds(Stuck, at=st.just(NOW), why=st.text(max_size=5)),
        st.builds(Renewed, at=st.just(NOW), by=st.just("x"), reason=st.just("y"), until=st.dates()),
        st.builds(Exported, at=st.just(NOW), by=st.just("x"), digest=st.just("d")),
        st.just(Gone(at=NOW, objects=0, bytes=0)),
    ),
    max_size=8,
)


@given(_EVENTS, st.datetimes(min_value=datetime(2027, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_no_event_brings_a_released_hold_back(events: list[HoldEvent], later: datetime) -> None:
    released = state("case", Released(at=NOW, by="x", reason="y"), *events)
    assert released.status(later) in ("ended", "gone")


@given(_EVENTS)
def test_events_survive_their_encoding(events: list[HoldEvent]) -> None:
    written: list[HoldEvent] = [Requested(hold()), *events]
    read = [msgspec.json.decode(msgspec.json.encode(e), type=HoldEvent) for e in written]
    assert read == written
    assert fold(read) == fold(written)
