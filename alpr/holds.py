"""Holds: records that must outlive their retention class, for whom, why, and until when.

A hold copies its records into evidence, where they stay until it ends: by release, or once its
last day is over. The records themselves still go when their class says so. Nothing is ever
forgotten about a hold: its state is what its events, in their order, add up to.

The kinds, and where they come from: `evidence` (S1-CP7b.iv, S0-IX: likely evidence in a criminal
or civil action), `case` (S1-CP7b.ii-iii: arrest or criminal investigation), `disposition`
(S1-CP7b.i: until the case's final disposition), `discovery` (S0-IX: a discovery request or other
lawful action to produce records), `acted-on-hit` (S1-CP1: a hit somebody acted on is preserved),
`preservation` (N.C.G.S. 20-183.32: a request that lasts one year and may be renewed; 23 V.S.A.
1608: 90 days), `directed` (S1-CP7b.v: as the administrator directs). Which of them a record may
have, and for how long, its policy says (`alpr.policy.hold_rule`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from alpr.errors import BadInput, Corrupt
from alpr.records import Count, Id, Instant, Name
from alpr.retention import Kind, Period, midnight

HoldKind = Literal[
    "evidence", "case", "disposition", "discovery", "acted-on-hit", "preservation", "directed"
]
HOLD_KINDS: Final[tuple[HoldKind, ...]] = get_args(HoldKind)

PRESERVATION: Final = Period(years=1)
"""How long a preservation request lasts, and by how much each renewal prolongs it at most, where
the policy states no holds."""

_NEEDS_CASE: Final = frozenset({"evidence", "case", "disposition", "discovery"})

Line = Annotated[str, Meta(min_length=1, max_length=200)]
Words = Annotated[str, Meta(min_length=1, max_length=2000)]

EventT = TypeVar("EventT", bound=msgspec.Struct)

Status = Literal["requested", "stuck", "held", "refused", "ended", "gone"]
"""`requested`: its records are not all copied yet; `stuck`: they cannot be, and keep their
partitions; `held`: copied; `refused`: there was nothing to hold any more; `ended`: released or
past its last day, the copies go with the next purge; `gone`: the copies have been deleted."""


class HeldRecord(msgspec.Struct, frozen=True, order=True):
    """One record under a hold, and the partition it lay in when the hold was made."""

    kind: Kind
    record_id: Id
    captured_on: date
    retention_class: Name


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for.

    `until`: the last local day (in `zone`) on which it is in force; None: until it is released.
    `lasts`: the period after which it must be renewed, and by which it is at most; empty: none
    (holds of before this was written down have none either).
    """

    hold_id: Id
    kind: HoldKind
    case_number: Annotated[str, Meta(max_length=64)] = ""
    clause: Line
    reason: Words
    added_by: Line
    added_at: Instant
    until: date | None = None
    lasts: Annotated[str, Meta(max_length=32)] = ""
    zone: str
    records: tuple[HeldRecord, ...]

    @property
    def period(self) -> Period | None:
        """After how long it must be renewed; None: never, or only by its last day."""
        if self.lasts:
            return Period.parse(self.lasts)
        return PRESERVATION if self.kind == "preservation" else None


class Requested(msgspec.Struct, frozen=True, tag="requested"):
    """Somebody asked for a hold; from its registration on no purge can overtake it."""

    hold: Hold


class Copied(msgspec.Struct, frozen=True, kw_only=True, tag="copied"):
    """Its records lie in evidence and were read back; `digest` is over their SHA-256."""

    at: Instant
    records: Count
    images: Count
    image_bytes: Count
    digest: str


class Stuck(msgspec.Struct, frozen=True, kw_only=True, tag="stuck"):
    """Its records could not be copied: they keep their partitions until somebody acts."""

    at: Instant
    why: str


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """Its records had gone before it could be registered."""

    at: Instant
    why: str


class Renewed(msgspec.Struct, frozen=True, kw_only=True, tag="renewed"):
    """Its last day was put off."""

    at: Instant
    by: Line
    reason: Words
    until: date


class Released(msgspec.Struct, frozen=True, kw_only=True, tag="released"):
    """Somebody ended it."""

    at: Instant
    by: Line
    reason: Words


class Exported(msgspec.Struct, frozen=True, kw_only=True, tag="exported"):
    """Its evidence was written to media; `digest` is the SHA-256 of the manifest."""

    at: Instant
    by: Line
    digest: str


class Gone(msgspec.Struct, frozen=True, kw_only=True, tag="gone"):
    """Its copies were deleted."""

    at: Instant
    objects: Count
    bytes: Count


HoldEvent = Requested | Copied | Stuck | Refused | Renewed | Released | Exported | Gone


@dataclass(frozen=True)
class HoldState:
    """A hold as its events left it; `last` is the number of events.

    `stuck`: why its records cannot be copied, `refused`: why there was nothing to hold.
    """

    hold: Hold
    until: date | None
    copied: Copied | None = None
    stuck: str | None = None
    refused: Refused | None = None
    released: Released | None = None
    gone: Gone | None = None
    exports: int = 0
    last: int = 1

    @property
    def ends_at(self) -> datetime | None:
        """The moment (UTC) it ends: at its release, or when its last day is over; None: open."""
        ends = [] if self.until is None else [_end(self.until, self.hold.zone)]
        if self.released is not None:
            ends.append(self.released.at)
        return min(ends, default=None)

    def status(self, now: datetime) -> Status:
        """What it is at a moment."""
        if self.gone is not None:
            return "gone"
        if self.refused is not None:
            return "refused"
        if (end := self.ends_at) is not None and end <= now:
            return "ended"
        if self.copied is not None:
            return "held"
        return "requested" if self.stuck is None else "stuck"

    def is_unfinished(self, now: datetime) -> bool:
        """Whether its records must still be copied."""
        return self.status(now) in ("requested", "stuck")


def fold(events: Sequence[HoldEvent]) -> HoldState:
    """The state that a hold's events add up to. Raises Corrupt if they do not begin with a request.

    A renewal after the end does not bring a hold back: `renewal` refuses it beforehand.
    """
    if not events or not isinstance(events[0], Requested):
        raise Corrupt("the first event of a hold must be its request: its history is not whole")
    state = HoldState(events[0].hold, events[0].hold.until, last=len(events))
    for event in events[1:]:
        match event:
            case Copied():
                state = replace(state, copied=event, stuck=None)
            case Stuck():
                state = replace(state, stuck=event.why)
            case Refused():
                state = replace(state, refused=event)
            case Renewed():
                state = replace(state, until=event.until)
            case Released():
                state = replace(state, released=state.released or event)
            case Exported():
                state = replace(state, exports=state.exports + 1)
            case Gone():
                state = replace(state, gone=event)
            case Requested():
                raise Corrupt(f"hold {event.hold.hold_id} was requested twice")
    return state


def make_hold(
    *,
    kind: HoldKind,
    records: Iterable[HeldRecord],
    case_number: str,
    clause: str,
    reason: str,
    added_by: str,
    added_at: datetime,
    zone: str,
    until: date | None = None,
    lasts: Period | None = None,
    earlier: int = 0,
) -> Hold:
    """A hold with the id that its purpose and records give it.

    Asking twice for the same thing gives the same id, so it cannot be held twice; `earlier` is
    how many holds for the same thing have ended. `lasts`: for how long its rule lets one be in
    force without being renewed, which gives a last day to a hold without one; of a preservation
    request whose rule states nothing it is a year. Raises BadInput (`bad-hold`) with what is
    missing.
    """
    listed = tuple(sorted(set(records)))
    today = _local(added_at, zone)
    if not listed:
        raise BadInput("bad-hold", "a hold is for at least one record")
    if kind in _NEEDS_CASE and not case_number:
        raise BadInput("bad-hold", f"a hold of kind {kind} needs its case number")
    period = lasts or (PRESERVATION if kind == "preservation" else None)
    if period is not None:
        until = until or period.after(today)
        if until > period.after(today):
            raise BadInput(
                "bad-hold",
                f"a hold of kind {kind} ({clause}) lasts {period} at most "
                f"(until {period.after(today)}), not until {until}: renew it then",
            )
    if until is not None and until < today:
        raise BadInput("bad-hold", f"the last day must be today ({today}) or later, not {until}")
    hold = Hold(
        hold_id=_hold_id(kind, case_number, listed, earlier),
        kind=kind,
        case_number=case_number,
        clause=clause,
        reason=reason,
        added_by=added_by,
        added_at=added_at,
        until=until,
        lasts="" if period is None else str(period),
        zone=zone,
        records=listed,
    )
    return _checked(hold)


def renewal(
    state: HoldState, *, by: str, at: datetime, reason: str, until: date | None = None
) -> Renewed:
    """The event that puts off a hold's last day, by default by the period that it lasts.

    Raises BadInput (`bad-hold`) if the hold has no last day or has ended, or the new one is not
    later.
    """
    hold = state.hold
    if state.until is None:
        raise BadInput("bad-hold", "this hold has no last day to renew: it lasts until released")
    if state.status(at) not in ("requested", "stuck", "held"):
        raise BadInput(
            "bad-hold", f"this hold is {state.status(at)}: add a new one while the records exist"
        )
    today = _local(at, hold.zone)
    if (period := hold.period) is not None:
        latest = max(period.after(today), period.after(state.until))
        until = until or period.after(state.until)
        if until > latest:
            raise BadInput(
                "bad-hold",
                f"a renewal prolongs by {period} at most (until {latest}), not until {until}",
            )
    if until is None:
        raise BadInput("bad-hold", f"a hold of kind {hold.kind} is renewed until a day you name")
    if until <= state.until:
        raise BadInput(
            "bad-hold", f"the new last day must be later than {state.until}, not {until}"
        )
    return _checked(Renewed(at=at, by=by, reason=reason, until=until))


def release(state: HoldState, *, by: str, at: datetime, reason: str) -> Released:
    """The event that ends a hold. Raises BadInput (`bad-hold`) if it has ended already."""
    if state.status(at) not in ("requested", "stuck", "held"):
        raise BadInput("bad-hold", f"this hold is {state.status(at)} already")
    return _checked(Released(at=at, by=by, reason=reason))


def _hold_id(kind: str, case_number: str, records: Sequence[HeldRecord], earlier: int) -> str:
    h = hashlib.blake2b(digest_size=16, person=b"hold")
    for part in (kind, case_number, str(earlier), *(f"{r.kind}:{r.record_id}" for r in records)):
        data = part.encode()
        h.update(len(data).to_bytes(4, "big"))
        h.update(data)
    return h.hexdigest()


def _end(until: date, zone: str) -> datetime:
    return midnight(until + timedelta(days=1), zone)


def _local(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


def _checked(event: EventT) -> EventT:
    # Structs check their fields only on decoding.
    try:
        return msgspec.json.decode(msgspec.json.encode(event), type=type(event))
    except msgspec.ValidationError as error:
        raise BadInput("bad-hold", str(error)) from error
