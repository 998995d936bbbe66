"""Canaries: made-up plates planted before a purge, of which nothing may be found after it.

They go the way of every record: staged, committed (or sent to the topic and landed), compacted,
purged. Each class gets a read, with an image, and a hit of the oldest day that is still kept,
so that all end within a day. Every plate and image of a planting begins with one random text,
which occurs nowhere else: finding it anywhere means that something of them is left.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from pyiceberg.table import Table, Transaction

from alpr.errors import BadInput, ConfigurationError
from alpr.ids import hit_id, read_id
from alpr.records import Candidate, Hit, Read
from alpr.retention import Retention, RetentionClass, midnight
from catalog.cutoffs import is_cut_off, read_cutoffs
from catalog.lake import Lake
from catalog.parquet import data_file
from catalog.retention.needles import Needles
from catalog.rows import Origin
from catalog.schemas import HITS, READS
from catalog.staging import OffsetRange, StagedGroup, stage_hits, stage_reads
from catalog.swap import Change, Summary, swap

NAME: Final = "platelake-canary"
"""Agency, camera and source of every canary, so that people can tell and leave them out."""

CANARY: Final = "canary"
"""Operation of the swap; it adds rows, so a committer looks at the table's ids anew."""

_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_TOKEN, _MARKER = 8, 16
_ATTEMPTS: Final = 20
_MARK_EVERY: Final = 4096
_JPEG: Final = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4"
    "UG1RV19iZ2hnPk1xeXBkeFxlZ2P/wAALCAAIAAgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QA"
    "tRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0"
    "NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2"
    "t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/ACv/2Q=="
)
"""A grey square of 8 by 8 pixels."""


class Canary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A planting: what to look for, and from when on nothing of it may be found.

    `token` begins every plate, `marker` is in every image. `records` were planted.
    """

    planted_at: datetime
    ends_at: datetime
    token: str
    marker: str
    records: int

    def needles(self) -> Needles:
        """What a search looks for: number 0 is the plates, 1 the images."""
        return Needles([self.token.encode(), self.marker.encode()])

    def save(self, path: Path) -> None:
        """Write it to a file of its own, mode 0600. Raises ConfigurationError if there is one."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror}") from error
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(msgspec.to_builtins(self), file, indent=1)

    @staticmethod
    def load(path: Path) -> Canary:
        """From its file. Raises ConfigurationError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=Canary)
        except OSError as error:
            raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            raise ConfigurationError(f"{path} describes no canary: {error}") from error


@dataclass(frozen=True)
class Brood:
    """A canary and the records that are to be planted."""

    canary: Canary
    reads: tuple[Read, ...]
    hits: tuple[Hit, ...]


def make_canary(
    retention: Retention,
    now: datetime,
    *,
    image_bytes: int = 40_000,
    random_text: Callable[[int], str] = lambda length: "".join(
        secrets.choice(_LETTERS) for _ in range(length)
    ),
) -> Brood:
    """A read (with an image of about so many bytes) and a hit for every class that has such.

    Each is captured at noon of the class's oldest day that is still kept at `now`.
    """
    token, marker = random_text(_TOKEN), random_text(_MARKER)
    reads: list[Read] = []
    hits: list[Hit] = []
    ends: list[datetime] = []
    for number, each in enumerate(retention.classes.values()):
        day = each.cutoff(now)
        ends.append(each.ends_at(day))
        captured_at = midnight(day, each.zone) + timedelta(hours=12)
        plate = f"{token}{number % 10_000:04d}"
        read = _read(retention, each, captured_at, now, plate, _image(marker, image_bytes))
        if "read" in each.records:
            reads.append(read)
        if "hit" in each.records:
            hits.append(_hit(read, now))
    canary = Canary(
        planted_at=now,
        ends_at=max(ends),
        token=token,
        marker=marker,
        records=len(reads) + len(hits),
    )
    return Brood(canary, tuple(reads), tuple(hits))


def plant(
    lake: Lake, brood: Brood, now: datetime, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Stage the records as the land job does and add them, beside it and without its epoch.

    The number of records that are in the lake then. Raises BadInput (`too-late`) if all days
    have been purged meanwhile, Unavailable if catalogue or store do not answer.
    """
    planted = 0
    for name, records in ((READS.name, brood.reads), (HITS.name, brood.hits)):
        if not records:
            continue
        origin = Origin(CANARY, 0, range(len(records)))
        covered = [OffsetRange(CANARY, 0, 0, len(records))]
        group = (
            stage_reads(lake, brood.reads, origin, covered, now)
            if name == READS.name
            else stage_hits(lake, brood.hits, origin, covered, now)
        )
        planted += _add(lake, group, sleep)
    if not planted:
        raise BadInput("too-late", "the oldest days have been purged just now: plant again")
    return planted


def _add(lake: Lake, group: StagedGroup, sleep: Callable[[float], None]) -> int:
    rows: list[int] = []

    def decide(table: Table) -> Change | None:
        cutoffs = read_cutoffs(table)
        files = [each.file for each in group.files if not is_cut_off(each.file.partition, cutoffs)]
        rows.append(sum(file.rows for file in files))
        if not files:
            return None

        def change(transaction: Transaction, summary: Summary) -> None:
            spec = transaction.table_metadata.default_spec_id
            with transaction.update_snapshot(summary).fast_append() as new:
                for file in files:
                    new.append_data_file(data_file(file, spec))

        return change

    swap(lake, group.table, CANARY, decide, attempts=_ATTEMPTS, sleep=sleep)
    return rows[-1]


def _read(
    retention: Retention,
    each: RetentionClass,
    captured_at: datetime,
    now: datetime,
    plate: str,
    image: bytes,
) -> Read:
    agencies = [name for name, policy in retention.agencies.items() if policy == each.policy]
    agency = NAME if retention.policy_of(NAME) == each.policy else min(agencies, default=NAME)
    source = NAME
    if each.sources and not each.is_for("read", source):
        source = each.sources[0].replace("*", NAME).replace("?", "x")
    return Read(
        read_id=read_id(agency, NAME, captured_at, plate, source),
        agency=agency,
        camera=NAME,
        captured_at=captured_at,
        received_at=now,
        plate=plate,
        plate_raw=f"{plate[:_TOKEN]}-{plate[_TOKEN:]}",
        confidence=1.0,
        candidates=(Candidate(plate, 1.0),),
        source=source,
        source_version="1",
        source_id=plate,
        frames=1,
        retention_class=each.name,
        crop=image,
        overview=image,
    )


def _hit(read: Read, now: datetime) -> Hit:
    return Hit(
        hit_id=hit_id(read.read_id, "0" * 32),
        read_id=read.read_id,
        entry_id="0" * 32,
        list_version=CANARY,
        agency=read.agency,
        camera=read.camera,
        captured_at=read.captured_at,
        matched_at=now,
        plate=read.plate,
        confidence=1.0,
        entry_plate=read.plate,
        category="other",
        priority=5,
        match="exact",
        state_match="unknown",
        alert=False,
        retention_class=read.retention_class,
    )


def _image(marker: str, size: int) -> bytes:
    """A JPEG that holds the marker every few thousand bytes, in comments."""
    comments: Sequence[bytes] = [
        b"\xff\xfe" + (2 + len(body)).to_bytes(2, "big") + body
        for body in [marker.encode().ljust(_MARK_EVERY, b"\0")] * max(1, size // _MARK_EVERY)
    ]
    return _JPEG[:2] + b"".join(comments) + _JPEG[2:]
