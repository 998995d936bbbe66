"""Hot-list entries as columns: the schema, and how tables are put together and in order.

Nothing here makes a Python object an entry: twelve million of them would take gigabytes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from alpr.records import HotlistEntry
from ingest.hotlists.keys import plate_keys

_CODED: Final = pa.dictionary(pa.int32(), pa.string())
_TIME: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("entry_id", pa.string(), nullable=False),
        pa.field("source", _CODED, nullable=False),
        pa.field("plate", pa.string(), nullable=False),
        pa.field("state", _CODED),
        pa.field("category", _CODED, nullable=False),
        pa.field("priority", pa.int8(), nullable=False),
        pa.field("valid_from", _TIME, nullable=False),
        pa.field("valid_to", _TIME),
        pa.field("agency", _CODED),
        pa.field("case_number", pa.string()),
        pa.field("reason", pa.large_string(), nullable=False),
        pa.field("category_raw", _CODED),
        pa.field("record", pa.string()),
        pa.field("vehicle", pa.large_string()),
    ]
)
"""Columns of a snapshot. `key` is `ingest.hotlists.keys`' of the plate."""
FIELDS: Final = tuple(SCHEMA.names[1:])
"""The columns that are an entry's own fields."""


def from_entries(entries: Sequence[HotlistEntry]) -> pa.RecordBatch:
    """Entries as columns, in their order."""
    columns = [pa.array(plate_keys([entry.plate for entry in entries]))]
    for name in FIELDS:
        values = [getattr(entry, name) for entry in entries]
        columns.append(coded(pa.array(values, plain(SCHEMA.field(name).type)), name))
    return pa.record_batch(columns, schema=SCHEMA)


def to_entry(batch: pa.RecordBatch, row: int) -> HotlistEntry:
    """The entry of one row; for many rows of a batch make an `EntryReader`."""
    return EntryReader(batch).entry(row)


class EntryReader:
    """Single entries of a batch, read from its memory: a hit waits for no Arrow scalar."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._cells = [(name, _cells(batch.column(name))) for name in FIELDS]

    def entry(self, row: int) -> HotlistEntry:
        """The entry of one row, counted from 0."""
        return HotlistEntry(**{name: cell(row) for name, cell in self._cells})


def _cells(column: pa.Array) -> Callable[[int], Any]:
    """A function of the row that gives the column's value as a Python object."""
    kind, first = column.type, column.offset
    if pa.types.is_dictionary(kind):
        codes = column.indices
        texts = column.dictionary.to_pylist()
        numbers = np.frombuffer(codes.buffers()[1] or b"", np.int32)[codes.offset :]
        return _unless_null(codes, lambda row: texts[numbers[row]])
    buffers = column.buffers()
    if pa.types.is_timestamp(kind):
        micros = np.frombuffer(buffers[1] or b"", np.int64)[first:]
        return _unless_null(column, lambda row: _EPOCH + timedelta(microseconds=int(micros[row])))
    if kind == pa.int8():
        small = np.frombuffer(buffers[1] or b"", np.int8)[first:]
        return _unless_null(column, lambda row: int(small[row]))
    wide = np.int64 if pa.types.is_large_string(kind) else np.int32
    bounds = np.frombuffer(buffers[1] or b"", wide)[first:]
    data = memoryview(buffers[2] or b"")
    return _unless_null(column, lambda row: str(data[bounds[row] : bounds[row + 1]], "utf-8"))


def _unless_null(column: pa.Array, cell: Callable[[int], Any]) -> Callable[[int], Any]:
    bitmap = column.buffers()[0]
    if bitmap is None:
        return cell
    bits, first = memoryview(bitmap), column.offset

    def checked(row: int) -> Any:
        place = row + first
        return cell(row) if bits[place >> 3] >> (place & 7) & 1 else None

    return checked


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def plain(kind: pa.DataType) -> pa.DataType:
    """The type of the values, where they are coded."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def coded(column: pa.Array, name: str) -> pa.Array:
    """The column as the schema has it."""
    kind = SCHEMA.field(name).type
    if pa.types.is_dictionary(kind):
        return column.dictionary_encode().cast(kind)
    return column if column.type == kind else column.cast(kind)


_PART: Final = 1 << 20


class Ids(NamedTuple):
    """Entry ids as pairs of numbers: to compare millions of them without a string each."""

    head: NDArray[np.uint64]
    tail: NDArray[np.uint64]

    def at(self, rows: NDArray[Any] | slice) -> Ids:
        """Those of these rows (places, mask or slice)."""
        return Ids(self.head[rows], self.tail[rows])

    def find(self, among: Ids) -> NDArray[np.int64]:
        """For each id its row in `among` (whose ids are unique), or -1; shape (n,)."""
        if not len(among.head):
            return np.full(len(self.head), -1, np.int64)
        order = np.argsort(among.head, kind="stable")
        heads = among.head[order]
        found = np.full(len(self.head), -1, np.int64)
        for begin in range(0, len(self.head), _PART):  # in parts: each step is another copy
            part = self.at(slice(begin, begin + _PART))
            row = order[np.minimum(np.searchsorted(heads, part.head), len(order) - 1)]
            same = (among.head[row] == part.head) & (among.tail[row] == part.tail)
            found[begin : begin + _PART][same] = row[same]
        return found


class Pile:
    """Batches that become one, column by column, so that memory holds the rows once.

    `take` empties it: what has been put in order is let go before the next column.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch] = ()) -> None:
        self._columns: dict[str, list[pa.Array]] = {name: [] for name in SCHEMA.names}
        self.rows = 0
        for batch in batches:
            self.add(batch)

    def add(self, batch: pa.RecordBatch) -> None:
        """Put a batch (SCHEMA) on the pile."""
        for name in SCHEMA.names:
            self._columns[name].append(batch.column(name))
        self.rows += batch.num_rows

    def extend(self, other: Pile) -> None:
        """Put another pile on top, which is empty afterwards."""
        for name, parts in other._columns.items():
            self._columns[name] += parts
            parts.clear()
        self.rows, other.rows = self.rows + other.rows, 0

    def column(self, name: str) -> pa.ChunkedArray:
        """A column as it lies, over all batches."""
        return pa.chunked_array(self._columns[name], SCHEMA.field(name).type)

    def replace(self, name: str, column: pa.Array) -> None:
        """Put another column of as many rows in its place."""
        self._columns[name] = [column]

    def keys(self) -> NDArray[np.uint64]:
        """The column `key`, shape (rows,)."""
        keys: NDArray[np.uint64] = self.column("key").to_numpy()
        return keys

    def ids(self) -> Ids:
        """Each entry's id as two numbers, shape (rows,) each."""
        parts = [ids_of(part) for part in self._columns["entry_id"]] or [Ids(_NONE, _NONE)]
        return Ids(*(np.concatenate(half) for half in zip(*parts, strict=True)))

    def take(
        self, rows: NDArray[np.int64], after: Callable[[], None] | None = None
    ) -> pa.RecordBatch:
        """These rows in this order; the pile is empty afterwards.

        `after` is called after each column, to let go of what lies behind the pile.
        """
        order = pa.array(rows)
        columns = []
        for name in SCHEMA.names:
            whole = _whole(self._columns.pop(name), SCHEMA.field(name).type)
            columns.append(whole.take(order))
            del whole
            give_back()
            if after is not None:
                after()
        self._columns = {name: [] for name in SCHEMA.names}
        self.rows = 0
        return pa.record_batch(columns, schema=SCHEMA)


def give_back() -> None:
    """Return freed memory to the system: allocators keep it, and it is as much as the list."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; others do it by themselves
    if trim is not None:
        trim(0)


_NONE: Final = np.empty(0, np.uint64)
_NIBBLES: Final = np.zeros(256, np.uint64)
_NIBBLES[list(b"0123456789abcdef")] = np.arange(16, dtype=np.uint64)


def ids_of(column: pa.StringArray) -> Ids:
    """A column of ids as numbers; ids are 32 hexadecimal digits."""
    if not len(column):
        return Ids(_NONE, _NONE)
    _, offsets, data = column.buffers()
    first = int(np.frombuffer(offsets, np.int32, 1, 4 * column.offset)[0])
    text = np.frombuffer(data, np.uint8, 32 * len(column), first).reshape(len(column), 32)
    halves = []
    for begin in (0, 16):
        half = np.zeros(len(column), np.uint64)
        for digit in range(begin, begin + 16):
            half = (half << np.uint64(4)) | _NIBBLES[text[:, digit]]
        halves.append(half)
    return Ids(*halves)


def _whole(parts: list[pa.Array], kind: pa.DataType) -> pa.Array:
    chunked = pa.chunked_array(parts, kind)
    if pa.types.is_dictionary(kind):
        chunked = chunked.unify_dictionaries()
    if chunked.num_chunks == 0:
        return pa.array([], plain(kind)).cast(kind)
    return chunked.combine_chunks() if chunked.num_chunks > 1 else chunked.chunk(0)


def by_key(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The order of the rows of a snapshot: by key, rows of the same key as they came."""
    return np.argsort(keys, kind="stable")


def upgraded(batch: pa.RecordBatch) -> pa.RecordBatch | None:
    """A batch that an earlier version wrote, with the columns of this one; None if it is none."""
    names = set(batch.schema.names)
    added = {name for name in SCHEMA.names if name not in names}
    if names - set(SCHEMA.names) or any(not SCHEMA.field(name).nullable for name in added):
        return None
    columns = []
    for field in SCHEMA:
        if field.name in added:
            empty = pa.nulls(batch.num_rows, plain(field.type))
            columns.append(coded(empty, field.name))
        else:
            columns.append(batch.column(field.name).cast(field.type))
    return pa.record_batch(columns, schema=SCHEMA)


def counts(column: pa.Array) -> dict[str, int]:
    """How often each value occurs; null counts as ""."""
    return {pair["values"] or "": pair["counts"] for pair in pc.value_counts(column).to_pylist()}
