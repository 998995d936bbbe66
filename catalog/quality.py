"""What checks of the lake found, kept in the catalogue's own database: results and alerts.

`quality` is append-only: a row for each rule and part that was checked. `quality_alerts` has a
row for each time something went wrong: opened by the first check that finds it, closed by a
later one that finds it mended; while it is open it is counted, not opened again. Both hold
counts, names of rules and cameras, never a plate, and both end by age (`prune`).

Several catalogues may share a database: every row says whose it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.types import TypeDecorator

from alpr.errors import Unavailable
from catalog.lake import Lake

KEEP: Final = timedelta(days=400)
"""How long results and closed alerts are kept: a year, and a month to look back at it."""

_SUBJECTS_KEPT: Final = 50
"""Of what a rule found wrong, so many names are kept."""


class Instant(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out: SQLite itself keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        del dialect  # SQLite's times are naive, PostgreSQL's are not: the value itself tells
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA: Final = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")  # only so does SQLite count by itself

RESULTS: Final = Table(
    "quality",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("catalog", String(255), nullable=False),
    Column("run_id", String(36), nullable=False),
    Column("at", Instant, nullable=False),
    Column("table_name", String(64), nullable=False),
    Column("part", String(128), nullable=False),
    Column("hour", Instant),
    Column("rows", BigInteger, nullable=False),
    Column("rule", Text, nullable=False),
    Column("ok", Boolean),
    Column("checked", BigInteger, nullable=False),
    Column("unexpected", BigInteger, nullable=False),
    Column("observed", Text),
    Column("expected", Text),
    Column("error", Text),
    Column("subjects", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("page", Text),
    Index("quality_by_time", "catalog", "at"),
)

ALERTS: Final = Table(
    "quality_alerts",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("catalog", String(255), nullable=False),
    Column("table_name", String(64), nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", String(255), nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("first_part", String(128), nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("last_part", String(128), nullable=False),
    Column("times", Integer, nullable=False),
    Column("told", Text, nullable=False),
    Column("cleared_at", Instant),
    Column("cleared_by", Text),
)
# At most one open alert for each thing that is wrong, whoever else is checking at the same time.
Index(
    "quality_alerts_open",
    ALERTS.c.catalog,
    ALERTS.c.table_name,
    ALERTS.c.rule,
    ALERTS.c.subject,
    unique=True,
    sqlite_where=ALERTS.c.cleared_at.is_(None),
    postgresql_where=ALERTS.c.cleared_at.is_(None),
)


@dataclass(frozen=True)
class Result:
    """What one rule found in one part of a table.

    `part` names the part in words, `hour` is the hour of capture (UTC) if it is one. Of
    `checked` rows `unexpected` break the rule. `ok` is None where the rule could not be judged,
    and `error` then says why. `subjects`: what was wrong by name (cameras), some of it.
    `page`: the Data Docs page, relative to the site.
    """

    run_id: str
    at: datetime
    table: str
    part: str
    rows: int
    rule: str
    ok: bool | None
    checked: int
    unexpected: int
    hour: datetime | None = None
    observed: str | None = None
    expected: str | None = None
    error: str | None = None
    subjects: tuple[str, ...] = ()
    seconds: float = 0.0
    page: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, times as ISO 8601."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class Alert:
    """Something that is wrong, or was: a rule of a table, and a subject ("" or a camera).

    `part`s: the parts of the table in which it was first and last found; hours sort by time.
    """

    table: str
    rule: str
    subject: str
    opened_at: datetime
    first_part: str
    last_at: datetime
    last_part: str
    times: int
    told: str
    cleared_at: datetime | None = None
    cleared_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, times as ISO 8601."""
        return _plain(asdict(self))


@contextmanager
def database(lake: Lake) -> Iterator[Connection]:
    """A transaction in the catalogue's database, tables made where they are missing.

    Raises Unavailable if it does not answer; a violated constraint passes through.
    """
    try:
        with lake.catalog.engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise Unavailable(
            f"the catalogue {lake.config.catalog_uri} does not answer "
            f"({type(error.orig).__name__}): is it started? see `platelake status`"
        ) from error


def prepare(lake: Lake) -> None:
    """Make the tables and indexes that are missing; what is there stays as it is."""
    for attempt in (1, 2, 3):
        try:
            with database(lake) as connection:
                METADATA.create_all(connection, checkfirst=True)
            return
        except (IntegrityError, Unavailable):
            # Two at once: the other was faster, and now the tables are there.
            if attempt == 3:
                raise


def record(lake: Lake, results: Sequence[Result]) -> None:
    """Append results. Raises Unavailable."""
    if not results:
        return
    rows = [
        {
            **{k: v for k, v in asdict(each).items() if k != "table"},
            "catalog": lake.config.catalog_name,
            "table_name": each.table,
            "subjects": json.dumps(each.subjects[:_SUBJECTS_KEPT]),
        }
        for each in results
    ]
    with database(lake) as connection:
        connection.execute(insert(RESULTS), rows)


def history(
    lake: Lake,
    *,
    table: str | None = None,
    rule: str | None = None,
    since: datetime | None = None,
    broken: bool = False,
    limit: int = 1000,
) -> list[Result]:
    """Results, the newest first; `rule` is a part of its words. Raises Unavailable."""
    asked = select(RESULTS).where(RESULTS.c.catalog == lake.config.catalog_name)
    if table is not None:
        asked = asked.where(RESULTS.c.table_name == table)
    if rule is not None:
        asked = asked.where(RESULTS.c.rule.contains(rule, autoescape=True))
    if since is not None:
        asked = asked.where(RESULTS.c.at >= since)
    if broken:
        asked = asked.where(RESULTS.c.ok.is_(False))
    asked = asked.order_by(RESULTS.c.at.desc(), RESULTS.c.id.desc()).limit(limit)
    with database(lake) as connection:
        return [_result(row._mapping) for row in connection.execute(asked)]


def find_alerts(lake: Lake, *, table: str | None = None, closed: bool = False) -> list[Alert]:
    """Open alerts, the oldest first; with `closed` those that ended too. Raises Unavailable."""
    asked = select(ALERTS).where(ALERTS.c.catalog == lake.config.catalog_name)
    if table is not None:
        asked = asked.where(ALERTS.c.table_name == table)
    if not closed:
        asked = asked.where(ALERTS.c.cleared_at.is_(None))
    with database(lake) as connection:
        found = connection.execute(asked.order_by(ALERTS.c.opened_at, ALERTS.c.id))
        return [_alert(row._mapping) for row in found]


def open_alert(
    lake: Lake, table: str, rule: str, subject: str, part: str, told: str, now: datetime
) -> bool:
    """Open an alert, or count it once more if it is open; True if it was opened now."""
    key = _open(lake, table, rule, subject)
    with database(lake) as connection:
        last = connection.execute(select(ALERTS.c.last_part).where(key)).scalar()
        if last is not None:
            connection.execute(
                update(ALERTS)
                .where(key)
                .values(last_at=now, last_part=max(last, part), times=ALERTS.c.times + 1, told=told)
            )
            return False
    try:
        with database(lake) as connection:
            connection.execute(
                insert(ALERTS).values(
                    catalog=lake.config.catalog_name,
                    table_name=table,
                    rule=rule,
                    subject=subject,
                    opened_at=now,
                    first_part=part,
                    last_at=now,
                    last_part=part,
                    times=1,
                    told=told,
                )
            )
    except IntegrityError:
        return False  # somebody else, checking the same, was faster
    return True


def clear_alert(
    lake: Lake, table: str, rule: str, subject: str, part: str, reason: str, now: datetime
) -> bool:
    """Close an open alert, unless it was last found in a later part; True if it was closed."""
    key = and_(_open(lake, table, rule, subject), ALERTS.c.last_part <= part)
    with database(lake) as connection:
        done = connection.execute(
            update(ALERTS).where(key).values(cleared_at=now, cleared_by=reason)
        )
        return bool(done.rowcount)


def clear_stale_alerts(lake: Lake, before: datetime, reason: str, now: datetime) -> list[Alert]:
    """Close alerts that no check has found since `before`: nobody judges them any more."""
    key = and_(
        ALERTS.c.catalog == lake.config.catalog_name,
        ALERTS.c.cleared_at.is_(None),
        ALERTS.c.last_at < before,
    )
    with database(lake) as connection:
        stale = [_alert(row._mapping) for row in connection.execute(select(ALERTS).where(key))]
        if stale:
            connection.execute(update(ALERTS).where(key).values(cleared_at=now, cleared_by=reason))
    return stale


def prune(lake: Lake, before: datetime) -> int:
    """Delete results, and alerts closed, before a moment; how many rows. Raises Unavailable."""
    mine = lake.config.catalog_name
    with database(lake) as connection:
        done = connection.execute(
            delete(RESULTS).where(RESULTS.c.catalog == mine, RESULTS.c.at < before)
        )
        closed = connection.execute(
            delete(ALERTS).where(ALERTS.c.catalog == mine, ALERTS.c.cleared_at < before)
        )
        return done.rowcount + closed.rowcount


def _open(lake: Lake, table: str, rule: str, subject: str) -> Any:
    return and_(
        ALERTS.c.catalog == lake.config.catalog_name,
        ALERTS.c.table_name == table,
        ALERTS.c.rule == rule,
        ALERTS.c.subject == subject,
        ALERTS.c.cleared_at.is_(None),
    )


def _result(row: Any) -> Result:
    fields = {name: row[name] for name in Result.__dataclass_fields__ if name in row}
    fields["subjects"] = tuple(json.loads(row["subjects"]))
    return Result(table=row["table_name"], **fields)


def _alert(row: Any) -> Alert:
    fields = {name: row[name] for name in Alert.__dataclass_fields__ if name in row}
    return Alert(table=row["table_name"], **fields)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in fields.items()
    }
