"""Entries of the list in force as a file of the platform's own layout, to be loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ingest.hotlists.snapshot import Snapshot

COLUMNS: Final = (
    "plate",
    "state",
    "category",
    "priority",
    "record",
    "valid_from",
    "valid_to",
    "agency",
    "case_number",
    "reason",
    "vehicle",
    "category_raw",
)
_ROWS: Final = 100_000


def export(snapshot: Snapshot, source: str, out: IO[bytes]) -> int:
    """Write the entries of a source; how many. Times are UTC, in RFC 3339."""
    out.write((",".join(COLUMNS) + "\n").encode())
    written = 0
    for part in _parts(snapshot, source):
        csv.write_csv(part, out, csv.WriteOptions(include_header=False))
        written += part.num_rows
    return written


def _parts(snapshot: Snapshot, source: str) -> Iterator[pa.Table]:
    rows = snapshot.rows
    for begin in range(0, len(snapshot), _ROWS):
        part = rows.slice(begin, _ROWS)
        own = pc.equal(part.column("source").cast(pa.string()), source)
        if pc.any(own).as_py():
            kept = part.filter(own)
            yield pa.table({name: _text(kept.column(name)) for name in COLUMNS})


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ")
    if pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    return column


def rows_of(snapshot: Snapshot, plate: str | None, entry_id: str | None) -> list[int]:
    """Rows with this plate (look-alikes included) or this id; a plate must be canonical."""
    from ingest.hotlists.keys import plate_keys

    rows: set[int] = set()
    if plate is not None:
        for _, first, last in zip(*snapshot.ranges(plate_keys([plate])), strict=True):
            rows |= set(range(int(first), int(last)))
    if entry_id is not None:
        found = pc.equal(snapshot.rows.column("entry_id"), entry_id)
        rows |= set(np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist())
    return sorted(rows)
