"""A contributing agency's own rows: found and handed out, a row group at a time (S1-CP6)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile

from alpr.errors import Corrupt, Unavailable
from catalog.files import live_files, partition_of
from catalog.images import ImageRef, read_image
from catalog.lake import Lake
from catalog.retention.copies import IMAGES
from catalog.retention.seal import Folder, Sealed, sealed
from catalog.retention.selection import Progress, Where, matching
from catalog.retention.signing import SigningKey
from catalog.schemas import READS, TABLES
from catalog.swap import look_at

FORMAT = "platelake-agency-1"


@dataclass
class Share:
    """What an agency has in one table, day and class."""

    table: str
    day: date
    retention_class: str
    rows: int = 0
    cameras: set[str] = field(default_factory=set)
    first: datetime | None = None
    last: datetime | None = None


def find(
    lake: Lake,
    agency: str,
    first: date | None = None,
    last: date | None = None,
    progress: Progress = lambda _done, _all: None,
) -> list[Share]:
    """An agency's rows by table, local day of capture and class; days without any are left out.

    Raises Unavailable or Corrupt as `selection.matching`.
    """
    found: dict[tuple[str, date, str], Share] = {}
    columns = ["agency", "camera", "captured_at"]
    for name, day, retention_class, rows in _rows(lake, agency, first, last, columns, progress):
        share = found.setdefault((name, day, retention_class), Share(name, day, retention_class))
        bounds = pc.min_max(rows["captured_at"]).as_py()
        share.rows += rows.num_rows
        share.cameras |= set(pc.unique(rows["camera"]).to_pylist())
        share.first = min(filter(None, (share.first, bounds["min"])))
        share.last = max(filter(None, (share.last, bounds["max"])))
    return [found[key] for key in sorted(found)]


def export_agency(
    lake: Lake,
    agency: str,
    to: Path,
    *,
    by: str,
    at: datetime,
    key: SigningKey | None,
    first: date | None = None,
    last: date | None = None,
    as_csv: bool = False,
    images: bool = False,
    progress: Progress = lambda _done, _all: None,
) -> tuple[Sealed, dict[str, int]]:
    """Write an agency's rows into a sealed folder; how many of each table.

    `images`: with every picture as a file. Memory is bounded by one row group. Raises as
    `seal.sealed` and `selection.matching`.
    """
    about = {
        "format": FORMAT,
        "agency": agency,
        "first_day": first,
        "last_day": last,
        "exported_by": by,
        "exported_at": at.astimezone(UTC).isoformat(),
    }
    counts = dict.fromkeys(TABLES, 0)
    done: list[Sealed] = []
    with sealed(to, about, key, done) as folder:
        for name, definition in TABLES.items():
            ending = "csv" if as_csv else "parquet"
            with folder.open(f"{name}.{ending}") as file:
                write, close = _writer(file, definition.arrow, as_csv)
                for _, _, _, rows in _rows(lake, agency, first, last, None, progress, name):
                    write(rows.cast(definition.arrow))
                    counts[name] += rows.num_rows
                    if images and name == READS.name:
                        _write_images(lake, folder, rows)
                close()
    return done[0], counts


def _rows(
    lake: Lake,
    agency: str,
    first: date | None,
    last: date | None,
    columns: list[str] | None,
    progress: Progress,
    only: str | None = None,
) -> Iterator[tuple[str, date, str, pa.Table]]:
    def where(rows: pa.Table) -> pa.Array:
        return pc.equal(rows["agency"], agency)

    asked: Where = where
    for name in TABLES if only is None else (only,):
        files = [
            file
            for file in look_at(lake, name, lambda table: list(live_files(table)))
            if (first is None or partition_of(file).date >= first)
            and (last is None or partition_of(file).date <= last)
        ]
        files.sort(key=partition_of)
        for number, file in enumerate(files, 1):
            partition = partition_of(file)
            for rows in _matching(lake, file, asked, columns):
                yield name, partition.date, partition.retention_class, rows
            progress(number, len(files))


def _matching(
    lake: Lake, file: DataFile, where: Where, columns: list[str] | None
) -> Iterator[pa.Table]:
    try:
        yield from matching(lake, file.file_path, where, ["agency"], columns)
    except Corrupt as error:
        if lake.store.exists(file.file_path):
            raise
        raise Unavailable(
            f"{file.file_path} was purged while the rows were being read: run it again"
        ) from error


def _writer(
    file: Any, schema: pa.Schema, as_csv: bool
) -> tuple[Callable[[pa.Table], object], Callable[[], object]]:
    if not as_csv:
        parquet = pq.ParquetWriter(file, schema, compression="zstd", store_schema=False)
        return parquet.write_table, parquet.close
    flat = [f.name for f in schema if f.name not in (*IMAGES, "candidates")]
    head = io.StringIO()
    csv.writer(head).writerow(flat)
    file.write(head.getvalue().encode())
    options = pacsv.WriteOptions(include_header=False)

    def write(rows: pa.Table) -> None:
        pacsv.write_csv(rows.select(flat), file, options)

    return write, lambda: None


def _write_images(lake: Lake, folder: Folder, rows: pa.Table) -> None:
    for row in rows.select([READS.id_column, *IMAGES]).to_pylist():
        for name in IMAGES:
            if (ref := row[name]) is not None:
                image = read_image(lake.store, lake.config.warehouse, ImageRef(**ref))
                folder.write(f"images/{row[READS.id_column]}-{name}.jpg", image)
