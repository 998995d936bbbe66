"""Lines into fields: fixed-width and delimited text, as the layout says, without a loop over rows.

A field of all rows is a pair of arrays, where it begins and ends in the block's bytes; one
gather makes an Arrow column of it. Rows that this cannot say (quotes, other encodings) are taken
apart one by one and put behind the others.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from alpr.errors import BadInput
from ingest.hotlists.layouts import Field, Layout
from ingest.hotlists.lines import Lines, Stream, holding, read_lines
from ingest.hotlists.rejects import Reason, Rejects

MAX_QUOTED_LINES: Final = 20
"""A quoted field goes on over so many lines at most: one stray quote must not eat the file."""
_UNREAD: Final[tuple[Reason, ...]] = ("line-too-long", "nul-byte", "not-utf-8")


class Rows(NamedTuple):
    """Rows of a part: their numbers, shape (n,), and the text of each field, as Arrow strings."""

    numbers: NDArray[np.int64]
    fields: dict[str, pa.Array]


class Frame(NamedTuple):
    """What stands around the rows."""

    issued: str | None = None
    """When the source made the list, in its own words."""
    announced: int | None = None
    """How many rows the footer tells."""
    lines: int = 0
    """Rows that were there, rejects among them."""


class TextReader:
    """Rows of one text; `frame` is complete when they have all been taken.

    Raises BadInput while iterating: `no-plate-column`, `header`, `footer`, `wrong-encoding`.
    """

    def __init__(self, stream: Stream, layout: Layout, rejects: Rejects) -> None:
        self._stream = stream
        self._layout = layout
        self._rejects = rejects
        self._columns = layout.columns
        self._places: dict[str, Field] = dict(layout.fields)
        self.frame = Frame()

    def __iter__(self) -> Iterator[Rows]:
        first, held = True, None
        unread = self._unread()
        for lines in read_lines(self._stream, self._layout, self._rejects):
            if first and (len(lines.starts) or lines.decoded or lines.last):
                lines, first = self._without_header(lines), False
            if lines.last and self._layout.footer is not None:
                lines = self._without_footer(lines)
            taken = len(lines.starts) + len(lines.decoded)
            self.frame = self.frame._replace(lines=self.frame.lines + taken)
            if self._layout.kind == "fixed":
                rows = fixed_rows(lines, self._layout, self._rejects)
            else:
                split = self._delimited(lines if held is None else _behind(held, lines))
                rows, held = split.rows, split.held
                self.frame = self.frame._replace(lines=self.frame.lines - split.no_rows)
            if len(rows.numbers):
                yield rows
        # Lines that could not be read are rows of the file too, which a footer counts.
        self.frame = self.frame._replace(lines=self.frame.lines + self._unread() - unread)

    def _unread(self) -> int:
        return sum(self._rejects.counts[reason] for reason in _UNREAD)

    def _without_header(self, lines: Lines) -> Lines:
        layout = self._layout
        if layout.header == "names":
            return self._named(lines)
        if (pattern := layout.header_pattern) is None:
            return lines
        text, lines = _first_of(lines)
        found = pattern.search(text)
        if found is None:
            raise BadInput(
                "header",
                f"the first line of layout {layout.name} must match {pattern.pattern!r}, and does "
                "not: this is another kind of file, or its beginning is lost",
            )
        self.frame = self.frame._replace(issued=found.groupdict().get("issued"))
        return lines

    def _without_footer(self, lines: Lines) -> Lines:
        pattern = re.compile(self._layout.footer or "")
        found = pattern.search(lines.text(-1)) if len(lines.starts) else None
        if found is None:
            raise BadInput(
                "footer",
                f"the last line of layout {self._layout.name} must match {pattern.pattern!r}, and "
                "does not: the file was cut off",
            )
        self.frame = self.frame._replace(announced=int(found["count"]))
        return _rest(lines, 0, -1)

    def _named(self, lines: Lines) -> Lines:
        text, lines = _first_of(lines)
        try:
            (cells,) = csv.reader([text], delimiter=self._layout.delimiter, strict=True)
        except (csv.Error, ValueError):
            cells = []
        names = [cell.strip().lower() for cell in cells]
        self._columns = len(names)
        self._places = {}
        for target, field in self._layout.fields.items():
            wanted = str(field.column).strip().lower()
            if wanted in names:
                self._places[target] = Field(names.index(wanted), field.slice)
        # What came is not told: without a header it is somebody's row.
        missing = [
            str(self._layout.fields[target].column)
            for target in self._layout.required
            if target not in self._places
        ]
        if missing:
            raise BadInput(
                "no-plate-column",
                "the first line must name the columns, "
                f"{' and '.join(f'`{name}`' for name in missing)} among them; it has "
                f"{len(names)} columns without",
            )
        return lines

    def _delimited(self, lines: Lines) -> _Split:
        if self._columns is None:
            raise ValueError("the layout or the header must tell how many columns there are")
        splitter = _Splitter(self._layout, self._columns, self._places, self._rejects)
        return splitter.rows(lines)


def _rest(lines: Lines, begin: int, end: int | None) -> Lines:
    part = slice(begin, end)
    return lines._replace(
        starts=lines.starts[part], ends=lines.ends[part], numbers=lines.numbers[part]
    )


def _first_of(lines: Lines) -> tuple[str, Lines]:
    """The first line and the others."""
    if lines.decoded and (not len(lines.starts) or lines.decoded[0][0] < lines.numbers[0]):
        return lines.decoded[0][1], lines._replace(decoded=lines.decoded[1:])
    if not len(lines.starts):
        return "", lines
    return lines.text(0), _rest(lines, 1, None)


def _behind(held: Lines, lines: Lines) -> Lines:
    """Both as one block."""
    shift = len(held.data)
    return lines._replace(
        data=np.concatenate([held.data, lines.data]),
        starts=np.concatenate([held.starts, lines.starts + shift]),
        ends=np.concatenate([held.ends, lines.ends + shift]),
        numbers=np.concatenate([held.numbers, lines.numbers]),
    )


def fixed_rows(lines: Lines, layout: Layout, rejects: Rejects) -> Rows:
    """Fields at fixed places of the line; a line that ends before one has it empty."""
    short = lines.ends - lines.starts < layout.min_width
    if short.any():
        rejects.extend(lines.numbers[short], "too-short")
        lines = lines.kept(~short)
    whole = [(number, text) for number, text in lines.decoded if len(text) >= layout.min_width]
    rejects.extend((n for n, text in lines.decoded if len(text) < layout.min_width), "too-short")
    fields = {}
    for name, field in layout.fields.items():
        begin, end = field.slice or (0, 0)
        column = gather(
            lines.data,
            np.minimum(lines.starts + begin, lines.ends),
            np.minimum(lines.starts + end, lines.ends),
        )
        fields[name] = _joined(column, [text[begin:end] for _, text in whole])
    return Rows(_numbers(lines.numbers, [number for number, _ in whole]), fields)


class _Split(NamedTuple):
    """A block of delimited lines taken apart."""

    rows: Rows
    held: Lines | None
    """Lines whose row may go on in the next block."""
    no_rows: int
    """Lines that are none by themselves: without content, or the continuation of a row."""


class _Splitter:
    """Delimited lines into fields."""

    def __init__(
        self, layout: Layout, columns: int, places: dict[str, Field], rejects: Rejects
    ) -> None:
        self._layout = layout
        self._columns = columns
        self._places = places
        self._rejects = rejects

    def rows(self, lines: Lines) -> _Split:
        quoted = np.zeros(len(lines.starts), bool)
        if not self._layout.rest:
            quoted = holding(lines, np.flatnonzero(lines.data == ord('"')))
        held = None
        begin = len(quoted)  # of the lines that the next block must see
        if self._layout.multiline and not lines.last and quoted.any():
            begin = max(0, begin - MAX_QUOTED_LINES)
        self._continued = 0
        slow, done = self._by_hand(lines, quoted, begin)
        begin = max(begin, done + 1)
        if begin < len(quoted):
            held = _compact(_rest(lines, begin, None)._replace(decoded=[]))
            lines, quoted = _rest(lines, 0, begin), quoted[:begin]
        lines = lines.kept(~quoted)
        delimiters = np.flatnonzero(lines.data == ord(self._layout.delimiter))
        first = np.searchsorted(delimiters, lines.starts)
        count = np.searchsorted(delimiters, lines.ends) - first
        empty = count == lines.ends - lines.starts  # nothing but delimiters: spreadsheets do that
        right = self._is_right(count + 1)
        self._rejects.extend(lines.numbers[~right & ~empty], "columns")
        keep = right & ~empty
        lines, first = lines.kept(keep), first[keep]
        bounds = np.append(delimiters, len(lines.data)).astype(np.int64)
        fields = {}
        for name, field in self._places.items():
            place = _place(field)
            starts = lines.starts if place == 0 else bounds[first + place - 1] + 1
            whole = place == self._columns - 1
            ends = lines.ends if whole else bounds[np.minimum(first + place, len(bounds) - 1)]
            if field.slice is not None:
                starts, ends = _within(starts, ends, field.slice)
            fields[name] = _joined(
                gather(lines.data, starts, ends),
                [_cell(cells, field, self._columns) for _, cells in slow],
            )
        rows = Rows(_numbers(lines.numbers, [number for number, _ in slow]), fields)
        return _Split(rows, held, int(empty.sum()) + self._continued)

    def _is_right(self, counts: NDArray[np.int64]) -> NDArray[np.bool_]:
        return counts >= self._columns if self._layout.rest else counts == self._columns

    def _by_hand(
        self, lines: Lines, quoted: NDArray[np.bool_], before: int
    ) -> tuple[list[tuple[int, list[str]]], int]:
        """Rows with quotes that begin before this place, and rows in other encodings.

        The other value is the place of the last line taken, as a row may go on over several.
        """
        rows: list[tuple[int, list[str]]] = []
        done = -1
        for place in np.flatnonzero(quoted[:before]).tolist():
            if place <= done:
                continue
            cells, done = self._quoted(lines, place)
            quoted[place : done + 1] = True
            self._continued += done - place
            self._take(rows, int(lines.numbers[place]), cells)
        for number, text in lines.decoded:
            self._take(rows, number, self._cells([text]))
        return rows, done

    def _quoted(self, lines: Lines, place: int) -> tuple[list[str] | None, int]:
        """The cells of the row that begins here (None: none) and the place of its last line."""
        texts: list[str] = []
        reach = MAX_QUOTED_LINES if self._layout.multiline else 1
        for end in range(place, min(place + reach, len(lines.starts))):
            texts.append(lines.text(end))
            if (cells := self._cells(texts)) is not None:
                return cells, end
        return None, place

    def _cells(self, texts: Sequence[str]) -> list[str] | None:
        try:
            (cells,) = csv.reader(["\n".join(texts)], delimiter=self._layout.delimiter, strict=True)
        except (csv.Error, ValueError):
            return None
        return cells

    def _take(
        self, rows: list[tuple[int, list[str]]], number: int, cells: list[str] | None
    ) -> None:
        if cells is None:
            self._rejects.add(number, "quotes")
        elif not self._is_right(np.array([len(cells)]))[0]:
            self._rejects.add(number, "columns")
        else:
            rows.append((number, cells))


def _cell(cells: list[str], field: Field, columns: int) -> str:
    place = _place(field)
    text = cells[place] if place < columns - 1 else " ".join(cells[place:])
    return text if field.slice is None else text[slice(*field.slice)]


def _place(field: Field) -> int:
    """The number of its column, which the layout or the header has told."""
    if not isinstance(field.column, int):
        raise ValueError("a numbered column was required")
    return field.column


def _within(
    starts: NDArray[np.int64], ends: NDArray[np.int64], part: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    begin, end = part
    return np.minimum(starts + begin, ends), np.minimum(starts + end, ends)


def _compact(lines: Lines) -> Lines:
    """The same lines without the bytes before them."""
    begin = int(lines.starts[0])
    return lines._replace(
        data=lines.data[begin:].copy(), starts=lines.starts - begin, ends=lines.ends - begin
    )


def gather(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> pa.StringArray:
    """The texts [start, end) of the bytes as one column; the bytes must be UTF-8."""
    lengths = (ends - starts).astype(np.int32)
    offsets = np.zeros(len(starts) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    places = np.repeat(starts.astype(np.int32) - offsets[:-1], lengths)
    places += np.arange(len(places), dtype=np.int32)
    return pa.StringArray.from_buffers(
        len(starts), pa.py_buffer(offsets), pa.py_buffer(data[places])
    )


def _joined(column: pa.StringArray, more: list[str]) -> pa.Array:
    if not more:
        return column
    return pa.concat_arrays([column, pa.array(more, pa.string())])


def _numbers(numbers: NDArray[np.int64], more: list[int]) -> NDArray[np.int64]:
    return np.concatenate([numbers, np.array(more, np.int64)]) if more else numbers
