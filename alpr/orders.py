"""What an agency orders done with the rows it contributed, and what came of it.

"Each Contributing Party will retain sole responsibility, ownership, management control, and
disposition over the information it contributes" (S1-CP6a). So it can have its rows handed out,
removed, or moved into the class its policy now says. Who ordered what, why, and what was done
stays on record; copies under a hold stay too, until the hold ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from alpr.errors import BadInput, Corrupt
from alpr.holds import Line, Words
from alpr.records import Count, Instant, Name

Action = Literal["move", "remove", "export"]
OrderId = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}(?!\n)$")]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered.

    `first`, `last`: local days of capture, both included; None: no bound. `to_class`: where
    rows move to; None: wherever the agency's policy wants them.
    """

    order_id: OrderId
    action: Action
    agency: Name
    first: date | None = None
    last: date | None = None
    to_class: Name | None = None
    reason: Words
    by: Line
    at: Instant

    def covers(self, day: date) -> bool:
        """Whether rows captured on this local day are meant."""
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)


class Began(msgspec.Struct, frozen=True, tag="began"):
    """The order was taken; it is carried out from then on, whatever is killed."""

    order: Order


class Intended(msgspec.Struct, frozen=True, kw_only=True, tag="intended"):
    """A swap is about to leave these files (addresses) and packs to be deleted."""

    table: str
    day: date
    retention_class: Name
    files: tuple[str, ...]
    packs: tuple[str, ...]


class Rewrote(msgspec.Struct, frozen=True, kw_only=True, tag="rewrote"):
    """A swap was done: rows by the partition they moved to, removed, and found past their end.

    `duplicates`: rows dropped because the day they were to move to has their id already.
    """

    table: str
    day: date
    retention_class: Name
    moved: dict[str, Count]
    removed: Count
    expired: Count
    duplicates: Count = 0


class Swept(msgspec.Struct, frozen=True, kw_only=True, tag="swept"):
    """Bytes were deleted; `waiting`: objects too young to be told from uploads under way."""

    at: Instant
    files: Count
    packs: Count
    waiting: Count


class Handed(msgspec.Struct, frozen=True, kw_only=True, tag="handed"):
    """Rows were handed out; `digest` is the SHA-256 of their manifest."""

    at: Instant
    rows: Count
    digest: str


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """Nothing is left to be done. `held`: holds that keep copies of the agency's rows."""

    at: Instant
    held: tuple[str, ...]


OrderEvent = Began | Intended | Rewrote | Swept | Handed | Finished


@dataclass(frozen=True)
class OrderState:
    """An order as its events left it. Counts are rows; `by_day`: rows taken from each day."""

    order: Order
    moved: int = 0
    removed: int = 0
    expired: int = 0
    duplicates: int = 0
    by_day: dict[str, int] = field(default_factory=dict)
    files_deleted: int = 0
    packs_deleted: int = 0
    waiting: int = 0
    handed: Handed | None = None
    finished: Finished | None = None
    intended: tuple[Intended, ...] = ()


def fold_order(events: Sequence[OrderEvent]) -> OrderState:
    """The state that an order's events add up to. Raises Corrupt if they do not begin with it."""
    if not events or not isinstance(events[0], Began):
        raise Corrupt("the first event of an order must be the order: its history is not whole")
    state = OrderState(events[0].order)
    for event in events[1:]:
        match event:
            case Intended():
                state = replace(state, intended=(*state.intended, event))
            case Rewrote():
                moved = sum(event.moved.values())
                key = f"{event.table} {event.day} {event.retention_class}"
                rows = moved + event.removed + event.expired + event.duplicates
                state = replace(
                    state,
                    moved=state.moved + moved,
                    removed=state.removed + event.removed,
                    expired=state.expired + event.expired,
                    duplicates=state.duplicates + event.duplicates,
                    by_day=state.by_day | {key: state.by_day.get(key, 0) + rows},
                )
            case Swept():
                state = replace(
                    state,
                    files_deleted=state.files_deleted + event.files,
                    packs_deleted=state.packs_deleted + event.packs,
                    waiting=event.waiting,
                )
            case Handed():
                state = replace(state, handed=event)
            case Finished():
                state = replace(state, finished=event)
            case Began():
                raise Corrupt(f"order {event.order.order_id} began twice")
    return state


def checked_order(order: Order) -> Order:
    """The same order. Raises BadInput (`bad-order`) with what is wrong in it."""
    if order.first is not None and order.last is not None and order.first > order.last:
        raise BadInput("bad-order", f"the first day {order.first} is after the last {order.last}")
    if order.to_class is not None and order.action != "move":
        raise BadInput("bad-order", "only rows that move have a class to move to")
    try:
        return msgspec.json.decode(msgspec.json.encode(order), type=Order)
    except msgspec.ValidationError as error:
        raise BadInput("bad-order", str(error)) from error
