"""What may be in the lake at a moment: by class and day, by time, and by hold.

Worked out from the policies and the holds' history alone, not from anything the purge wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from alpr.holds import fold
from alpr.retention import Retention, midnight
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.retention.evidence import hold_log
from catalog.retention.interlock import pending_holds
from catalog.schemas import TABLES

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY: Final = date(1970, 1, 1)
_ROWS = r"retention_class=([^/\s\"']+)/captured_on=(\d{4}-\d\d-\d\d)"
_PACK = r"class=([^/\s\"']+)/day=(\d{4}-\d\d-\d\d)"
_HOLD = r"hold(?:_id)?=([0-9A-Za-z-]+)"
_NAMED: Final = re.compile(f"{_ROWS}|(?<![a-z_]){_PACK}|(?<![a-z_]){_HOLD}")


@dataclass(frozen=True)
class Rules:
    """What may still be there at `judged_at`.

    `cutoffs`: per class the first local day that is kept. `starts`: the first moment of that
    day, in µs since 1970 (UTC). `pinned`: partitions that holds still have to be copied from.
    `in_force`: holds whose copies may lie in evidence.
    """

    judged_at: datetime
    cutoffs: Mapping[str, date]
    starts: Mapping[str, int]
    pinned: frozenset[Partition]
    in_force: frozenset[str]

    @staticmethod
    def at(
        retention: Retention,
        judged_at: datetime,
        pinned: frozenset[Partition] = frozenset(),
        in_force: frozenset[str] = frozenset(),
    ) -> Rules:
        """The rules of these policies at a moment."""
        cutoffs = {name: each.cutoff(judged_at) for name, each in retention.classes.items()}
        starts = {
            name: micros(midnight(day, retention.zone_of(name))) for name, day in cutoffs.items()
        }
        return Rules(judged_at, cutoffs, starts, pinned, in_force)

    @staticmethod
    def of(lake: Lake, retention: Retention, judged_at: datetime) -> Rules:
        """The rules of a lake's policies and holds. Raises Unavailable, Corrupt.

        A registration counts only while its hold's own history says that it is to be copied.
        """
        states = {hold: fold(known) for hold, known in hold_log(lake).subjects().items()}
        unfinished = {hold for hold, state in states.items() if state.is_unfinished(judged_at)}
        held = {hold for hold, state in states.items() if state.status(judged_at) == "held"}
        pinned = {
            partition
            for name in TABLES
            for hold, partitions in pending_holds(lake.table(name)).items()
            if hold in unfinished
            for partition in partitions
        }
        return Rules.at(retention, judged_at, frozenset(pinned), frozenset(held | unfinished))

    def knows(self, retention_class: str) -> bool:
        """Whether some policy has the class."""
        return retention_class in self.cutoffs

    def has_ended(self, retention_class: str, day: date) -> bool:
        """Whether what was captured on this local day must be gone. False for unknown classes."""
        cutoff = self.cutoffs.get(retention_class)
        return (
            cutoff is not None
            and day < cutoff
            and Partition((day - _FIRST_DAY).days, retention_class) not in self.pinned
        )

    def is_pinned(self, retention_class: str, day: date) -> bool:
        """Whether a hold is still to be copied from this partition."""
        return Partition((day - _FIRST_DAY).days, retention_class) in self.pinned

    def ended_names(self, text: str) -> Iterator[str]:
        """What a text names, by address, that must be gone: partitions, packs, holds' copies."""
        for match in _NAMED.finditer(text):
            row_class, day, pack_class, pack_day, hold = match.groups()
            if hold is not None:
                if hold not in self.in_force:
                    yield match[0]
                continue
            name, told = row_class or pack_class, day or pack_day
            try:
                when = date.fromisoformat(told)
            except ValueError:
                yield match[0]  # no such day: nothing of ours, and nobody says when it ends
                continue
            if not self.knows(name) or self.has_ended(name, when):
                yield match[0]


def micros(moment: datetime) -> int:
    """µs since 1970-01-01 (UTC), exactly."""
    past = moment - _EPOCH
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
