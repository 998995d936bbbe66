"""Records with sensible fields; a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from alpr.ids import entry_id, hit_id, read_id
from alpr.records import DeadLetter, Frame, Hit, HotlistChange, HotlistEntry, Read

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""A noon well inside a day, so that adding minutes changes no date."""


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def make_frame(seconds: float = 0.0, **fields: Any) -> Frame:
    known: dict[str, Any] = {
        "agency": "pd",
        "camera": "cam-1",
        "captured_at": at(seconds),
        "received_at": at(seconds + 0.5),
        "sequence": round(seconds * 10),
        "jpeg": b"\xff\xd8\xff\xd9",
    }
    return Frame(**known | fields)


def make_read(plate: str = "ABC1234", seconds: float = 0.0, **fields: Any) -> Read:
    known: dict[str, Any] = {
        "agency": "pd",
        "camera": "cam-1",
        "captured_at": at(seconds),
        "received_at": at(seconds + 0.5),
        "plate": plate,
        "plate_raw": plate,
        "confidence": 0.9,
        "source": "vendor",
        "source_version": "1.0",
        "source_id": f"{plate}@{seconds}",
    } | fields
    identity = (known["agency"], known["camera"], known["captured_at"], plate, known["source_id"])
    return Read(**{"read_id": read_id(*identity)} | known)


def make_entry(plate: str = "ABC1234", record: str | None = None, **fields: Any) -> HotlistEntry:
    known: dict[str, Any] = {
        "entry_id": entry_id("state-list", record or f"record of {plate}"),
        "source": "state-list",
        "plate": plate,
        "category": "stolen-vehicle",
        "valid_from": T0 - timedelta(days=1),
    }
    return HotlistEntry(**known | fields)


def make_change(
    entry: HotlistEntry, seconds: float = 0.0, *, removed: bool = False
) -> HotlistChange:
    return HotlistChange(
        entry_id=entry.entry_id, changed_at=at(seconds), entry=None if removed else entry
    )


def make_hit(plate: str = "ABC1234", seconds: float = 0.0, **fields: Any) -> Hit:
    read, entry = make_read(plate, seconds), make_entry(plate)
    known: dict[str, Any] = {
        "hit_id": hit_id(read.read_id, entry.entry_id),
        "read_id": read.read_id,
        "entry_id": entry.entry_id,
        "list_version": "20260301T110000000000Z-0badcafe+7",
        "agency": read.agency,
        "camera": read.camera,
        "captured_at": read.captured_at,
        "matched_at": at(seconds + 1),
        "plate": plate,
        "confidence": 0.9,
        "entry_plate": plate,
        "category": "stolen-vehicle",
        "priority": 3,
        "match": "exact",
        "state_match": "unknown",
        "alert": True,
    }
    return Hit(**known | fields)


def make_dead_letter(**fields: Any) -> DeadLetter:
    known: dict[str, Any] = {
        "reason": "not-json",
        "detail": "JSON is malformed",
        "job": "match",
        "topic": "reads",
        "partition": 0,
        "offset": 7,
        "at": T0,
        "key": b"pd/cam-1",
        "value": b"{",
        "value_size": 1,
    }
    return DeadLetter(**known | fields)
