"""Rows out of many files at once: the row groups that can match, fetched side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalog.lookup.index import zones_of
from catalog.lookup.ranges import read_groups
from catalog.lookup.view import THREADS, File, View
from catalog.schemas import READS

Keep = Callable[[pa.Table], pa.Array]
"""Which rows of a part are wanted: a mask over them."""

_PLATE: Final = READS.arrow.get_field_index("plate")
_AHEAD: Final = 3 * THREADS
"""Parts fetched before the first is taken: bounds the memory."""


def scan(
    view: View,
    files: Iterable[File],
    columns: Sequence[str],
    keep: Keep,
    *,
    filter_columns: Sequence[str],
    plates: Callable[[File], Sequence[str] | None] = lambda _: None,
    certain: Callable[[File], bool] = lambda _: False,
) -> Iterator[pa.Table]:
    """The wanted rows of some files, in the files' order; parts without any are left out.

    `keep` sees only `filter_columns`; the others are fetched where it marks a row, and at once
    where it is `certain` to mark one. `plates` of a file (ascending): only row groups whose bounds
    can hold one of them are read at all. Columns are top-level names of table `reads`; one that a
    file does not have yet is null there. Files are taken from their iterator a few ahead.
    """
    waiting: list[Future[pa.Table]] = []
    left = iter(files)
    for file in left:
        first = dict.fromkeys([*filter_columns, *(columns if certain(file) else ())])
        waiting.append(view.pool.submit(_part, view, file, columns, keep, first, plates(file)))
        if len(waiting) >= _AHEAD:
            yield from _taken(waiting.pop(0))
    for future in waiting:
        yield from _taken(future)


def _taken(future: Future[pa.Table]) -> Iterator[pa.Table]:
    rows = future.result()
    if rows.num_rows:
        yield rows


def _part(
    view: View,
    file: File,
    columns: Sequence[str],
    keep: Keep,
    filter_columns: Collection[str],
    plates: Sequence[str] | None,
) -> pa.Table:
    schema = pa.schema([READS.arrow.field(name) for name in columns])
    footer = view.footers.of(file)
    groups = list(range(footer.num_row_groups))
    if plates is not None:
        wanted = np.asarray(plates, object)
        zones = zones_of(footer, _place(footer, "plate"))
        groups = [group for group in groups if _within(wanted, *zones[group])]
    if not groups:
        return schema.empty_table()
    present = set(footer.schema.to_arrow_schema().names)
    first = [name for name in filter_columns if name in present]
    narrow = _read(view, file, footer, groups, first)
    mask = keep(narrow)
    if not _any(mask):
        return schema.empty_table()
    # A row group without a wanted row is not fetched again.
    sizes = [footer.row_group(group).num_rows for group in groups]
    ends = np.cumsum([0, *sizes])
    flags = np.asarray(mask.to_numpy(zero_copy_only=False), np.bool_)
    hit = [n for n in range(len(groups)) if flags[ends[n] : ends[n + 1]].any()]
    inside = np.concatenate([flags[ends[n] : ends[n + 1]] for n in hit])
    rest = [name for name in columns if name in present and name not in first]
    parts = {name: narrow[name].filter(pa.array(flags)) for name in first if name in columns}
    if rest:
        wide = _read(view, file, footer, [groups[n] for n in hit], rest).filter(pa.array(inside))
        parts |= {name: wide[name] for name in rest}
    count = int(inside.sum())
    arrays = [
        parts[field.name].cast(field.type) if field.name in parts else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(
    view: View, file: File, footer: pq.FileMetaData, groups: Sequence[int], names: Sequence[str]
) -> pa.Table:
    return read_groups(view.lake.store, file.uri, file.size, footer, groups, names)


def _place(footer: pq.FileMetaData, name: str) -> int:
    group = footer.row_group(0)
    for number in range(group.num_columns):
        if group.column(number).path_in_schema == name:
            return number
    raise KeyError(name)


def _within(plates: npt.NDArray[np.object_], first: str, last: str) -> bool:
    place = int(np.searchsorted(plates, first))
    return place < len(plates) and bool(plates[place] <= last)


def _any(mask: pa.Array | pa.ChunkedArray) -> bool:
    return bool(pc.any(mask).as_py())
