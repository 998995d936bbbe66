"""Parts of a table to be looked at: a day's rows, an hour's, or those of the newest commit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile, ManifestEntryStatus, ManifestFile
from pyiceberg.table import Table

from alpr.errors import Corrupt, Unavailable
from catalog.commit import APPEND
from catalog.files import live_files, read_rows
from catalog.lake import Lake
from catalog.schemas import CAPTURED
from catalog.swap import OPERATION

HOUR = timedelta(hours=1)

_EPOCH = date(1970, 1, 1)
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HOUR_MICROS = HOUR // _MICROSECOND
_LOCAL_DAYS = 1
"""A partition's local day may lie so many days before or after the day (UTC) of its rows."""


@dataclass(frozen=True)
class HourCount:
    """What a table holds of one hour of capture (UTC): rows, and when the newest of them landed."""

    hour: datetime
    rows: int
    landed_at: datetime | None


def day_rows(
    lake: Lake,
    table_name: str,
    day: date,
    *,
    columns: list[str] | None = None,
    max_rows: int = 1_000_000,
) -> Iterator[pa.Table]:
    """The rows captured on a day (the partition's), in parts of whole files.

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


def hour_rows(
    lake: Lake,
    table_name: str,
    hour: datetime,
    *,
    columns: Sequence[str] | None = None,
    max_rows: int = 1_000_000,
) -> Iterator[pa.Table]:
    """The rows captured in [hour, hour + 1 h), in parts of at most `max_rows` and a row group.

    `hour` is a whole hour (UTC). Raises ValueError if it is not; Unavailable and Corrupt as
    `day_rows`.
    """
    if hour != floor_hour(hour):
        raise ValueError(f"a whole hour is required, not {hour}")
    return span_rows(lake, table_name, hour, hour + HOUR, columns=columns, max_rows=max_rows)


def span_rows(
    lake: Lake,
    table_name: str,
    first: datetime,
    end: datetime,
    *,
    columns: Sequence[str] | None = None,
    max_rows: int = 1_000_000,
) -> Iterator[pa.Table]:
    """The rows captured in [first, end), in parts of at most `max_rows` and a row group.

    Only files and row groups are read whose bounds of `captured_at` say that they may hold
    such rows. Raises Unavailable and Corrupt as `day_rows`.
    """
    low, high = _micros(first), _micros(end)
    waiting: list[pa.Table] = []
    count = 0
    for uri in _files_of_span(lake.table(table_name), low, high):
        for rows in _read_span(lake, uri, low, high, columns):
            waiting.append(rows)
            count += rows.num_rows
            if count >= max_rows:
                yield _joined(waiting)
                waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


def changed_hours(lake: Lake, table_name: str, since: int) -> tuple[int, list[HourCount]]:
    """What the hours hold that files added after a commit may have rows of.

    `since` is the sequence number up to which the table was looked at (0: never); the first
    value returned is the one to go on from. A compaction adds files too: its hours come with
    the counts that they had, so who keeps those sees that nothing changed. Reads two columns,
    and of the manifests only newer ones before it knows of a change. Raises as `day_rows`.
    """
    table = lake.table(table_name)
    snapshot = table.current_snapshot()
    if snapshot is None:
        return since, []
    newest = snapshot.sequence_number or 0
    touched: set[int] = set()
    for manifest in snapshot.manifests(table.io):
        if (manifest.sequence_number or 0) <= since:
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            if (entry.sequence_number or newest) > since:
                low, high = _bounds(entry.data_file)
                if low is None or high is None:
                    low, high = _bounds_inside(lake, entry.data_file.file_path)
                touched |= set(range(low // _HOUR_MICROS, high // _HOUR_MICROS + 1))
    counts = [count for run in _runs(sorted(touched)) for count in _count(lake, table, run)]
    return newest, counts


def floor_hour(moment: datetime) -> datetime:
    """The whole hour (UTC) that a moment lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def days_of(lake: Lake, table_name: str) -> list[date]:
    """The days of capture (the partitions') that a table has rows of, the oldest first."""
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


def _files_of_span(table: Table, low: int, high: int) -> Iterator[str]:
    """Files that may hold rows captured in [low, high), in µs since 1970."""
    snapshot = table.current_snapshot()
    if snapshot is None:
        return
    day_micros = 24 * _HOUR_MICROS
    days = (low // day_micros - _LOCAL_DAYS, (high - 1) // day_micros + _LOCAL_DAYS)
    for manifest in snapshot.manifests(table.io):
        if not _may_hold_days(manifest, *days):
            continue
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            first, last = _bounds(entry.data_file)
            if (first is None or first < high) and (last is None or last >= low):
                yield entry.data_file.file_path


def _may_hold_days(manifest: ManifestFile, first: int, last: int) -> bool:
    if not manifest.partitions:
        return True
    bounds = manifest.partitions[0]
    if bounds.lower_bound is None or bounds.upper_bound is None:
        return True
    # Iceberg's form of a date: days since 1970 as a little-endian int.
    lowest = int.from_bytes(bounds.lower_bound, "little", signed=True)
    highest = int.from_bytes(bounds.upper_bound, "little", signed=True)
    return lowest <= last and first <= highest


def _bounds(file: DataFile) -> tuple[int | None, int | None]:
    """Bounds of captured_at in µs since 1970; None where a foreign writer gave none."""
    lower = (file.lower_bounds or {}).get(CAPTURED)
    upper = (file.upper_bounds or {}).get(CAPTURED)
    return (
        None if lower is None else int.from_bytes(lower, "little", signed=True),
        None if upper is None else int.from_bytes(upper, "little", signed=True),
    )


def _bounds_inside(lake: Lake, uri: str) -> tuple[int, int]:
    moments = _as_micros(read_rows(lake, uri, ["captured_at"])["captured_at"])
    found = pc.min_max(moments)
    if not found["min"].is_valid:
        return 0, -1  # no row
    return found["min"].as_py(), found["max"].as_py()


def _read_span(
    lake: Lake, uri: str, low: int, high: int, columns: Sequence[str] | None
) -> Iterator[pa.Table]:
    with lake.store.open(uri) as source:
        try:
            file = pq.ParquetFile(source)
            wanted = file.schema_arrow.names if columns is None else list(columns)
            asked = wanted if "captured_at" in wanted else [*wanted, "captured_at"]
            present = [name for name in asked if name in file.schema_arrow.names]
            for group in range(file.metadata.num_row_groups):
                if not _group_may_hold(file.metadata.row_group(group), low, high):
                    continue
                rows = file.read_row_group(group, present)
                moments = _as_micros(rows["captured_at"])
                inside = pc.and_(pc.greater_equal(moments, low), pc.less(moments, high))
                found = rows.filter(inside)
                if found.num_rows:
                    yield found.select([name for name in found.column_names if name in wanted])
        except pa.ArrowInvalid as error:
            raise Corrupt(f"{uri} is not a whole Parquet file: {error}") from error
        except OSError as error:
            raise Unavailable(f"cannot read {uri}: {error}") from error


def _group_may_hold(group: pq.RowGroupMetaData, low: int, high: int) -> bool:
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "captured_at":
            known = column.statistics
            if known is None or not known.has_min_max or not isinstance(known.min, datetime):
                return True
            return _micros(known.min) < high and _micros(known.max) >= low
    return True


def _count(lake: Lake, table: Table, hours: range) -> list[HourCount]:
    """Rows and newest landing of each hour (counted from 1970) of a range."""
    rows = np.zeros(len(hours), np.int64)
    landed = np.full(len(hours), -1, np.int64)
    low, high = hours.start * _HOUR_MICROS, hours.stop * _HOUR_MICROS
    for uri in _files_of_span(table, low, high):
        for part in _read_span(lake, uri, low, high, ["captured_at", "landed_at"]):
            place = np.asarray(_as_micros(part["captured_at"])) // _HOUR_MICROS - hours.start
            rows += np.bincount(place, minlength=len(hours))
            if "landed_at" in part.column_names:
                moments = pc.fill_null(_as_micros(part["landed_at"]), -1)
                np.maximum.at(landed, place, np.asarray(moments))
    return [
        HourCount(
            _START + hour * HOUR,
            int(count),
            None if last < 0 else _START + int(last) * _MICROSECOND,
        )
        for hour, count, last in zip(hours, rows, landed, strict=True)
        if count
    ]


def _runs(hours: list[int]) -> Iterator[range]:
    """Consecutive numbers as ranges."""
    start = 0
    for place, hour in enumerate(hours):
        if place + 1 == len(hours) or hours[place + 1] != hour + 1:
            yield range(hours[start], hour + 1)
            start = place + 1


def _as_micros(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())


def _micros(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _START) // _MICROSECOND
