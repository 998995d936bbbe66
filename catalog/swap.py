"""Compare-and-swap on a table: the one way anything in the lake is changed.

The catalogue swaps a table's metadata only if nobody changed it since it was read. Who
loses reads it again and decides anew. An answer that never came (a dead connection, a
killed store) is resolved by looking for the change in the table: every change carries a
name of its own in its snapshot, and at most one attempt under a name can ever land,
because a second one starts from metadata that the first replaced.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
from pyiceberg.table import Table, Transaction
from pyiceberg.table.update.snapshot import ExpireSnapshots
from sqlalchemy.exc import DBAPIError

from alpr.errors import Corrupt, Unavailable
from catalog.lake import Lake

log = logging.getLogger(__name__)

OPERATION = "platelake.op"
_NAME = "platelake.commit"
_BEFORE = "platelake.before"
_REMEMBERED = 40
"""Snapshots that one which ends the history remembers, by id and operation."""

MAX_SNAPSHOTS, KEEP_SNAPSHOTS = 20, 10
"""Each commit copies all snapshots kept several times; past the first number the second stay."""

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0

_LOOKS = 5

T = TypeVar("T")
Summary = dict[str, str]
Change = Callable[[Transaction, Summary], None]


@dataclass(frozen=True)
class Swapped:
    """What became of a change.

    `table` is its state after it, `snapshot_id` the snapshot the change made (None if
    `decide` found nothing to do), `attempts` how often it was tried (1: without trouble).
    """

    table: Table
    snapshot_id: int | None
    attempts: int


def swap(
    lake: Lake,
    table_name: str,
    operation: str,
    decide: Callable[[Table], Change | None],
    *,
    attempts: int,
    sleep: Callable[[float], None],
    ends_history: bool = False,
) -> Swapped:
    """Change a table. `decide` looks at its current state and gives the change, or None to stop.

    The change must add a snapshot, with the summary it is given: changes of properties
    alone do not make a concurrent commit fail. Errors of `decide` pass through, but for a file
    that it did not find because a purge deleted it with the state that named it: such a state
    would have lost the race, so it is decided anew. `ends_history`: the change removes the
    snapshots before its own, which then remembers what they were (see `operations_since`).
    Raises Unavailable after `attempts` attempts; the change has then not landed, or, if
    the catalogue stayed silent, may have: deciding anew finds out.
    """
    name = str(uuid.uuid4())
    trouble: Exception | None = None
    for attempt in range(attempts):
        if attempt:
            sleep(min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT))
        try:
            table = lake.table(table_name)
        except Unavailable as error:
            trouble = error
            continue
        if attempt and (landed := _landed(table, name)) is not None:
            return Swapped(table, landed, attempt)
        try:
            change = decide(table)
        except (OSError, Corrupt) as error:
            if isinstance(error, Corrupt) and not _is_outdated(lake, table_name, table):
                raise
            log.info("%s of %s looked at a state that is gone", operation, table_name)
            trouble = error
            continue
        if change is None:
            return Swapped(table, None, attempt + 1)
        try:
            transaction = table.transaction()
            summary = {OPERATION: operation, _NAME: name}
            if ends_history:
                known = islice(_ancestors(table), _REMEMBERED)
                summary[_BEFORE] = ",".join(f"{number}:{op or ''}" for number, op in known)
            change(transaction, summary)
            _expire(transaction)
            table = transaction.commit_transaction()
            return Swapped(table, head(table), attempt + 1)
        except CommitFailedException as error:
            log.info("%s of %s lost a race and is decided anew", operation, table_name)
            trouble = error
        except (CommitStateUnknownException, DBAPIError, OSError) as error:
            log.warning(
                "%s of %s has an unknown outcome (%s), looking it up",
                operation,
                table_name,
                type(error).__name__,
            )
            trouble = error
    raise Unavailable(
        f"{operation} of table {table_name} did not succeed in {attempts} attempts, "
        f"last for: {type(trouble).__name__}: {trouble}"
    ) from trouble


def look_at(
    lake: Lake,
    table_name: str,
    look: Callable[[Table], T],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What `look` makes of a table's current state, for those who change nothing.

    It looks anew if it did not find a file because a purge deleted it with the state that named
    it. Raises Unavailable if the store does not answer, and what `look` raises.
    """
    for attempt in range(_LOOKS):
        if attempt:
            sleep(min(_FIRST_WAIT * 2 ** (attempt - 1), _LONGEST_WAIT))
        table = lake.table(table_name)
        try:
            return look(table)
        except (OSError, Corrupt) as error:
            if isinstance(error, Corrupt) and not _is_outdated(lake, table_name, table):
                raise
            trouble = error
    raise Unavailable(
        f"table {table_name} could not be read in {_LOOKS} attempts, last for: {trouble}"
    ) from trouble


def operations_since(table: Table, snapshot_id: int | None) -> list[str | None] | None:
    """Operations (newest first) after a snapshot up to the head; None if it is not an ancestor.

    An operation is what `swap` was told, or None for a snapshot that it did not make.
    """
    found: list[str | None] = []
    for number, operation in _ancestors(table):
        if number == snapshot_id:
            return found
        found.append(operation)
    return found if snapshot_id is None else None


def _ancestors(table: Table) -> Iterator[tuple[int, str | None]]:
    """The current snapshot and those before it, as far as they are known: id and operation."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        summary = snapshot.summary
        yield snapshot.snapshot_id, summary.get(OPERATION) if summary else None
        known = (summary.get(_BEFORE) or "") if summary else ""
        # Where snapshots are removed the first that stays loses its parent, too.
        parent = snapshot.parent_snapshot_id
        snapshot = None if parent is None else table.snapshot_by_id(parent)
        if snapshot is None:
            for entry in filter(None, known.split(",")):
                number, _, operation = entry.partition(":")
                yield int(number), operation or None


def head(table: Table) -> int | None:
    """Id of the current snapshot; None if the table never had one."""
    snapshot = table.current_snapshot()
    return None if snapshot is None else snapshot.snapshot_id


def _is_outdated(lake: Lake, table_name: str, table: Table) -> bool:
    """Whether a table has another state by now; also if nobody can say."""
    try:
        return lake.table(table_name).metadata_location != table.metadata_location
    except Unavailable:
        return True


def _landed(table: Table, name: str) -> int | None:
    for snapshot in table.metadata.snapshots:
        if snapshot.summary is not None and snapshot.summary.get(_NAME) == name:
            return snapshot.snapshot_id
    return None


def _expire(transaction: Transaction) -> None:
    metadata = transaction.table_metadata
    if len(metadata.snapshots) <= MAX_SNAPSHOTS:
        return
    newest_first = sorted(metadata.snapshots, key=lambda s: s.sequence_number or 0, reverse=True)
    old = [snapshot.snapshot_id for snapshot in newest_first[KEEP_SNAPSHOTS:]]
    ExpireSnapshots(transaction).by_ids(old).commit()
