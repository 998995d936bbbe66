"""Finding records in the lake's files, a row group at a time.

Ids are not sorted, so finding one reads the id column of the days asked for. Plates are, in
compacted files: the row groups' statistics leave few of them to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table

from alpr.errors import BadInput, Corrupt, Unavailable
from alpr.holds import HeldRecord
from alpr.retention import Kind
from catalog.files import live_files, partition_of
from catalog.lake import Lake
from catalog.schemas import HITS, READS, TableDef
from catalog.swap import look_at

TABLE_OF: dict[Kind, TableDef] = {"read": READS, "hit": HITS}

Where = Callable[[pa.Table], pa.Array]
"""Which rows are wanted (a boolean a row), from the columns it was promised."""
Progress = Callable[[int, int], None]
"""Told after each file: how many have been read, of how many."""

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Query:
    """Reads of one plate, or of an agency or camera, captured in [first, last)."""

    first: datetime
    last: datetime
    plate: str | None = None
    agency: str | None = None
    camera: str | None = None

    def __post_init__(self) -> None:
        if self.first >= self.last:
            raise BadInput("bad-hold", "the range of capture must end after it begins")
        if self.plate is None and self.camera is None:
            raise BadInput("bad-hold", "a plate or a camera is required, or ids")

    @property
    def columns(self) -> list[str]:
        """What `where` needs."""
        asked = {"plate": self.plate, "agency": self.agency, "camera": self.camera}
        return ["captured_at", *(name for name, value in asked.items() if value is not None)]

    def where(self, rows: pa.Table) -> pa.Array:
        """See Where."""
        moments = rows["captured_at"]
        kind = moments.type
        mask = pc.and_(
            pc.greater_equal(moments, pa.scalar(self.first, kind)),
            pc.less(moments, pa.scalar(self.last, kind)),
        )
        for name in self.columns[1:]:
            mask = pc.and_(mask, pc.equal(rows[name], getattr(self, name)))
        return mask


def select(
    lake: Lake,
    *,
    reads: Sequence[str] = (),
    hits: Sequence[str] = (),
    query: Query | None = None,
    days: tuple[date, date] | None = None,
    limit: int = 10_000,
    progress: Progress = lambda _done, _all: None,
) -> list[HeldRecord]:
    """The records that ids name, with the read of each hit, or that a query finds, with their hits.

    `days`: first and last local day of capture to look at. Raises BadInput: `not-found` if an
    id is not there, `too-many` beyond `limit` records.
    """
    found: dict[tuple[Kind, str], HeldRecord] = {}
    read_ids = set(reads)
    if hits:
        columns = ["hit_id", "read_id"]
        rows = _records(lake, "hit", ids_in("hit_id", hits), columns, days, progress, limit)
        by_id: dict[str, str] = {}
        for record, row in rows:
            found["hit", record.record_id] = record
            by_id[record.record_id] = row["read_id"]
        _all_found("hit", hits, by_id)
        read_ids |= set(by_id.values())
    if query is not None:
        days = (query.first.date() - _ONE_DAY, query.last.date() + _ONE_DAY)
        columns = ["read_id", *query.columns]
        for record, _ in _records(
            lake, "read", query.where, columns, days, progress, limit, query.plate
        ):
            found["read", record.record_id] = record
        _within(found, limit)
    elif read_ids:
        where = ids_in("read_id", read_ids)
        for record, _ in _records(lake, "read", where, ["read_id"], days, progress, limit):
            found["read", record.record_id] = record
        _all_found("read", reads, {record_id for kind, record_id in found if kind == "read"})
    if query is not None and found:
        where = ids_in("read_id", [record_id for _, record_id in found])
        for record, _ in _records(lake, "hit", where, ["hit_id", "read_id"], days, progress, limit):
            found["hit", record.record_id] = record
    _within(found, limit)
    return sorted(found.values())


def locate(lake: Lake, kind: Kind, records: Iterable[HeldRecord]) -> dict[str, DataFile]:
    """The file of each record of one kind that the lake still has, by record id.

    It looks at the partitions the records were last seen in, then for what is missing at the
    days around in all classes, where a change of class may have put it.
    """
    wanted = [record for record in records if record.kind == kind]
    column = TABLE_OF[kind].id_column
    ids = {record.record_id for record in wanted}
    days = {record.captured_on for record in wanted}
    near = {day + _ONE_DAY * step for day in days for step in (-1, 0, 1)}
    seen = {(record.captured_on, record.retention_class) for record in wanted}

    def look(table: Table) -> dict[str, DataFile]:
        files = [file for file in live_files(table) if partition_of(file).date in near]
        files.sort(
            key=lambda f: (partition_of(f).date, partition_of(f).retention_class) not in seen
        )
        found: dict[str, DataFile] = {}
        for file in files:
            if len(found) == len(ids):
                break
            missing = ids_in(column, ids - found.keys())
            for part in matching(lake, file.file_path, missing, [column], [column]):
                found |= dict.fromkeys(part[column].to_pylist(), file)
        return found

    return look_at(lake, TABLE_OF[kind].name, look)


def matching(
    lake: Lake,
    uri: str,
    where: Where,
    needed: Sequence[str],
    columns: Sequence[str] | None = None,
    plate: str | None = None,
) -> Iterator[pa.Table]:
    """The rows of a file that `where` marks, a row group at a time.

    `where` sees the columns `needed`; `columns`: what to hand out (None: all). Row groups whose
    statistics rule `plate` out are not read. Raises Corrupt for a missing or broken file,
    Unavailable if the store fails.
    """
    with lake.store.open(uri) as source, _readable(uri):
        file = pq.ParquetFile(source)
        for group in range(file.metadata.num_row_groups):
            if plate is not None and not _may_have(file.metadata.row_group(group), plate):
                continue
            mask = where(file.read_row_group(group, columns=list(needed)))
            if pc.any(mask).as_py():
                rows = file.read_row_group(group, None if columns is None else list(columns))
                yield rows.filter(mask)


def ids_in(column: str, ids: Iterable[str]) -> Where:
    """Rows whose id is among these."""
    values = pa.array(sorted(set(ids)), pa.large_string())
    return lambda rows: pc.is_in(rows[column].cast(pa.large_string()), values)


def _records(
    lake: Lake,
    kind: Kind,
    where: Where,
    columns: Sequence[str],
    days: tuple[date, date] | None,
    progress: Progress,
    limit: int,
    plate: str | None = None,
) -> list[tuple[HeldRecord, dict[str, str]]]:
    """The records that `where` marks, with the columns it saw; a few more than `limit` at most."""
    definition = TABLE_OF[kind]

    def look(table: Table) -> list[tuple[HeldRecord, dict[str, str]]]:
        files = [
            file
            for file in live_files(table)
            if days is None or days[0] <= partition_of(file).date <= days[1]
        ]
        found = []
        for number, file in enumerate(files, 1):
            day, name = partition_of(file).date, partition_of(file).retention_class
            for part in matching(lake, file.file_path, where, columns, columns, plate):
                found += [
                    (HeldRecord(kind, row[definition.id_column], day, name), row)
                    for row in part.to_pylist()
                ]
            if len(found) > limit:
                break
            progress(number, len(files))
        return found

    return look_at(lake, definition.name, look)


def _may_have(group: pq.RowGroupMetaData, plate: str) -> bool:
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == "plate":
            stats = column.statistics
            return stats is None or not stats.has_min_max or stats.min <= plate <= stats.max
    return True


def _all_found(kind: Kind, asked: Iterable[str], found: Iterable[str]) -> None:
    missing = sorted(set(asked) - set(found))
    if missing:
        raise BadInput(
            "not-found",
            f"the lake has no {kind} {', '.join(missing[:5])}"
            f"{' and others' if len(missing) > 5 else ''}: has it ended, or another day?",
        )


def _within(found: dict[tuple[Kind, str], HeldRecord], limit: int) -> None:
    if len(found) > limit:
        raise BadInput(
            "too-many",
            f"more than {limit} records are meant: narrow the range, or raise the limit if all "
            "of them are needed",
        )


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as error:
        raise Corrupt(f"{uri} is not a whole Parquet file: {error}") from error
    except OSError as error:
        raise Unavailable(f"cannot read {uri}: {error}") from error
