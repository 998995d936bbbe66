"""Parts of Parquet files by range requests: a footer, or the columns of some row groups.

One request a footer and one a run of neighbouring columns, instead of what a general reader
needs: it asks for the size first, then for the end, then for each column.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from alpr.errors import Corrupt
from catalog.store import Store

_FOOTER_GUESS = 65_536
_TAIL = 8
"""At the end: four bytes of footer length, four of magic."""

_GAP, _WIDE_GAP, _WIDE = 65_536, 1_048_576, 8
"""Columns closer together than this are fetched in one request; of more than so many row groups,
columns further apart too: a request costs about as much as a megabyte."""


def read_footer(store: Store, uri: str, size: int) -> pq.FileMetaData:
    """The footer of a file of `size` bytes. Raises Corrupt or Unavailable."""
    start = max(0, size - _FOOTER_GUESS)
    end = store.read(uri, start, size - start)
    if end[-4:] != b"PAR1":
        raise Corrupt(f"{uri} does not end as a Parquet file does")
    length = int.from_bytes(end[-8:-4], "little") + _TAIL
    if length > len(end):
        start = size - length
        end = store.read(uri, start, length)
    try:
        return pq.read_metadata(_Parts(size, [(start, end)]).as_file())
    except (pa.ArrowInvalid, OSError) as error:
        raise Corrupt(f"{uri} has a damaged footer: {error}") from error


def read_groups(
    store: Store,
    uri: str,
    size: int,
    footer: pq.FileMetaData,
    groups: Sequence[int],
    columns: Collection[str],
) -> pa.Table:
    """Some columns (top-level names) of some row groups. Raises Corrupt or Unavailable."""
    parts = [
        (start, store.read(uri, start, end - start))
        for start, end in _spans(footer, groups, columns)
    ]
    try:
        file = pq.ParquetFile(_Parts(size, parts).as_file(), metadata=footer)
        return file.read_row_groups(list(groups), columns=list(columns), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise Corrupt(f"{uri} is damaged: {error}") from error


def _spans(
    footer: pq.FileMetaData, groups: Sequence[int], columns: Collection[str]
) -> Iterator[tuple[int, int]]:
    wanted = []
    for group in groups:
        meta = footer.row_group(group)
        for number in range(meta.num_columns):
            column = meta.column(number)
            if column.path_in_schema.partition(".")[0] not in columns:
                continue
            start = column.data_page_offset
            if column.dictionary_page_offset is not None:
                start = min(start, column.dictionary_page_offset)
            wanted.append((start, start + column.total_compressed_size))
    wanted.sort()
    gap = _WIDE_GAP if len(groups) > _WIDE else _GAP
    first, last = wanted[0]
    for start, end in wanted[1:]:
        if start - last > gap:
            yield first, last
            first = start
        last = max(last, end)
    yield first, last


class _Parts(io.RawIOBase):
    """A file of which only some parts are there; to read elsewhere is an error."""

    def __init__(self, size: int, parts: Sequence[tuple[int, bytes]]) -> None:
        self._size = size
        self._parts = sorted(parts)
        self._starts = [start for start, _ in self._parts]
        self._at = 0

    def as_file(self) -> pa.PythonFile:
        return pa.PythonFile(self, mode="r")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = self._size - self._at if size < 0 else size
        place = bisect_right(self._starts, self._at) - 1
        start, data = self._parts[place] if place >= 0 else (0, b"")
        found = data[self._at - start : self._at - start + size]
        if len(found) < size:
            raise OSError(f"bytes {self._at} to {self._at + size} were not fetched")
        self._at += size
        return found
