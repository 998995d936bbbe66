"""Reading a source's files whole: entries, and what was wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alpr.errors import BadInput
from ingest.hotlists.columns import Frame, TextReader
from ingest.hotlists.documents import DocumentReader
from ingest.hotlists.entries import Normaliser, Settings, Tally
from ingest.hotlists.layouts import Layout
from ingest.hotlists.lines import Stream
from ingest.hotlists.origin import Limits, Progress, open_parts
from ingest.hotlists.rejects import Rejects
from ingest.hotlists.table import Ids, Pile


class Refusal(BadInput):
    """The file as a whole is refused; the list in force stays in force."""

    def __init__(self, reason: str, detail: str, report: str | None = None) -> None:
        super().__init__(reason, detail)
        self.report = report
        """Where the bad rows are told."""


@dataclass
class Reading:
    """What one reading of a source's files gave."""

    pile: Pile = field(default_factory=Pile)
    rejects: Rejects = field(default_factory=Rejects)
    tally: Tally = field(default_factory=Tally)
    stated: list[NDArray[np.bool_]] = field(default_factory=list)
    removes: list[NDArray[np.bool_]] = field(default_factory=list)
    numbers: list[NDArray[np.int64]] = field(default_factory=list)
    parts: list[NDArray[np.int32]] = field(default_factory=list)
    rows: int = 0
    repeated: int = 0
    issued: datetime | None = None
    _ids: Ids | None = None

    def ids(self) -> Ids:
        """The ids of all rows; kept, for it takes a while."""
        if self._ids is None:
            self._ids = self.pile.ids()
        return self._ids

    def forget(self) -> None:
        """Let go of what is wanted only until it is known what changes: memory for the merge."""
        self._ids = None
        for parts in (self.numbers, self.parts, self.removes):
            parts.clear()

    def unique(self) -> NDArray[np.int64]:
        """Places of the rows in force: of rows with the same identity the last one.

        An earlier row with another plate is a reject: one of the two plates is lost by it.
        """
        ids = self.ids()
        order = np.argsort(ids.head, kind="stable")
        same = (ids.head[order][1:] == ids.head[order][:-1]) & (
            ids.tail[order][1:] == ids.tail[order][:-1]
        )
        earlier, later = order[:-1][same], order[1:][same]
        if len(earlier):
            keys = self.pile.keys()
            elsewhere = earlier[keys[earlier] != keys[later]]
            numbers, parts = np.concatenate(self.numbers), np.concatenate(self.parts)
            for place in np.sort(elsewhere).tolist():
                self.rejects.part = int(parts[place])
                self.rejects.add(int(numbers[place]), "record-elsewhere")
            self.repeated = len(earlier) - len(elsewhere)
        alive = np.ones(self.pile.rows, bool)
        alive[earlier] = False
        return np.flatnonzero(alive)


def read_entries(
    files: list[Path],
    layout: Layout,
    source: Settings,
    now: datetime,
    limits: Limits,
    progress: Progress | None = None,
) -> Reading:
    """Read files in a layout. Raises BadInput where a file as a whole cannot be used."""
    reading = Reading()
    normaliser = Normaliser(layout, source, now, reading.rejects, reading.tally)
    for part, stream in enumerate(open_parts(files, limits, progress), start=1):
        reading.rejects.part = part
        reader = _reader(stream, layout, reading.rejects)
        for rows in reader:
            entries = normaliser.entries(rows)
            reading.pile.add(entries.table)
            reading.stated.append(entries.stated)
            reading.removes.append(entries.removes)
            reading.numbers.append(entries.numbers)
            reading.parts.append(np.full(len(entries.numbers), part, np.int32))
        if layout.header == "optional":
            forgiven = reading.rejects.forgive_header()
            reading.rows -= forgiven
        _close(reading, reader.frame, layout, source)
    return reading


def _reader(stream: Stream, layout: Layout, rejects: Rejects) -> TextReader | DocumentReader:
    if layout.kind == "json":
        return DocumentReader(stream, layout, rejects)
    return TextReader(stream, layout, rejects)


def _close(reading: Reading, frame: Frame, layout: Layout, source: Settings) -> None:
    reading.rows += frame.lines
    if frame.announced is not None and frame.announced != frame.lines:
        raise Refusal(
            "footer-count",
            f"the footer tells {frame.announced} rows, there are {frame.lines}: the file was cut "
            "off or put together wrongly; nothing was loaded",
        )
    if frame.issued is not None and layout.issued_format is not None:
        zone = ZoneInfo(source.timezone or layout.timezone)
        try:
            issued = datetime.strptime(frame.issued, layout.issued_format).replace(tzinfo=zone)
        except ValueError:
            raise Refusal("header", "the header's date is none; nothing was loaded") from None
        reading.issued = max(issued.astimezone(UTC), reading.issued or issued.astimezone(UTC))


def flags(parts: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Flags of all blocks, shape (rows,)."""
    return np.concatenate(parts) if parts else np.empty(0, bool)
