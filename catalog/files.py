"""The files a table is made of, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, ManifestContent, ManifestFile
from pyiceberg.table import Table

from alpr.errors import Corrupt, Unavailable
from catalog.lake import Lake
from catalog.parquet import Partition


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


def _may_hold(manifest: ManifestFile, day: int) -> bool:
    if not manifest.partitions:
        return True
    bounds = manifest.partitions[0]
    if bounds.lower_bound is None or bounds.upper_bound is None:
        return True
    low = int.from_bytes(bounds.lower_bound, "little", signed=True)  # Iceberg's form of a date
    high = int.from_bytes(bounds.upper_bound, "little", signed=True)
    return low <= day <= high
