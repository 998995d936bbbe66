"""A source's new entries and the list in force: what changes, and both as one table."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ingest.hotlists.reading import Reading, flags
from ingest.hotlists.snapshot import Snapshot
from ingest.hotlists.table import Ids, Pile, counts, give_back, ids_of

Mode = Literal["complete", "incremental", "remove"]
"""All entries of the source; some to add, change or remove; some that are all to be removed."""


class Change:
    """What a load does to the entries that its source has."""

    def __init__(self) -> None:
        self.added = 0
        self.removed = 0
        self.new_rows = np.empty(0, np.int64)
        """Rows of the reading that are put in force."""
        self.kept_old = np.empty(0, np.int64)
        """Rows of the source in force that stay."""
        self.before = np.empty(0, np.int64)
        """For each new row, its entry's row among the source's old ones, or -1."""

    def forget(self) -> None:
        """Let go of the rows, when only the numbers are still wanted."""
        self.new_rows = self.kept_old = self.before = np.empty(0, np.int64)

    @staticmethod
    def of(
        reading: Reading,
        places: NDArray[np.int64],
        old: Ids,
        own: NDArray[np.int64],
        mode: Mode,
    ) -> Change:
        """What these rows of a reading do to the entries (`old`, in rows `own`) of their source."""
        change = Change()
        removes = flags(reading.removes)[places]
        if mode == "remove":
            removes = np.ones(len(places), bool)
        ids = reading.ids()
        change.new_rows = places[~removes]
        change.before = ids.at(change.new_rows).find(old)
        known = int((change.before >= 0).sum())
        change.added = len(change.new_rows) - known
        stays = np.zeros(len(own), bool)
        if mode == "complete":
            change.removed = len(own) - known
        else:
            stays[:] = True
            gone = ids.at(places[removes]).find(old)
            gone = gone[gone >= 0]
            change.removed = len(gone)
            stays[gone] = False
            stays[change.before[change.before >= 0]] = False
        change.kept_old = own[stays]
        return change


def merged(
    current: Snapshot | None,
    reading: Reading,
    own: NDArray[np.int64],
    change: Change,
) -> pa.RecordBatch:
    """All entries in the order of their keys."""
    pile, first, kept = reading.pile, 0, np.empty(0, np.int64)
    give_back()
    if current is not None and len(current):
        _keep_since(reading, change, current.rows, own)
        others = np.ones(len(current), bool)
        others[own] = False
        others[change.kept_old] = True
        kept = np.flatnonzero(others).astype(np.int64)
        old = current.rows
        if len(kept) < len(current) // 2:
            # A source that replaces most of the list: what it replaces need not be in memory too.
            old = Pile([old]).take(kept, current.unload)
            kept = np.arange(len(kept), dtype=np.int64)
        first = old.num_rows
        both = Pile([old] if first else [])
        both.extend(pile)
        pile = both
    rows = np.concatenate([kept, change.new_rows + first])
    del kept
    change.forget()
    order = np.argsort(pile.keys()[rows], kind="stable")
    return pile.take(rows[order], current.unload if current is not None else None)


def _keep_since(
    reading: Reading, change: Change, rows: pa.RecordBatch, own: NDArray[np.int64]
) -> None:
    """An entry that says not itself since when it is valid keeps the moment it has.

    Otherwise every load would begin it anew, and a patrol car's reads from before the load would
    not match what was wanted all day.
    """
    stated = flags(reading.stated)[change.new_rows]
    carried = (change.before >= 0) & ~stated
    if not carried.any():
        return
    since = reading.pile.column("valid_from").combine_chunks()
    values = since.cast(pa.int64()).to_numpy().copy()
    were = rows.column("valid_from").cast(pa.int64()).to_numpy()
    values[change.new_rows[carried]] = were[own[change.before[carried]]]
    reading.pile.replace("valid_from", pa.array(values).cast(since.type))


def own_rows(current: Snapshot | None, source: str) -> tuple[Ids, NDArray[np.int64]]:
    """The ids of the source's entries in force, and their rows."""
    if current is None:
        return Ids(np.empty(0, np.uint64), np.empty(0, np.uint64)), np.empty(0, np.int64)
    column = current.rows.column("source")
    names = column.dictionary.to_pylist()
    codes = column.indices.to_numpy()
    own = np.flatnonzero(np.isin(codes, [i for i, name in enumerate(names) if name == source]))
    ids = current.rows.column("entry_id")
    found = ids_of(ids)
    if len(own) < len(current):
        found = found.at(own)
    current.unload()
    return found, own.astype(np.int64)


def categories_of(batch: pa.RecordBatch, source: str) -> dict[str, int]:
    """How many entries of each category the source has."""
    column = batch.column("source")
    names = column.dictionary.to_pylist()
    own = np.isin(column.indices.to_numpy(), [i for i, name in enumerate(names) if name == source])
    return dict(sorted(counts(batch.column("category").filter(pa.array(own))).items()))
