"""Text into lines, a block at a time and without a Python object a line.

Whatever a file holds gives lines or counted rejects: lines too long, NUL bytes, other encodings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from alpr.errors import BadInput
from ingest.hotlists.layouts import Layout
from ingest.hotlists.rejects import Rejects

BLOCK_BYTES: Final = 4 << 20
MAX_LINE: Final = 64 << 10
"""Bytes of the longest line; no row of any layout comes near it."""
_BOM: Final = b"\xef\xbb\xbf"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")
_BLANK: Final = np.isin(np.arange(256), list(b" \t\r\n"))


class Stream(Protocol):
    """Bytes to read; b"" is the end."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes."""


class Lines(NamedTuple):
    """Lines of a block of bytes, without their ends and without blank ones."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]
    """In the file, from 1."""
    decoded: list[tuple[int, str]]
    """Lines (number, text) that the columns of bytes cannot be counted in."""
    last: bool

    def kept(self, mask: NDArray[np.bool_]) -> Lines:
        """Those of the lines in bytes that the mask holds."""
        return self._replace(
            starts=self.starts[mask], ends=self.ends[mask], numbers=self.numbers[mask]
        )

    def text(self, place: int) -> str:
        """One line in bytes as text; what is no UTF-8 is replaced."""
        line = self.data[self.starts[place] : self.ends[place]]
        return line.tobytes().decode("utf-8", "replace")


def read_lines(stream: Stream, layout: Layout, rejects: Rejects) -> Iterator[Lines]:
    """The lines of a text, in blocks; the last non-blank line is always in the last block.

    Raises BadInput (`wrong-encoding`) if the text is UTF-16.
    """
    for data, first, last in _blocks(stream, rejects):
        yield _checked(_split(data, first, last), layout, rejects)


def _blocks(stream: Stream, rejects: Rejects) -> Iterator[tuple[bytes, int, bool]]:
    """(whole lines, number of the first one, whether it is the last block)."""
    carry, number, skipping = b"", 1, False
    chunk = stream.read(BLOCK_BYTES)
    while len(chunk) < len(_BOM) and (more := stream.read(BLOCK_BYTES)):
        chunk += more
    if chunk[:2] in _WIDE_BOMS:
        raise BadInput(
            "wrong-encoding", "text in UTF-8 was required, UTF-16 came: save it as UTF-8"
        )
    chunk = chunk.removeprefix(_BOM) or stream.read(BLOCK_BYTES)
    # A line ended with CR alone, long ago; a last CR may be half of an end that is not there yet.
    old_ends = b"\r" in chunk[:-1] and b"\n" not in chunk
    while chunk:
        if old_ends:
            chunk = chunk.replace(b"\r", b"\n")
        if skipping:
            end = chunk.find(b"\n")
            if end < 0:
                chunk = stream.read(BLOCK_BYTES)
                continue
            chunk, skipping, number = chunk[end + 1 :], False, number + 1
        data = carry + chunk
        begin = _begin_of_last(data)
        if len(data) - begin > MAX_LINE and data.find(b"\n", begin) < 0:
            rejects.add(number + data.count(b"\n", 0, begin), "line-too-long")
            skipping, carry = True, b""
        else:
            carry = data[begin:]
        if begin:
            yield data[:begin], number, False
            number += data.count(b"\n", 0, begin)
        chunk = stream.read(BLOCK_BYTES)
    yield carry, number, True


def _begin_of_last(data: bytes) -> int:
    """Where the last line that is not blank begins; behind all where only blank ones are left."""
    end = len(data)
    while end and len(data) - end <= MAX_LINE:
        begin = data.rfind(b"\n", 0, end) + 1
        if data[begin : min(end, begin + MAX_LINE)].strip():
            return begin
        end = begin - 1 if begin else 0
    return data.rfind(b"\n") + 1


def _split(data: bytes, first: int, last: bool) -> Lines:
    codes = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(codes == 10)
    ends = newlines if not len(codes) or codes[-1] == 10 else np.append(newlines, len(codes))
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    numbers = np.arange(first, first + len(ends), dtype=np.int64)
    starts, ends = starts.astype(np.int64), ends.astype(np.int64)
    # Blanks mean nothing at a line's end. Looked for from every end at once: a line of a million
    # of them must not take a million steps.
    inked = np.flatnonzero(~_BLANK[codes])
    place = np.searchsorted(inked, ends) - 1
    ends = np.maximum(np.append(inked, -1)[place] + 1, starts)
    lines = Lines(codes, starts, ends, numbers, [], last)
    return lines.kept(ends > starts)


def _checked(lines: Lines, layout: Layout, rejects: Rejects) -> Lines:
    long = lines.ends - lines.starts > MAX_LINE
    if long.any():
        rejects.extend(lines.numbers[long], "line-too-long")
        lines = lines.kept(~long)
    nul = holding(lines, np.flatnonzero(lines.data == 0))
    if nul.any():
        rejects.extend(lines.numbers[nul], "nul-byte")
        lines = lines.kept(~nul)
    other = holding(lines, np.flatnonzero(lines.data > 127))
    if not other.any():
        return lines
    aside = np.zeros(len(lines.starts), bool)
    for place in np.flatnonzero(other).tolist():
        line = lines.data[lines.starts[place] : lines.ends[place]].tobytes()
        number = int(lines.numbers[place])
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            if layout.fallback_encoding is None:
                rejects.add(number, "not-utf-8")
            else:
                lines.decoded.append((number, line.decode(layout.fallback_encoding)))
            aside[place] = True
        else:
            if layout.kind == "fixed":  # its columns are characters, not bytes
                lines.decoded.append((number, text))
                aside[place] = True
    return lines.kept(~aside)


def holding(lines: Lines, positions: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which lines hold one of these positions of the block, shape (lines,)."""
    found = np.zeros(len(lines.starts), bool)
    if len(positions) and len(lines.starts):
        place = np.searchsorted(lines.starts, positions, side="right") - 1
        inside = (place >= 0) & (positions < lines.ends[np.maximum(place, 0)])
        found[place[inside]] = True
    return found
