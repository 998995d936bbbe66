"""Parts of a table to be looked at: a day's rows, or those of the newest commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

import pyarrow as pa
from pyiceberg.manifest import DataFile, ManifestEntryStatus
from pyiceberg.table import Table

from catalog.commit import APPEND
from catalog.files import live_files, read_rows
from catalog.lake import Lake
from catalog.swap import OPERATION

_EPOCH = date(1970, 1, 1)


def day_rows(
    lake: Lake,
    table_name: str,
    day: date,
    *,
    columns: list[str] | None = None,
    max_rows: int = 1_000_000,
) -> Iterator[pa.Table]:
    """The rows captured on a day (UTC), in parts of whole files.

    A part ends at the file with which it reaches `max_rows`, so one has at most that many
    plus a file's. Raises Unavailable if catalogue or store do not answer, Corrupt if a file
    is missing or damaged.
    """
    files = live_files(lake.table(table_name), (day - _EPOCH).days)
    return _parts(lake, files, columns, max_rows)


def newest_commit_rows(
    lake: Lake, table_name: str, *, columns: list[str] | None = None, max_rows: int = 1_000_000
) -> Iterator[pa.Table]:
    """The rows that the newest commit of the land job added, in parts as `day_rows` gives.

    Nothing if no snapshot kept is such a commit: the table is new, or was compacted often since.
    """
    table = lake.table(table_name)
    return _parts(lake, _added(table), columns, max_rows)


def days_of(lake: Lake, table_name: str) -> list[date]:
    """The days of capture (UTC) that a table has rows of, the oldest first."""
    days = {file.partition[0] for file in live_files(lake.table(table_name))}
    return [date.fromordinal(_EPOCH.toordinal() + day) for day in sorted(days)]


def _added(table: Table) -> Iterator[DataFile]:
    snapshot = table.current_snapshot()
    while snapshot is not None:
        if snapshot.summary is not None and snapshot.summary.get(OPERATION) == APPEND:
            break
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else table.snapshot_by_id(parent)
    if snapshot is None:
        return
    for manifest in snapshot.manifests(table.io):
        if manifest.added_snapshot_id != snapshot.snapshot_id:
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            # Merging manifests carries older files along as existing ones.
            if entry.status == ManifestEntryStatus.ADDED:
                yield entry.data_file


def _parts(
    lake: Lake,
    files: Iterable[DataFile],
    columns: list[str] | None,
    max_rows: int,
) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    count = 0
    for file in files:
        rows = read_rows(lake, file.file_path, columns)
        waiting.append(rows)
        count += rows.num_rows
        if count >= max_rows:
            yield _joined(waiting)
            waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(tables: list[pa.Table]) -> pa.Table:
    # Not cast to the table's schema: what a foreign writer put here must be seen as it is.
    return pa.concat_tables(tables, promote_options="permissive")
