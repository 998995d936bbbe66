"""Reads and hits of named cameras at chosen times, landed in a lake."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from alpr.ids import read_id
from alpr.records import Hit, Read
from catalog.commit import Committer
from catalog.lake import Lake
from catalog.rows import Origin
from catalog.staging import OffsetRange, StagedGroup, stage_hits, stage_reads
from tests.contract.lake.samples import make_hit, no_sleep


def reads_of(
    camera: str,
    hour: datetime,
    count: int,
    *,
    confidence: float = 0.9,
    state: str | None = "MA",
    frames: int = 4,
    delay: timedelta = timedelta(seconds=2),
    plate: str = "1ABC23",
    place: tuple[float, float] | None = (42.36, -71.06),
) -> list[Read]:
    """So many reads of `agency/camera`, evenly over an hour."""
    agency, _, name = camera.partition("/")
    reads = []
    for number in range(count):
        captured_at = hour + number * timedelta(hours=1) / count
        reads.append(
            Read(
                read_id=read_id(agency, name, captured_at, "", str(number)),
                agency=agency,
                camera=name,
                captured_at=captured_at,
                received_at=captured_at + delay,
                plate=plate,
                plate_raw=plate,
                confidence=confidence,
                state=state,
                state_confidence=None if state is None else 0.8,
                latitude=place[0] if place else None,
                longitude=place[1] if place else None,
                source="vendor",
                source_version="1.0",
                source_id=str(number),
                frames=frames,
            )
        )
    return reads


def land_reads(lake: Lake, reads: Sequence[Read], now: datetime) -> None:
    """One commit, after whatever the table holds."""
    committer = Committer(lake, "reads", now=lambda: now, sleep=no_sleep)
    first = sum(committer.offsets.values())
    covered = [OffsetRange("reads", 0, first, first + len(reads))]
    origin = Origin("reads", 0, range(first, first + len(reads)))
    committer.commit([_staged(stage_reads(lake, reads, origin, covered, now))])


def land_hits(lake: Lake, reads: Iterable[Read], now: datetime, entry: str = "0" * 32) -> None:
    """A hit for each read, category stolen-vehicle, in one commit."""
    hits: list[Hit] = [make_hit(read, entry) for read in reads]
    committer = Committer(lake, "hits", now=lambda: now, sleep=no_sleep)
    first = sum(committer.offsets.values())
    covered = [OffsetRange("hits", 0, first, first + len(hits))]
    origin = Origin("hits", 0, range(first, first + len(hits)))
    committer.commit([_staged(stage_hits(lake, hits, origin, covered, now))])


def _staged(group: StagedGroup) -> StagedGroup:
    assert group.files
    return group
