"""When a read matches a hot-list entry, and what the hit says. Pure rules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final, Literal

from alpr.ids import hit_id
from alpr.plates import match_key
from alpr.records import Hit, HotlistEntry, Read

STATE_CERTAIN: Final = 0.5
"""Below this confidence the reader's issuing state is no statement, and is called unknown."""


def in_force(entry: HotlistEntry, captured_at: datetime) -> bool:
    """Whether the entry is in force at the moment of capture: valid_from <= t < valid_to.

    The moment of capture decides, not that of matching: a late upload is
    matched against what was in force when the camera saw the car.
    """
    return entry.valid_from <= captured_at and (
        entry.valid_to is None or captured_at < entry.valid_to
    )


def state_match(read: Read, entry: HotlistEntry) -> Literal["same", "differs", "unknown"]:
    """Whether the issuing states agree (S0-VIII, S4-C4: the officer verifies the state)."""
    if entry.state is None or read.state is None:
        return "unknown"
    if read.state_confidence is not None and read.state_confidence < STATE_CERTAIN:
        return "unknown"
    return "same" if read.state == entry.state else "differs"


def match(
    read: Read, entries: Iterable[HotlistEntry], list_version: str, matched_at: datetime
) -> Iterator[Hit]:
    """The hits of one read against entries that may match it.

    Plates are equal by `match_key`; an entry not in force at capture gives
    nothing. The issuing state never suppresses a hit, it is said in it: readers
    get states wrong, and whoever is alerted must see both.
    """
    key = match_key(read.plate)
    for entry in entries:
        if match_key(entry.plate) != key or not in_force(entry, read.captured_at):
            continue
        yield Hit(
            hit_id=hit_id(read.read_id, entry.entry_id),
            read_id=read.read_id,
            entry_id=entry.entry_id,
            list_version=list_version,
            agency=read.agency,
            camera=read.camera,
            captured_at=read.captured_at,
            matched_at=matched_at,
            plate=read.plate,
            state=read.state,
            confidence=read.confidence,
            entry_plate=entry.plate,
            entry_state=entry.state,
            category=entry.category,
            priority=entry.priority,
            match="exact" if read.plate == entry.plate else "lookalike",
            state_match=state_match(read, entry),
            alert=True,
            latitude=read.latitude,
            longitude=read.longitude,
            heading=read.heading,
        )


class CoolDown:
    """Whether a hit should sound: not twice for one entry at one camera within `period`.

    Keyed by entry, not by plate: a second entry for the same plate always
    sounds. Judged by capture times, in either order: an upload of the morning's
    hits neither silences nor renews the one that sounded just now. Memory is
    bounded to `capacity` pairs and the latest few soundings of each; forgetting
    the oldest, or all at a restart, sounds once more, which harms nobody.
    """

    _REMEMBERED = 8

    def __init__(self, period: timedelta, capacity: int = 100_000) -> None:
        self._period = period
        self._capacity = capacity
        self._sounded: OrderedDict[tuple[str, str, str], tuple[datetime, ...]] = OrderedDict()

    def sounds(self, hit: Hit) -> bool:
        """True, and remembered, unless a hit of the same entry and camera sounded nearby."""
        key = (hit.entry_id, hit.agency, hit.camera)
        sounded = self._sounded.get(key, ())
        if any(abs(hit.captured_at - moment) < self._period for moment in sounded):
            return False
        self._sounded[key] = (*sounded, hit.captured_at)[-self._REMEMBERED :]
        self._sounded.move_to_end(key)
        if len(self._sounded) > self._capacity:
            self._sounded.popitem(last=False)
        return True
