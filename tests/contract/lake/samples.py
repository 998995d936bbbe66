"""Reads and hits to land, and lakes that misbehave at a chosen moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from pyiceberg.table import Table

from alpr.ids import hit_id, read_id
from alpr.records import Candidate, Hit, Read
from alpr.retention import Period, Retention, RetentionClass
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.rows import Origin
from catalog.staging import OffsetRange, StagedGroup, stage_hits, stage_reads

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = DAY + timedelta(hours=3)
RETENTION = Retention(
    {
        "sample": tuple(
            RetentionClass(
                name, "sample", frozenset({"read", "hit"}), Period(days=days), zone, "§ 1", "a test"
            )
            for name, days, zone in (
                ("default", 30, "UTC"),
                ("toll", 21, "America/New_York"),
                ("evidence", 365, "UTC"),
            )
        )
    },
    {},
    "sample",
)
"""Classes that the sample reads may be in."""

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


def make_read(
    number: int, *, days_ago: int = 0, retention_class: str = "default", image: bool = False
) -> Read:
    """A read that depends on its arguments only."""
    digits = [number // 33**place % 33 for place in range(7)]
    plate = "".join(_LETTERS[digit] for digit in digits)
    captured_at = DAY - timedelta(days=days_ago) + timedelta(microseconds=number * 1_001)
    agency, camera = f"agency-{number % 3}", f"camera-{number % 7}"
    return Read(
        read_id=read_id(agency, camera, captured_at, plate, str(number)),
        agency=agency,
        camera=camera,
        captured_at=captured_at,
        received_at=captured_at + timedelta(seconds=1),
        plate=plate,
        plate_raw=f"{plate[:3]} {plate[3:]}",
        confidence=number % 100 / 100,
        state="CA" if number % 2 else None,
        state_confidence=0.75 if number % 2 else None,
        candidates=tuple(Candidate(plate[: 7 - i], 0.5) for i in range(number % 3)),
        latitude=38.5 if number % 5 else None,
        longitude=-121.5 if number % 5 else None,
        heading=90.0 if number % 5 else None,
        source="vendor",
        source_version="1.0",
        source_id=str(number),
        frames=1 + number % 4,
        retention_class=retention_class,
        crop=f"crop {number}".encode() * 20 if image else None,
        overview=f"overview {number}".encode() * 50 if image and number % 2 else None,
    )


def make_reads(
    count: int,
    *,
    first: int = 0,
    days_ago: int = 0,
    retention_class: str = "default",
    image: bool = False,
) -> list[Read]:
    """Reads `first` to `first + count - 1`."""
    return [
        make_read(number, days_ago=days_ago, retention_class=retention_class, image=image)
        for number in range(first, first + count)
    ]


def make_hit(read: Read, entry: str = "0" * 32) -> Hit:
    """The hit of a read against an entry."""
    return Hit(
        hit_id=hit_id(read.read_id, entry),
        read_id=read.read_id,
        entry_id=entry,
        list_version="v1",
        agency=read.agency,
        camera=read.camera,
        captured_at=read.captured_at,
        matched_at=read.received_at,
        plate=read.plate,
        state=read.state,
        confidence=read.confidence,
        entry_plate=read.plate,
        category="stolen-vehicle",
        priority=2,
        match="exact",
        state_match="unknown",
        alert=True,
    )


def stage(
    lake: Lake, reads: Sequence[Read], first: int = 0, partition: int = 0, now: datetime = NOW
) -> StagedGroup:
    """A group of reads that had consecutive offsets from `first` on."""
    lake.retention = RETENTION
    offsets = range(first, first + len(reads))
    covered = [OffsetRange("reads", partition, first, first + len(reads))]
    return stage_reads(lake, reads, Origin("reads", partition, offsets), covered, now)


def stage_hit_group(lake: Lake, hits: Sequence[Hit], first: int = 0) -> StagedGroup:
    """A group of hits that had consecutive offsets from `first` on."""
    lake.retention = RETENTION
    offsets = range(first, first + len(hits))
    covered = [OffsetRange("hits", 0, first, first + len(hits))]
    return stage_hits(lake, hits, Origin("hits", 0, offsets), covered, NOW)


def empty_group(first: int, next_: int, partition: int = 0) -> StagedGroup:
    """A batch that was dead letters only."""
    return StagedGroup("reads", (), (OffsetRange("reads", partition, first, next_),), NOW)


def stored_ids(lake: Lake, table: str = "reads") -> list[str]:
    """The ids of every row, sorted, as pyiceberg reads them."""
    column = f"{table.removesuffix('s')}_id"
    found: list[str] = (
        lake.table(table).scan(selected_fields=(column,)).to_arrow()[column].to_pylist()
    )
    return sorted(found)


def ids_of(reads: Sequence[Read]) -> list[str]:
    """The distinct ids of reads, sorted."""
    return sorted({read.read_id for read in reads})


class InterruptedLake(Lake):
    """A lake in which something happens right after a table was loaded: once per entry."""

    def __init__(self, config: LakeConfig) -> None:
        super().__init__(config)
        self.after_load: list[Callable[[], object]] = []

    def table(self, name: str) -> Table:
        """As Lake.table; then the next interruption."""
        table = super().table(name)
        if self.after_load:
            self.after_load.pop(0)()
        return table


def no_sleep(_: float) -> None:
    """For retries that need no wait."""
