"""Append-only histories in the catalogue's database: one row an event, in the order they came.

An event is added behind the one its writer last saw. Who saw less loses, reads again and
decides anew, so two people cannot both release what one has released already. Triggers in the
database refuse to change or delete a row, whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Generic, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, inspect, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.sql import text

from alpr.errors import Corrupt, Unavailable
from catalog.lake import Lake

HOLD_EVENTS, DATA_EVENTS = "hold_events", "data_events"

EventT = TypeVar("EventT")
_ATTEMPTS: Final = 20

_METADATA = MetaData()


def _table(name: str) -> Table:
    return Table(
        name,
        _METADATA,
        Column("catalog", String(255), primary_key=True),  # several lakes may share a database
        Column("subject", String(64), primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("at_us", BigInteger, nullable=False),  # µs since 1970-01-01 UTC
        Column("event", String(64), nullable=False),
        Column("body", Text, nullable=False),
    )


_TABLES = {name: _table(name) for name in (HOLD_EVENTS, DATA_EVENTS)}


class Log(Generic[EventT]):
    """The events of one kind of subject, such as holds. `kind` is the union of its events.

    Every method raises Unavailable if the database does not answer.
    """

    def __init__(self, lake: Lake, name: str, kind: type[EventT]) -> None:
        self._lake = lake
        self._name = name
        self._table = _TABLES[name]
        self._kind = kind
        self._made = False

    def subjects(self) -> dict[str, list[EventT]]:
        """Every subject with its events, oldest subject first."""
        table = self._table
        query = (
            select(table.c.subject, table.c.number, table.c.at_us, table.c.body)
            .where(table.c.catalog == self._catalog)
            .order_by(table.c.subject, table.c.number)
        )
        found: dict[str, list[EventT]] = {}
        began: dict[str, int] = {}
        with self._connection() as connection:
            for subject, _, at_us, body in connection.execute(query):
                began.setdefault(subject, at_us)
                found.setdefault(subject, []).append(self._decode(subject, body))
        return {subject: found[subject] for subject in sorted(found, key=lambda s: (began[s], s))}

    def events(self, subject: str) -> list[EventT]:
        """The events of one subject in their order; empty if there is no such subject."""
        table = self._table
        query = (
            select(table.c.subject, table.c.body)
            .where(table.c.catalog == self._catalog, table.c.subject == subject)
            .order_by(table.c.number)
        )
        with self._connection() as connection:
            return [self._decode(*row) for row in connection.execute(query)]

    def append(self, subject: str, seen: int, event: EventT, at: datetime) -> bool:
        """Add an event behind the `seen` ones that its writer knows; False if there are more."""
        row = {
            "catalog": self._catalog,
            "subject": subject,
            "number": seen + 1,
            "at_us": int(at.timestamp()) * 1_000_000 + at.microsecond,
            "event": type(event).__name__.lower(),
            "body": msgspec.json.encode(event).decode(),
        }
        try:
            with self._connection() as connection:
                connection.execute(self._table.insert().values(**row))
        except IntegrityError:
            return False
        return True

    def decide(
        self, subject: str, decide: Callable[[Sequence[EventT]], EventT | None], at: datetime
    ) -> list[EventT]:
        """Add what `decide` makes of the events so far (None: nothing); all events after it.

        It is asked again when somebody else was faster. What it raises passes through.
        """
        for _ in range(_ATTEMPTS):
            known = self.events(subject)
            event = decide(known)
            if event is None:
                return known
            if self.append(subject, len(known), event, at):
                return [*known, event]
        raise Unavailable(f"{self._name}: others changed {subject} {_ATTEMPTS} times: try again")

    @property
    def _catalog(self) -> str:
        return self._lake.config.catalog_name

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine: Engine = self._lake.catalog.engine
        try:
            if not self._made:
                _make(engine, self._table)
                self._made = True
            with engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise Unavailable(
                f"the catalogue's database does not answer for {self._name} "
                f"({type(error.orig).__name__}): is it started? see `platelake status`"
            ) from error

    def _decode(self, subject: str, body: str) -> EventT:
        try:
            return msgspec.json.decode(body, type=self._kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise Corrupt(f"{self._name}: an event of {subject} cannot be read: {error}") from error


def _make(engine: Engine, table: Table) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two that come at the same time would both make it: the second waits here.
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": table.name}
            )
            if inspect(connection).has_table(table.name):
                return  # with its trigger: both came in one transaction
        table.create(connection, checkfirst=True)
        for statement in _guards(engine.dialect.name, table.name):
            connection.execute(text(statement))


def _guards(dialect: str, name: str) -> list[str]:
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {name}_no_{verb} BEFORE {verb.upper()} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            for verb in ("update", "delete")
        ]
    return [
        f"CREATE OR REPLACE FUNCTION {name}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{name} is append-only'; END $$",
        f"CREATE OR REPLACE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
        f"ON {name} FOR EACH STATEMENT EXECUTE FUNCTION {name}_append_only()",
    ]
