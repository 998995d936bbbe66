"""The door of the lake: which class a record gets, and whether it comes too late to be kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from alpr.errors import Refused
from alpr.records import Hit, Read
from alpr.retention import Kind, Retention, RetentionClass, midnight

_LOOK_AGAIN: Final = timedelta(minutes=1)
"""Cut-offs move at local midnights; the lake's own cut-off decides for good (`catalog.commit`)."""

_Key = tuple[Kind, str, str, str]
RecordT = TypeVar("RecordT", Read, Hit)


class Admission:
    """Gives records their retention class, and refuses those whose class has let them go."""

    def __init__(self, retention: Retention, now: Callable[[], datetime]) -> None:
        self._retention = retention
        self._now = now
        self._looked: datetime | None = None
        self._known: dict[_Key, tuple[RetentionClass, datetime]] = {}

    def read(self, read: Read) -> Read:
        """The read in its class. Raises BadInput as `check`."""
        return self._admit("read", read, read.source)

    def hit(self, hit: Hit) -> Hit:
        """The hit in its class. Raises BadInput as `check`."""
        return self._admit("hit", hit, "")

    def check(self, kind: Kind, record: Read | Hit, source: str) -> RetentionClass:
        """The class of a record.

        Raises BadInput (`unknown-retention-class`), or Refused (`past-retention`) for a record
        captured so long ago that the lake may not hold it any more.
        """
        now = self._now()
        if self._looked is None or not timedelta(0) <= now - self._looked < _LOOK_AGAIN:
            self._known.clear()
            self._looked = now
        key = (kind, record.agency, source, record.retention_class)
        if (known := self._known.get(key)) is None:
            found = self._retention.class_of(*key)
            known = self._known[key] = (found, midnight(found.cutoff(now), found.zone))
        found, oldest = known
        if record.captured_at < oldest:
            raise Refused(
                "past-retention",
                f"class {found.name} keeps a {kind} for {found.keep} ({found.clause}), so it had "
                f"to be captured at {oldest.isoformat()} or later: upload sooner, or "
                "set the camera's clock",
            )
        return found

    def _admit(self, kind: Kind, record: RecordT, source: str) -> RecordT:
        found = self.check(kind, record, source)
        if record.retention_class == found.name:
            return record
        return msgspec.structs.replace(record, retention_class=found.name)
