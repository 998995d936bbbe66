"""Picks a made-up hot list for a plan: some who pass, some who nearly do, many who never will."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from alpr.ids import entry_id
from alpr.records import Category, HotlistEntry
from ingest.simulator.designs import STATE_NAMES
from ingest.simulator.plan import Plan
from ingest.simulator.serials import PATTERNS, make_serial

SOURCE = "simulated"
_CATEGORIES: tuple[Category, ...] = (
    "stolen-vehicle", "stolen-plate", "amber", "wanted-person", "missing-person",
    "suspended-registration", "bolo", "investigative",
)  # fmt: skip
_WANTED = 14
_DAY = timedelta(days=1)


class _Want(NamedTuple):
    plate: str
    state: str | None
    valid_from: datetime
    valid_to: datetime | None = None


def make_hotlist(plan: Plan, *, share: float = 0.3, others: int = 500) -> tuple[HotlistEntry, ...]:
    """Entries for `share` of the plates that `plan` shows, and for `others` that it does not.

    Of the plates shown, in turn: listed in force with their state; in force
    without a state; the same plate of another state; expired before the start;
    not in force until a day after the end; coming into force half-way through;
    in force on two lists. The same plan gives the same list.
    """
    rng = np.random.default_rng((plan.world.seed, _WANTED))
    begin = plan.start
    end = max((shown.last_seen for shown in plan.shown), default=begin)
    plates = sorted({(shown.plate, shown.state) for shown in plan.shown})
    chosen = rng.permutation(len(plates))[: round(share * len(plates))]
    wants: list[_Want] = []
    for turn, index in enumerate(chosen):
        plate, state = plates[int(index)]
        wants += _wants(turn, plate, state, begin, end)
    states = sorted(STATE_NAMES)
    for _ in range(others):
        state = states[rng.integers(len(states))]
        pattern = PATTERNS[state][rng.integers(len(PATTERNS[state]))]
        wants.append(_Want(make_serial(pattern, rng).plate, state, begin - _DAY))
    return tuple(
        HotlistEntry(
            entry_id=entry_id(SOURCE, str(number)),
            source=SOURCE,
            plate=want.plate,
            state=want.state,
            category=_CATEGORIES[rng.integers(len(_CATEGORIES))],
            priority=int(rng.integers(1, 6)),
            valid_from=want.valid_from,
            valid_to=want.valid_to,
            case_number=f"SIM-{number}",
            reason="Simulated entry",
        )
        for number, want in enumerate(wants)
    )


def _wants(turn: int, plate: str, state: str, begin: datetime, end: datetime) -> list[_Want]:
    """How the plate chosen as number `turn` is listed."""
    before = begin - _DAY
    other = next(name for name in sorted(STATE_NAMES) if name != state)
    kinds = (
        [_Want(plate, state, before)],
        [_Want(plate, None, before)],
        [_Want(plate, other, before)],
        [_Want(plate, state, begin - 2 * _DAY, before)],
        [_Want(plate, state, end + _DAY)],
        [_Want(plate, state, begin + (end - begin) / 2)],
        [_Want(plate, state, before), _Want(plate, None, before, end + _DAY)],
    )
    return kinds[turn % len(kinds)]
