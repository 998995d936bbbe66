"""The worker's side of landing: a batch becomes stored files and a note of what they hold.

Nothing here touches the catalogue: a staged file is invisible until the committer
registers it, and one that never is becomes an orphan for `catalog.sweep`. Names carry a
UUID, so that two workers with the same batch can never overwrite each other's file.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa

from alpr.records import Hit, Read
from catalog.idindex import id_bytes
from catalog.images import ImageRef, PackWriter
from catalog.lake import Lake
from catalog.parquet import (
    STAGED_LEVEL,
    ParquetFile,
    Partition,
    captured_bounds,
    encode,
)
from catalog.rows import Images, Origin, hits_to_arrow, reads_to_arrow
from catalog.schemas import HITS, NAMESPACE, READS, TableDef

NewName = Callable[[], str]


def _uuid() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, order=True)
class OffsetRange:
    """The offsets [first, next) of one partition of one topic."""

    topic: str
    partition: int
    first: int
    next: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.next:
            raise ValueError(f"not an offset range: {self}")


@dataclass(frozen=True)
class StagedFile:
    """A stored, not yet registered file, and the identity of every row in it.

    `ids`: 16 bytes a row, in row order. `spans`: per source partition the smallest
    range around the offsets of its rows.
    """

    file: ParquetFile
    ids: bytes
    spans: tuple[OffsetRange, ...]


@dataclass(frozen=True)
class StagedGroup:
    """One micro-batch, committed whole or not at all.

    `covered` are the offsets the batch accounts for, dead letters included: every
    row that those offsets gave is in `files`. A batch without any row has no files.
    `staged_at` is when the files were about to be stored (UTC).
    """

    table: str
    files: tuple[StagedFile, ...]
    covered: tuple[OffsetRange, ...]
    staged_at: datetime


def stage_reads(
    lake: Lake,
    reads: Sequence[Read],
    origin: Origin,
    covered: Sequence[OffsetRange],
    landed_at: datetime,
    new_name: NewName = _uuid,
) -> StagedGroup:
    """Store the images of a batch, then its rows, one file a partition of the table.

    Raises Unavailable if the store fails: staging the batch again is harmless.
    """
    images = _store_images(lake, reads, new_name)
    table = reads_to_arrow(reads, origin, landed_at, images, lake.retention.zone_of)
    return stage_table(lake, READS, table, covered, landed_at, new_name)


def stage_hits(
    lake: Lake,
    hits: Sequence[Hit],
    origin: Origin,
    covered: Sequence[OffsetRange],
    landed_at: datetime,
    new_name: NewName = _uuid,
) -> StagedGroup:
    """Store the rows of a batch of hits, one file a partition of the table."""
    table = hits_to_arrow(hits, origin, landed_at, lake.retention.zone_of)
    return stage_table(lake, HITS, table, covered, landed_at, new_name)


def stage_table(
    lake: Lake,
    definition: TableDef,
    table: pa.Table,
    covered: Sequence[OffsetRange],
    staged_at: datetime,
    new_name: NewName = _uuid,
) -> StagedGroup:
    """Split rows by (local day of capture, retention class) and store each part."""
    files = tuple(
        _store_rows(lake, definition, part, partition, new_name) for partition, part in split(table)
    )
    return StagedGroup(definition.name, files, tuple(covered), staged_at)


def split(table: pa.Table) -> list[tuple[Partition, pa.Table]]:
    """The rows of each partition, in their order; nothing is copied if there is only one."""
    if table.num_rows == 0:
        return []
    days = table["captured_on"].cast(pa.int32()).to_numpy().astype(np.int64)
    classes = table["retention_class"].combine_chunks().dictionary_encode()
    keys = days * len(classes.dictionary) + classes.indices.to_numpy()
    if (keys == keys[0]).all():
        return [(Partition(int(days[0]), classes[0].as_py()), table)]
    distinct, first = np.unique(keys, return_index=True)
    return [
        (
            Partition(int(days[row]), classes[int(row)].as_py()),
            table.take(pa.array(np.flatnonzero(keys == key))),
        )
        for key, row in zip(distinct, first, strict=True)
    ]


def write_rows(
    lake: Lake,
    table_name: str,
    rows: pa.Table,
    partition: Partition,
    name: str,
    *,
    level: int = STAGED_LEVEL,
    sort_order: int | None = None,
) -> ParquetFile:
    """Encode rows of one partition and store them under the table's location."""
    data = encode(rows, level)
    uri = f"{lake.config.warehouse}/{NAMESPACE}/{table_name}/{partition.folder}/{name}.parquet"
    lake.store.write(uri, data)
    first, last = captured_bounds(rows)
    return ParquetFile(uri, partition, rows.num_rows, data.size, first, last, sort_order)


def _store_rows(
    lake: Lake, definition: TableDef, rows: pa.Table, partition: Partition, new_name: NewName
) -> StagedFile:
    return StagedFile(
        write_rows(lake, definition.name, rows, partition, new_name()),
        id_bytes(rows[definition.id_column]),
        _spans(rows),
    )


def _spans(rows: pa.Table) -> tuple[OffsetRange, ...]:
    topic = rows["source_topic"][0].as_py()
    partitions = rows["source_partition"].to_numpy()
    offsets = rows["source_offset"].to_numpy()
    spans = []
    for partition in np.unique(partitions):
        own = offsets[partitions == partition]
        spans.append(OffsetRange(topic, int(partition), int(own.min()), int(own.max()) + 1))
    return tuple(spans)


def _store_images(lake: Lake, reads: Sequence[Read], new_name: NewName) -> Images | None:
    if not any(read.crop or read.overview for read in reads):
        return None
    writer = PackWriter(lake.store, lake.config.warehouse, new_name=new_name)

    def add(read: Read, image: bytes | None) -> ImageRef | None:
        if not image:
            return None
        day = lake.retention.named(read.retention_class).local_day(read.captured_at)
        return writer.add(image, read.retention_class, day)

    images = Images(
        crops=[add(read, read.crop) for read in reads],
        overviews=[add(read, read.overview) for read in reads],
    )
    writer.flush()  # before the rows: a row must never point at an image that is not there
    return images
