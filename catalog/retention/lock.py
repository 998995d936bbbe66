"""One at a time: a lease in the catalogue's database, and a number that fences who lost it.

Who takes a lock gets a number (a fencing token) higher than everybody's before. The lease keeps
two from starting; where one sleeps through its lease and wakes, the number decides: it is
written into the tables that the work changes, and a swap under a lower number is refused there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pyiceberg.table import Table
from sqlalchemy import BigInteger, Column, MetaData, String, insert, or_, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError

from alpr.errors import Fenced, Unavailable
from catalog.lake import Lake

LEASE: Final = timedelta(minutes=5)
"""Renewed at every step; longer than any step takes without a sign of life."""

_METADATA = MetaData()
_LOCKS = SqlTable(
    "locks",
    _METADATA,
    Column("catalog", String(255), primary_key=True),  # several lakes may share a database
    Column("name", String(64), primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("until_us", BigInteger, nullable=False),  # µs since 1970-01-01 UTC; 0: free
)


@dataclass(frozen=True)
class Lock:
    """A lock that is held: `token` is higher than that of everybody who held it before."""

    lake: Lake
    name: str
    owner: str
    token: int
    now: Callable[[], datetime]

    @property
    def property(self) -> str:
        """The table property that carries the token."""
        return f"platelake.{self.name}.epoch"

    def renew(self) -> None:
        """Stay the owner for another lease. Raises Fenced if somebody else is, or Unavailable."""
        mine = _mine(self.lake, self.name) & (_LOCKS.c.token == self.token)
        with _connection(self.lake) as connection:
            done = connection.execute(
                update(_LOCKS).where(mine).values(until_us=_micros(self.now() + LEASE))
            )
        if done.rowcount != 1:
            raise self._lost()

    def check(self, table: Table) -> None:
        """Raise Fenced if a table has been touched by a later owner: for every `decide`."""
        if int(table.properties.get(self.property, "0")) > self.token:
            raise self._lost()

    def _lost(self) -> Fenced:
        return Fenced(
            f"{self.name} was taken over by another run while this one was silent for more than "
            f"{LEASE}: nothing more is done here"
        )


@contextmanager
def held(
    lake: Lake,
    name: str,
    owner: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Lock]:
    """Hold a lock; it is given back at the end, and lapses after LEASE when its owner dies.

    Raises Unavailable if another holds it or the database does not answer.
    """
    lock = Lock(lake, name, owner, _take(lake, name, owner, now()), now)
    try:
        yield lock
    finally:
        mine = _mine(lake, name) & (_LOCKS.c.token == lock.token)
        with _connection(lake) as connection:
            connection.execute(update(_LOCKS).where(mine).values(until_us=0))


def _take(lake: Lake, name: str, owner: str, now: datetime) -> int:
    free = _mine(lake, name) & or_(_LOCKS.c.until_us <= _micros(now), _LOCKS.c.owner == owner)
    until = _micros(now + LEASE)
    with _connection(lake) as connection:
        _METADATA.create_all(connection, checkfirst=True)
    try:
        with _connection(lake) as connection:
            taken = connection.execute(
                update(_LOCKS)
                .where(free)
                .values(token=_LOCKS.c.token + 1, owner=owner, until_us=until)
            )
            if taken.rowcount == 0:
                connection.execute(
                    insert(_LOCKS).values(
                        catalog=lake.config.catalog_name,
                        name=name,
                        token=1,
                        owner=owner,
                        until_us=until,
                    )
                )
            row = connection.execute(
                select(_LOCKS.c.token).where(_mine(lake, name) & (_LOCKS.c.owner == owner))
            ).one()
    except IntegrityError:
        with _connection(lake) as connection:
            until_us = connection.execute(
                select(_LOCKS.c.until_us).where(_mine(lake, name))
            ).scalar_one()
        at = datetime.fromtimestamp(until_us / 1e6, UTC).isoformat(timespec="seconds")
        raise Unavailable(
            f"{name} is being done by another process, whose lease runs until {at}: wait for it"
        ) from None
    return int(row.token)


def _mine(lake: Lake, name: str):  # type: ignore[no-untyped-def]  # SQLAlchemy's own types
    return (_LOCKS.c.catalog == lake.config.catalog_name) & (_LOCKS.c.name == name)


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


@contextmanager
def _connection(lake: Lake) -> Iterator[Connection]:
    try:
        with lake.catalog.engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise Unavailable(
            f"the catalogue's database does not answer ({type(error.orig).__name__}): is it "
            "started? see `platelake status`"
        ) from error
