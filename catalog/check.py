"""Is the lake what it says? Counts, identities, offsets, images, orphans, from the stored bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile

from alpr.errors import ConfigurationError, Corrupt
from catalog.files import live_files, partition_of, read_rows
from catalog.idindex import Ids, id_bytes
from catalog.images import ImageRef, read_image
from catalog.lake import Lake
from catalog.offsets import read_offsets
from catalog.parquet import Partition
from catalog.rows import local_days
from catalog.schemas import READS, TABLES
from catalog.sweep import orphans

_IMAGES = ("crop", "overview")


@dataclass(frozen=True)
class TableReport:
    """What was found in one table; `problems` is empty if all is as it must be.

    `orphans` are stored files that no snapshot names: no problem, the sweep's work.
    """

    table: str
    files: int
    rows: int
    distinct_ids: int
    snapshots: int
    offsets: dict[str, int]
    orphans: int
    images: int
    images_read: int
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def check_table(
    lake: Lake, table_name: str, image_sample: int | None = 1000, seed: int = 0
) -> TableReport:
    """Read a table's files and hold them against its metadata and the image packs.

    `image_sample`: how many images to fetch and verify, drawn by `seed`; None for all.
    Memory is bounded by the ids of one day and all image references. Raises Unavailable
    if catalogue or store do not answer.
    """
    table = lake.table(table_name)
    by_day: dict[int, list[DataFile]] = {}
    for file in live_files(table):
        by_day.setdefault(file.partition[0], []).append(file)
    problems: list[str] = []
    rows = distinct = 0
    refs: list[ImageRef] = []
    for files in by_day.values():
        ids: list[Ids] = []
        for file in files:
            try:
                found, data = _read(lake, table_name, file)
            except Corrupt as error:
                problems.append(str(error))
                continue
            problems += _wrong_rows(lake, file, data)
            ids.append(found)
            rows += data.num_rows
            refs += _refs(data)
        day_ids = Ids.join(ids)
        distinct += int(len(day_ids) - day_ids.repeated().sum())
    if distinct != rows:
        problems.append(f"{rows - distinct} rows have an id that another row has too")
    sample = _sample(refs, image_sample, seed)
    problems += _unreadable(lake, sample)
    return TableReport(
        table=table_name,
        files=sum(map(len, by_day.values())),
        rows=rows,
        distinct_ids=distinct,
        snapshots=len(table.metadata.snapshots),
        offsets={f"{s.topic}/{s.partition}": n for s, n in sorted(read_offsets(table).items())},
        orphans=len(orphans(lake, table_name)),
        images=len(refs),
        images_read=len(sample),
        problems=tuple(problems),
    )


def _read(lake: Lake, table_name: str, file: DataFile) -> tuple[Ids, pa.Table]:
    definition = TABLES[table_name]
    columns = [definition.id_column, "captured_at", "captured_on", "retention_class"]
    if definition is READS:
        columns += _IMAGES
    data = read_rows(lake, file.file_path, columns)
    return Ids.of(id_bytes(data[definition.id_column])), data


def _wrong_rows(lake: Lake, file: DataFile, data: pa.Table) -> Iterator[str]:
    if data.num_rows != file.record_count:
        yield f"{file.file_path}: {data.num_rows} rows, the catalogue says {file.record_count}"
    partition: Partition = partition_of(file)
    classes = data["retention_class"].combine_chunks()
    strangers = pc.sum(pc.not_equal(classes, partition.retention_class)).as_py()
    strangers += pc.sum(pc.not_equal(data["captured_on"], partition.date)).as_py()
    try:
        days = local_days(data["captured_at"].combine_chunks(), classes, lake.retention.zone_of)
    except ConfigurationError as error:
        yield f"{file.file_path}: {error}"
    else:
        strangers += pc.sum(pc.not_equal(days, data["captured_on"])).as_py()
    if strangers:
        yield f"{file.file_path}: {strangers} rows do not belong into {partition.folder}"


def _refs(data: pa.Table) -> Iterator[ImageRef]:
    for name in _IMAGES:
        if name in data.column_names:
            column = data[name].combine_chunks()
            for ref in column.filter(column.is_valid()).to_pylist():
                yield ImageRef(**ref)


def _sample(refs: Sequence[ImageRef], size: int | None, seed: int) -> Sequence[ImageRef]:
    if size is None or size >= len(refs):
        return refs
    chosen = np.random.default_rng(seed).choice(len(refs), size, replace=False)
    return [refs[number] for number in chosen]


def _unreadable(lake: Lake, refs: Sequence[ImageRef]) -> Iterator[str]:
    for ref in sorted(refs):
        try:
            read_image(lake.store, lake.config.warehouse, ref)
        except Corrupt as error:
            yield str(error)
