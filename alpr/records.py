"""The records that travel through the platform: frozen, typed, validated on decoding.

Times are aware UTC; places are WGS 84 degrees; headings are degrees clockwise
from north. `captured_at` (when the camera saw it) and `received_at` (when the
platform got it) are never mixed up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from alpr.ids import ID_PATTERN
from alpr.plates import PLATE_PATTERN, STATE_PATTERN

SCHEMA_VERSION = 1
"""Version of every record below; raised when a reader must know the difference."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}(?!\n)$"

Id = Annotated[str, Meta(pattern=ID_PATTERN)]
Name = Annotated[str, Meta(pattern=NAME_PATTERN)]
Plate = Annotated[str, Meta(pattern=PLATE_PATTERN)]
State = Annotated[str, Meta(pattern=STATE_PATTERN)]
Text = Annotated[str, Meta(max_length=1000)]
Instant = Annotated[datetime, Meta(tz=True)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Latitude = Annotated[float, Meta(ge=-90.0, le=90.0)]
Longitude = Annotated[float, Meta(ge=-180.0, le=180.0)]
Heading = Annotated[float, Meta(ge=0.0, lt=360.0)]
Count = Annotated[int, Meta(ge=0)]
Version = Annotated[int, Meta(ge=1, le=SCHEMA_VERSION)]

CameraKind = Literal["fixed", "mobile", "portable"]

Category = Literal[
    "amber",
    "silver",
    "blue",
    "stolen-vehicle",
    "stolen-plate",
    "wanted-person",
    "missing-person",
    "missing-college-student",
    "protection-order",
    "supervised-release",
    "sex-offender",
    "gang-terrorist-watch",
    "threat-to-officer",
    "suspended-registration",
    "unregistered",
    "bolo",
    "atl",
    "investigative",
    "custom",
    "other",
]


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One camera picture. On the topic the JPEG is the value and the rest are headers."""

    agency: Name
    camera: Name
    camera_kind: CameraKind = "fixed"
    captured_at: Instant
    received_at: Instant
    sequence: Count
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    heading: Heading | None = None
    schema_version: Version = SCHEMA_VERSION
    jpeg: bytes


class Candidate(msgspec.Struct, frozen=True):
    """One possible plate text with its score (0 to 1; the scores of a read need not sum to 1)."""

    plate: Plate
    score: Share


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle passing one camera (S4-III.D: images, date, time, GPS)."""

    read_id: Id
    agency: Name
    camera: Name
    captured_at: Instant
    received_at: Instant
    plate: Plate
    plate_raw: Annotated[str, Meta(max_length=32)]
    confidence: Share
    state: State | None = None
    state_confidence: Share | None = None
    candidates: tuple[Candidate, ...] = ()
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    heading: Heading | None = None
    source: Name
    source_version: Annotated[str, Meta(max_length=64)]
    source_id: Annotated[str, Meta(max_length=128)]
    frames: Annotated[int, Meta(ge=1)] = 1
    retention_class: Name = "default"
    crop: bytes | None = None
    overview: bytes | None = None
    schema_version: Version = SCHEMA_VERSION


class HotlistEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One wanted plate of one source; in force for captures in [valid_from, valid_to)."""

    entry_id: Id
    source: Name
    plate: Plate
    state: State | None = None
    category: Category
    priority: Annotated[int, Meta(ge=1, le=5)] = 3
    valid_from: Instant
    valid_to: Instant | None = None
    agency: Name | None = None
    case_number: Annotated[str, Meta(max_length=64)] | None = None
    reason: Text = ""
    category_raw: Annotated[str, Meta(max_length=40)] | None = None
    """The source's own letter or word for the category, in upper case; letters of different
    sources mean different things, so this says nothing without `source`."""
    record: Annotated[str, Meta(max_length=128)] | None = None
    """The source's own number of the record (NCIC: NIC), with which it is confirmed there."""
    vehicle: Annotated[str, Meta(max_length=200)] | None = None
    """The vehicle in the source's words: year, make, model, style, colour."""
    schema_version: Version = SCHEMA_VERSION


class HotlistChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the base snapshot: an entry put in force, or one removed."""

    entry_id: Id
    changed_at: Instant
    entry: HotlistEntry | None
    """The new entry; None removes `entry_id`."""
    schema_version: Version = SCHEMA_VERSION


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A read that matches a hot-list entry. It alone justifies nothing (S0-VIII): verify it."""

    hit_id: Id
    read_id: Id
    entry_id: Id
    list_version: Annotated[str, Meta(max_length=128)]
    agency: Name
    camera: Name
    captured_at: Instant
    matched_at: Instant
    plate: Plate
    state: State | None = None
    confidence: Share
    entry_plate: Plate
    entry_state: State | None = None
    category: Category
    priority: Annotated[int, Meta(ge=1, le=5)]
    match: Literal["exact", "lookalike"]
    state_match: Literal["same", "differs", "unknown"]
    alert: bool
    """False inside the cool-down of the same entry at the same camera: stored, not sounded."""
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    heading: Heading | None = None
    retention_class: Name = "default"
    schema_version: Version = SCHEMA_VERSION


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that could not be used, with the reason and where it came from."""

    reason: Name
    detail: Text
    job: Name
    topic: Annotated[str, Meta(max_length=249)]
    partition: Count
    offset: Count
    at: Instant
    key: bytes | None = None
    value: bytes | None = None
    """The message as it came; None where it was larger than the limit."""
    value_size: Count
    headers: tuple[tuple[str, bytes], ...] = ()
    schema_version: Version = SCHEMA_VERSION
