"""The files a table is made of, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.table import Table

from alpr.errors import Corrupt, Unavailable
from catalog.cutoffs import Cutoffs, is_cut_off
from catalog.lake import Lake
from catalog.parquet import Partition

_EPOCH = date(1970, 1, 1)


def live_files(table: Table, day: int | None = None) -> Iterator[DataFile]:
    """Every file of the current snapshot, or those of one day (days since 1970-01-01)."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        return
    for manifest in snapshot.manifests(table.io):
        if manifest.content != ManifestContent.DATA:
            raise Corrupt(f"table {table.name()} has delete files, which nothing here writes")
        if day is not None and not _may_hold(manifest, day):
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            if day is None or entry.data_file.partition[0] == day:
                yield entry.data_file


def files_before(table: Table, cutoffs: Cutoffs) -> Iterator[DataFile]:
    """The files of the current snapshot in partitions before the cut-off of their class.

    Reads only the manifests that may list one, by the bounds that the snapshot gives of each.
    """
    snapshot = table.current_snapshot()
    if snapshot is None:
        return
    for manifest in snapshot.manifests(table.io):
        if not _may_hold_before(manifest, cutoffs):
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            if is_cut_off(partition_of(entry.data_file), cutoffs):
                yield entry.data_file


def partition_of(file: DataFile) -> Partition:
    """The partition a registered file belongs to."""
    return Partition(file.partition[0], file.partition[1])


def read_rows(lake: Lake, uri: str, columns: list[str] | None = None) -> pa.Table:
    """The rows of a file in their order; all columns or some.

    Raises Corrupt if it is missing or is not Parquet, Unavailable if the store fails.
    """
    with lake.store.open(uri) as source:
        try:
            return pq.ParquetFile(source).read(columns)
        except pa.ArrowInvalid as error:
            raise Corrupt(f"{uri} is not a whole Parquet file: {error}") from error
        except OSError as error:
            raise Unavailable(f"cannot read {uri}: {error}") from error


def fit(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows in a table's columns of today: what a file was written without is null.

    Raises Corrupt if that column may not be null, or if the file has one that the table has not.
    """
    if strangers := set(rows.column_names) - set(schema.names):
        raise Corrupt(f"a file has columns that its table does not: {', '.join(sorted(strangers))}")
    for field in schema:
        if field.name not in rows.column_names and not field.nullable:
            raise Corrupt(f"a file lacks the required column {field.name}")
    columns = [
        rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _may_hold(manifest: ManifestFile, day: int) -> bool:
    days, _ = _bounds(manifest)
    return days is None or days[0] <= day <= days[1]


def _may_hold_before(manifest: ManifestFile, cutoffs: Cutoffs) -> bool:
    days, classes = _bounds(manifest)
    return days is None or any(
        days[0] < (cutoff - _EPOCH).days
        for name, cutoff in cutoffs.items()
        if classes is None or classes[0] <= name.encode() <= classes[1]
    )


def _bounds(manifest: ManifestFile) -> tuple[tuple[int, int] | None, tuple[bytes, bytes] | None]:
    """First and last day, and class, of a manifest's entries; None where it does not say."""
    if not manifest.partitions or len(manifest.partitions) < 2:
        return None, None
    day, name = manifest.partitions[:2]
    return (
        None
        if day.lower_bound is None or day.upper_bound is None
        else (_day(day.lower_bound), _day(day.upper_bound)),
        None
        if name.lower_bound is None or name.upper_bound is None
        else (name.lower_bound, name.upper_bound),
    )


def _day(bound: bytes) -> int:
    return int.from_bytes(bound, "little", signed=True)  # Iceberg's form of a date
