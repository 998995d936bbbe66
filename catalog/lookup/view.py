"""One state of the table as a look-up sees it: its files, and what index there is of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.table import Table
from pyiceberg.types import TimestamptzType

from alpr.errors import Corrupt
from catalog.cutoffs import read_cutoffs
from catalog.files import live_files, partition_of
from catalog.lake import Lake
from catalog.lookup.index import Block, OpenBlock, block_of, list_blocks
from catalog.lookup.ranges import read_footer
from catalog.parquet import Partition
from catalog.schemas import CAPTURED, READS
from catalog.swap import look_at

THREADS: Final = 8
"""Requests under way at once: most of a look-up is waiting for the store."""

_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True)
class File:
    """A data file: where it is, of what, and when its rows were captured (µs since 1970, UTC)."""

    uri: str
    size: int
    rows: int
    partition: Partition
    first: int
    last: int


class Footers:
    """Parquet footers in memory, the least recently used forgotten above `max_bytes`.

    They hold first and last plate of each row group, so they are kept in memory only.
    """

    def __init__(self, lake: Lake, max_bytes: int = 200_000_000) -> None:
        self._lake = lake
        self._max_bytes = max_bytes
        self._bytes = 0
        self._known: OrderedDict[str, pq.FileMetaData] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, file: File) -> pq.FileMetaData:
        """The footer of a file. Raises Corrupt or Unavailable."""
        with self._lock:
            if (known := self._known.get(file.uri)) is not None:
                self._known.move_to_end(file.uri)
                return known
        footer = read_footer(self._lake.store, file.uri, file.size)
        with self._lock:
            self._known[file.uri] = footer
            self._bytes += footer.serialized_size
            while self._bytes > self._max_bytes and len(self._known) > 1:
                _, old = self._known.popitem(last=False)
                self._bytes -= old.serialized_size
        return footer


class View:
    """The files of `reads` at a moment, and the index blocks that fit them.

    `refresh` looks again; a view that is not refreshed goes on answering from its own state
    until compaction or a purge deletes a file of it, which raises Corrupt.
    """

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.footers = Footers(lake)
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")
        self._state = ""
        self.files: list[File] = []
        self.cutoffs: dict[str, date] = {}
        self._blocks: dict[str, OpenBlock] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take over the table's current state. Raises Unavailable."""
        look_at(self.lake, READS.name, self._take_over)
        listed = list_blocks(self.lake)
        fresh = [block for block in listed if block.uri not in self._blocks]
        opened = [each for each in self.pool.map(self._open, fresh) if each is not None]
        known = {each.block.uri: each for each in (*self._blocks.values(), *opened)}
        self._blocks = {block.uri: known[block.uri] for block in listed if block.uri in known}

    def _take_over(self, table: Table) -> None:
        if table.metadata_location == self._state:
            return
        self.files = [
            File(
                uri=found.file_path,
                size=found.file_size_in_bytes,
                rows=found.record_count,
                partition=partition_of(found),
                first=int(from_bytes(TimestamptzType(), found.lower_bounds[CAPTURED])),
                last=int(from_bytes(TimestamptzType(), found.upper_bounds[CAPTURED])),
            )
            for found in live_files(table)
        ]
        self.cutoffs = read_cutoffs(table)
        self._state = table.metadata_location

    def _open(self, block: Block) -> OpenBlock | None:
        """None if it was replaced since it was listed: its days are then read themselves."""
        try:
            return block.open(self.lake)
        except Corrupt:
            if self.lake.store.exists(block.uri):
                raise
            return None

    def answer(self, ask: Callable[[], pa.Table]) -> pa.Table:
        """What `ask` says of this state, or of a fresh one if a file of this one is gone.

        Compaction and the purge delete files that a view still names. Raises what `ask` raises.
        """
        try:
            return ask()
        except Corrupt:
            self.refresh()
            return ask()

    def close(self) -> None:
        """Give back the threads."""
        self.pool.shutdown()

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def within(
        self,
        first: datetime | None = None,
        last: datetime | None = None,
        classes: Collection[str] | None = None,
    ) -> list[File]:
        """The files that can hold rows captured in [first, last) of some classes."""
        low = None if first is None else _micros(first)
        high = None if last is None else _micros(last)
        return [
            file
            for file in self.files
            if (low is None or file.last >= low)
            and (high is None or file.first < high)
            and (classes is None or file.partition.retention_class in classes)
        ]

    def block(self, retention_class: str, number: int) -> OpenBlock | None:
        """The index of a block of a class, if there is one."""
        for each in self._blocks.values():
            if (each.block.retention_class, each.block.number) == (retention_class, number):
                return each
        return None

    def covered(self, files: Iterable[File]) -> tuple[dict[OpenBlock, int], list[File]]:
        """Per index block the days it speaks for (a mask), and the files none speaks for."""
        own = {
            (each.block.retention_class, each.block.number): each for each in self._blocks.values()
        }
        whole = files_by_partition(self.files)
        masks: dict[OpenBlock, int] = {}
        bare: list[File] = []
        for file in files:
            partition = file.partition
            block = own.get((partition.retention_class, block_of(partition.day)))
            if block is not None and block.files.get(partition.day) == whole[partition]:
                masks[block] = masks.get(block, 0) | 1 << (partition.day % 32)
            else:
                bare.append(file)
        return masks, bare


def files_by_partition(files: Iterable[File]) -> dict[Partition, frozenset[str]]:
    """The addresses of all files of each day and class."""
    found: dict[Partition, set[str]] = {}
    for file in files:
        found.setdefault(file.partition, set()).add(file.uri)
    return {partition: frozenset(uris) for partition, uris in found.items()}


def _micros(moment: datetime) -> int:
    return int(
        np.datetime64(
            moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta()), "us"
        ).astype(np.int64)
    )
