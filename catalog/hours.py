"""Which hours were checked, and what each camera did in each: small numbers beside the lake.

The lake's rows are read once an hour has changed; what a check compares with, the same hour of
earlier weeks, is then a look-up here. Counts and means only, never a plate. In the catalogue's
own database, like `catalog.quality`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from catalog.lake import Lake
from catalog.quality import METADATA, Instant, database
from catalog.slices import HourCount

KEEP: Final = timedelta(weeks=12)
"""How long an hour's numbers are kept: longer than any past that a check looks back at."""

SEEN: Final = Table(
    "quality_seen",
    METADATA,
    Column("catalog", String(255), primary_key=True),
    Column("table_name", String(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

HOURS: Final = Table(
    "quality_hours",
    METADATA,
    Column("catalog", String(255), primary_key=True),
    Column("table_name", String(64), primary_key=True),
    Column("hour", Instant, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("landed_at", Instant),
    Column("waiting", Boolean, nullable=False),
)

CAMERA_HOURS: Final = Table(
    "quality_camera_hours",
    METADATA,
    Column("catalog", String(255), primary_key=True),
    Column("hour", Instant, primary_key=True),
    Column("agency", String(64), primary_key=True),
    Column("camera", String(64), primary_key=True),
    Column("reads", Integer, nullable=False),
    Column("confidence", Float),
    Column("stateless", Float),
    Column("frames", Float),
    Column("delay", Float),
    Column("ahead", Float),
    Column("last_at", Instant),
)
"""`confidence`, `frames` (frames a read): means. `stateless`, `ahead`: shares of the reads whose
state is unknown, and that were received before they were captured. `delay`: median seconds from
capture to receipt."""

HIT_HOURS: Final = Table(
    "quality_hit_hours",
    METADATA,
    Column("catalog", String(255), primary_key=True),
    Column("hour", Instant, primary_key=True),
    Column("agency", String(64), primary_key=True),
    Column("camera", String(64), primary_key=True),
    Column("category", String(64), primary_key=True),
    Column("hits", Integer, nullable=False),
)

CAMERAS: Final = Table(
    "quality_cameras",
    METADATA,
    Column("catalog", String(255), primary_key=True),
    Column("agency", String(64), primary_key=True),
    Column("camera", String(64), primary_key=True),
    Column("first_hour", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
)

_BATCH: Final = 500
"""Values a statement may be given: SQLite stops at some thousand."""


def seen_sequence(lake: Lake, table: str) -> int:
    """Up to which commit (sequence number) a table was looked at; 0: never."""
    asked = select(SEEN.c.sequence).where(*_mine(SEEN, lake, table))
    with database(lake) as connection:
        return int(connection.execute(asked).scalar() or 0)


def changed(lake: Lake, table: str, counts: Sequence[HourCount]) -> list[HourCount]:
    """Those of the counts that differ from what was noted of the hour, or are new."""
    known: dict[datetime, tuple[int, datetime | None]] = {}
    with database(lake) as connection:
        for hours in _batches([count.hour for count in counts]):
            asked = select(HOURS).where(*_mine(HOURS, lake, table), HOURS.c.hour.in_(hours))
            for row in connection.execute(asked):
                known[row.hour] = (row.rows, row.landed_at)
    return [each for each in counts if known.get(each.hour) != (each.rows, each.landed_at)]


def note_hours(
    lake: Lake,
    table: str,
    counts: Sequence[HourCount],
    sequence: int | None = None,
    check_from: datetime | None = None,
) -> None:
    """Note what hours hold now; they wait to be checked, those before `check_from` excepted.

    With it, in one transaction, the commit up to which that is known.
    """
    with database(lake) as connection:
        for count in counts:
            mine = (*_mine(HOURS, lake, table), HOURS.c.hour == count.hour)
            values = {
                "rows": count.rows,
                "landed_at": count.landed_at,
                "waiting": check_from is None or count.hour >= check_from,
            }
            if not connection.execute(update(HOURS).where(*mine).values(**values)).rowcount:
                key = _key(lake, table_name=table, hour=count.hour)
                connection.execute(insert(HOURS).values(**key, **values))
        if sequence is None:
            return
        seen = update(SEEN).where(*_mine(SEEN, lake, table)).values(sequence=sequence)
        if not connection.execute(seen).rowcount:
            key = _key(lake, table_name=table)
            connection.execute(insert(SEEN).values(**key, sequence=sequence))


def oldest_hour(lake: Lake, table: str) -> datetime | None:
    """The oldest hour that was noted of a table."""
    asked = select(func.min(HOURS.c.hour)).where(*_mine(HOURS, lake, table))
    with database(lake) as connection:
        found: datetime | None = connection.execute(asked).scalar()
        return found


def known_hours(lake: Lake, table: str, first: datetime, end: datetime) -> set[datetime]:
    """The hours in [first, end) that were noted, with rows or without."""
    asked = select(HOURS.c.hour).where(
        *_mine(HOURS, lake, table), HOURS.c.hour >= first, HOURS.c.hour < end
    )
    with database(lake) as connection:
        return set(connection.execute(asked).scalars())


def waiting_hours(lake: Lake, table: str) -> list[HourCount]:
    """Hours that wait to be checked, the oldest first."""
    asked = select(HOURS).where(*_mine(HOURS, lake, table), HOURS.c.waiting).order_by(HOURS.c.hour)
    with database(lake) as connection:
        return [HourCount(row.hour, row.rows, row.landed_at) for row in connection.execute(asked)]


def done_hour(lake: Lake, table: str, checked: HourCount) -> None:
    """An hour was checked; it goes on waiting if it has changed since."""
    mine = (*_mine(HOURS, lake, table), HOURS.c.hour == checked.hour)
    with database(lake) as connection:
        connection.execute(
            update(HOURS).where(*mine, HOURS.c.rows == checked.rows).values(waiting=False)
        )


def put_camera_hours(lake: Lake, hours: Sequence[datetime], rows: pa.Table) -> None:
    """Replace what cameras did in these hours; columns as CAMERA_HOURS has them."""
    with database(lake) as connection:
        _replace(connection, CAMERA_HOURS, lake, hours, rows)
        known = {
            (row.agency, row.camera): (row.first_hour, row.last_at)
            for row in connection.execute(
                select(CAMERAS).where(CAMERAS.c.catalog == lake.config.catalog_name)
            )
        }
        spans = rows.group_by(["agency", "camera"]).aggregate([("hour", "min"), ("last_at", "max")])
        for row in spans.to_pylist():
            key = _key(lake, agency=row["agency"], camera=row["camera"])
            first, last = row["hour_min"], row["last_at_max"]
            before = known.get((row["agency"], row["camera"]))
            if before is None:
                connection.execute(insert(CAMERAS).values(**key, first_hour=first, last_at=last))
            elif first < before[0] or last > before[1]:
                connection.execute(
                    update(CAMERAS)
                    .where(*(CAMERAS.c[name] == value for name, value in key.items()))
                    .values(first_hour=min(first, before[0]), last_at=max(last, before[1]))
                )


def put_hit_hours(lake: Lake, hours: Sequence[datetime], rows: pa.Table) -> None:
    """Replace the hits of these hours by camera and category; columns as HIT_HOURS has them."""
    with database(lake) as connection:
        _replace(connection, HIT_HOURS, lake, hours, rows)


def camera_hours(lake: Lake, first: datetime, end: datetime) -> pa.Table:
    """What each camera did in each hour of [first, end); no row where it had no read."""
    return _between(CAMERA_HOURS, lake, first, end)


def hit_hours(lake: Lake, first: datetime, end: datetime) -> pa.Table:
    """The hits of each hour of [first, end) by camera and category; no row where none was."""
    return _between(HIT_HOURS, lake, first, end)


def read_sums(lake: Lake, first: datetime, end: datetime) -> dict[str, int]:
    """Reads by `agency/camera` in the hours of [first, end)."""
    table = CAMERA_HOURS
    asked = (
        select(table.c.agency, table.c.camera, func.sum(table.c.reads))
        .where(*_span(table, lake, first, end))
        .group_by(table.c.agency, table.c.camera)
    )
    with database(lake) as connection:
        return {f"{agency}/{camera}": int(n) for agency, camera, n in connection.execute(asked)}


def hit_sums(lake: Lake, first: datetime, end: datetime) -> dict[tuple[str, str], int]:
    """Hits by (`agency/camera`, category) in the hours of [first, end)."""
    table = HIT_HOURS
    asked = (
        select(table.c.agency, table.c.camera, table.c.category, func.sum(table.c.hits))
        .where(*_span(table, lake, first, end))
        .group_by(table.c.agency, table.c.camera, table.c.category)
    )
    with database(lake) as connection:
        return {
            (f"{agency}/{camera}", category): int(n)
            for agency, camera, category, n in connection.execute(asked)
        }


def cameras(lake: Lake) -> dict[str, tuple[datetime, datetime]]:
    """Every camera that ever sent a read: its first hour, and its last read's capture."""
    asked = select(CAMERAS).where(CAMERAS.c.catalog == lake.config.catalog_name)
    with database(lake) as connection:
        return {
            f"{row.agency}/{row.camera}": (row.first_hour, row.last_at)
            for row in connection.execute(asked)
        }


def prune_hours(lake: Lake, before: datetime) -> int:
    """Delete the numbers of hours before a moment, those still waiting excepted; how many rows."""
    mine, count = lake.config.catalog_name, 0
    with database(lake) as connection:
        for table in (HOURS, CAMERA_HOURS, HIT_HOURS):
            old = delete(table).where(table.c.catalog == mine, table.c.hour < before)
            if table is HOURS:
                old = old.where(~HOURS.c.waiting)
            count += connection.execute(old).rowcount
        old = delete(CAMERAS).where(CAMERAS.c.catalog == mine, CAMERAS.c.last_at < before)
        count += connection.execute(old).rowcount
    return count


def _mine(table: Table, lake: Lake, name: str) -> tuple[Any, Any]:
    return table.c.catalog == lake.config.catalog_name, table.c.table_name == name


def _key(lake: Lake, **columns: Any) -> dict[str, Any]:
    return {"catalog": lake.config.catalog_name, **columns}


def _span(table: Table, lake: Lake, first: datetime, end: datetime) -> tuple[Any, ...]:
    return (
        table.c.catalog == lake.config.catalog_name,
        table.c.hour >= first,
        table.c.hour < end,
    )


def _replace(
    connection: Connection, table: Table, lake: Lake, hours: Sequence[datetime], rows: pa.Table
) -> None:
    mine = lake.config.catalog_name
    for batch in _batches(hours):
        connection.execute(delete(table).where(table.c.catalog == mine, table.c.hour.in_(batch)))
    asked = set(hours)
    listed = [row for row in rows.to_pylist() if row["hour"] in asked]
    if listed:
        connection.execute(insert(table), [_key(lake, **row) for row in listed])


def _between(table: Table, lake: Lake, first: datetime, end: datetime) -> pa.Table:
    wanted = [column for column in table.c if column.name != "catalog"]
    with database(lake) as connection:
        found = connection.execute(select(*wanted).where(*_span(table, lake, first, end)))
        columns = list(zip(*found, strict=True)) or [()] * len(wanted)
    return pa.table(
        [
            pa.array(values, _ARROW[type(column.type)])
            for column, values in zip(wanted, columns, strict=True)
        ],
        names=[column.name for column in wanted],
    )


_ARROW: Final[dict[type, pa.DataType]] = {
    Instant: pa.timestamp("us", tz="UTC"),
    String: pa.string(),
    Integer: pa.int64(),
    Float: pa.float64(),
}


def _batches(values: Sequence[datetime]) -> list[Sequence[datetime]]:
    return [values[start : start + _BATCH] for start in range(0, len(values), _BATCH)]
