"""On which days was a plate seen? A small table beside the data, with the data's own end.

Per retention class and block of 32 local days one Parquet object,
`index/reads/class=…/block=…/<number>-<uuid>.parquet`:

    plate  text, ascending, each once
    days   32 bits: bit i is set if the plate was read on local day 32 * block + i

Its file metadata (key `platelake.index`) names the data files it was made from, by day. A day
counts as covered only while those are exactly the table's files of that day, so an index that
is behind costs time and never an answer. Objects are written whole and replaced, never changed;
of several of a block the highest number counts. The purge and whatever else takes rows out call
`drop_days`: a plate seen only on days that are gone is in no index any more.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alpr.errors import Corrupt
from alpr.lookalikes import Pattern
from catalog.cutoffs import is_cut_off, read_cutoffs
from catalog.files import read_rows
from catalog.lake import Lake
from catalog.lookup.ranges import read_groups
from catalog.parquet import Partition
from catalog.schemas import READS

BLOCK_DAYS: Final = 32
FOLDER: Final = "index/reads"
METADATA_KEY: Final = b"platelake.index"
_FORMAT: Final = 1
_ROW_GROUP: Final = 8_192
"""A look-up decodes one row group of each block."""

SCHEMA: Final = pa.schema(
    [
        pa.field("plate", pa.large_string(), nullable=False),
        pa.field("days", pa.uint32(), nullable=False),
    ]
)

Files = Mapping[int, frozenset[str]]
"""Per local day (days since 1970-01-01) the addresses of the data files."""


@dataclass(frozen=True)
class Block:
    """An index object: its block of one class, and which files it was made from."""

    uri: str
    retention_class: str
    number: int
    size: int

    def open(self, lake: Lake) -> OpenBlock:
        """Read its footer. Raises Corrupt if it is gone or none."""
        with lake.store.open(self.uri) as source:
            try:
                metadata = pq.read_metadata(source)
                content = json.loads(metadata.metadata[METADATA_KEY])
            except (pa.ArrowInvalid, KeyError, TypeError, ValueError) as error:
                raise Corrupt(f"{self.uri} is no plate index: {error}") from error
        if content["format"] != _FORMAT:
            raise Corrupt(f"{self.uri} has another format than this version reads")
        files = {int(day): frozenset(uris) for day, uris in content["files"].items()}
        return OpenBlock(self, metadata, files)


@dataclass(frozen=True, eq=False)
class OpenBlock:
    """A block whose footer is in memory: what it covers, and where each plate is."""

    block: Block
    metadata: pq.FileMetaData
    files: Files

    @cached_property
    def zones(self) -> list[tuple[str, str]]:
        """First and last plate of each row group."""
        return zones_of(self.metadata, 0)

    def find(self, lake: Lake, plates: Sequence[str]) -> pa.Table:
        """Those of some plates (ascending) that the block has, with their days."""
        wanted = [
            group
            for group, (first, last) in enumerate(self.zones)
            if _any_within(plates, first, last)
        ]
        values = pa.array(plates, pa.large_string())
        return self._read(lake, wanted, lambda rows: pc.is_in(rows["plate"], values))

    def match(self, lake: Lake, wanted: Pattern) -> pa.Table:
        """The plates that match a pattern, with their days."""
        groups = [
            group
            for group, (first, last) in enumerate(self.zones)
            if first[: len(wanted.prefix)] <= wanted.prefix <= last[: len(wanted.prefix)]
        ]
        return self._read(lake, groups, lambda rows: matches(rows["plate"], wanted))

    def _read(
        self, lake: Lake, groups: Iterable[int], keep: Callable[[pa.Table], pa.Array]
    ) -> pa.Table:
        chosen = list(groups)
        if not chosen:
            return SCHEMA.empty_table()
        block = self.block
        rows = read_groups(lake.store, block.uri, block.size, self.metadata, chosen, SCHEMA.names)
        rows = rows.cast(SCHEMA)
        return rows.filter(keep(rows))


def matches(plates: pa.ChunkedArray, wanted: Pattern) -> pa.Array:
    """Which plates match a pattern; the end alone is looked for faster than by an expression."""
    if wanted.suffix is not None:
        return pc.ends_with(plates, wanted.suffix)
    return pc.match_substring_regex(plates, wanted.regex)


def block_of(day: int) -> int:
    """The block that a local day (days since 1970-01-01) lies in."""
    return day // BLOCK_DAYS


def bit_of(day: int) -> int:
    """The day's bit within its block."""
    return 1 << (day % BLOCK_DAYS)


def list_blocks(lake: Lake) -> list[Block]:
    """The index objects that count: of each class and block the newest."""
    return _sorted_out(lake)[0]


def delete_superseded(lake: Lake) -> int:
    """Delete the objects that do not count, of writers that were killed; how many there were."""
    _, superseded = _sorted_out(lake)
    return lake.store.delete(block.uri for block in superseded)


def build(
    lake: Lake,
    retention_class: str,
    number: int,
    files: Files,
    before: OpenBlock | None = None,
) -> Block | None:
    """Index a block anew from its data files; None if a purge has closed one of its days meanwhile.

    Days for which the block `before` was made from the same files are taken from it. Takes memory
    of about 100 bytes a plate and day. Raises Corrupt or Unavailable as `read_rows`.
    """
    known = set() if before is None else {d for d in files if before.files.get(d) == files[d]}
    parts = [_only(read_rows(lake, before.block.uri), known)] if before and known else []
    for day, uris in sorted(files.items()):
        if day in known:
            continue
        plates = pa.chunked_array(
            [
                chunk
                for uri in sorted(uris)
                for chunk in read_rows(lake, uri, ["plate"])["plate"].chunks
            ]
        )
        seen = pc.unique(plates).cast(pa.large_string())
        bits = pa.array(np.full(len(seen), bit_of(day), np.uint32))
        parts.append(pa.table([seen, bits], schema=SCHEMA))
    if not parts:
        return None
    rows = _united(parts)
    block = _write(lake, retention_class, number, rows, files)
    cutoffs = read_cutoffs(lake.table(READS.name))
    if any(is_cut_off(Partition(day, retention_class), cutoffs) for day in files):
        lake.store.delete([block.uri])
        return None
    _delete_older(lake, block)
    return block


def drop_days(lake: Lake, ended: Callable[[Partition], bool]) -> int:
    """Take days out of the index; the number of objects that were written anew or deleted.

    `ended` says which. Safe to kill and to run again. Objects that do not count any more go too.
    Raises Corrupt or Unavailable.
    """
    current, superseded = _sorted_out(lake)
    lake.store.delete(block.uri for block in superseded)
    return len(superseded) + sum(_drop(lake, block, ended) for block in current)


def drop_partition(lake: Lake, partition: Partition) -> None:
    """Take one day of a class out of the index: its rows have changed. Raises as `drop_days`."""
    current, superseded = _sorted_out(lake)
    lake.store.delete(block.uri for block in superseded)
    for block in current:
        if (block.retention_class, block.number) == (
            partition.retention_class,
            block_of(partition.day),
        ):
            _drop(lake, block, lambda each: each == partition)


def _drop(lake: Lake, block: Block, ended: Callable[[Partition], bool]) -> bool:
    content = block.open(lake)
    kept = {
        day: uris
        for day, uris in content.files.items()
        if not ended(Partition(day, block.retention_class))
    }
    if len(kept) == len(content.files):
        return False
    if kept:
        rows = _only(read_rows(lake, block.uri), kept)
        _write(lake, block.retention_class, block.number, rows, kept)
    lake.store.delete([block.uri])
    return True


def _united(parts: Sequence[pa.Table]) -> pa.Table:
    """Each plate once, ascending, with all of its days; no two parts have a day in common."""
    every = pa.concat_tables(parts)
    plates = every["plate"].combine_chunks().dictionary_encode()
    # No plate has a day twice, so the sum of its bits is all of them; a double holds 53 exactly.
    days = np.bincount(plates.indices.to_numpy(), every["days"].to_numpy().astype(np.float64))
    united = pa.table([plates.dictionary, days.astype(np.uint32)], schema=SCHEMA)
    return united.sort_by("plate")


def _only(rows: pa.Table, days: Iterable[int]) -> pa.Table:
    """The rows of a block with some of its days, without the plates that were seen on no other."""
    mask = pa.scalar(sum(bit_of(day) for day in days), pa.uint32())
    left = pc.bit_wise_and(rows["days"], mask)
    found = pa.table([rows["plate"], left], names=SCHEMA.names).cast(SCHEMA)
    return found.filter(pc.not_equal(left, pa.scalar(0, pa.uint32())))


def zones_of(metadata: pq.FileMetaData, column: int) -> list[tuple[str, str]]:
    """First and last text of a column in each row group; no bound where the file has none."""
    zones = []
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(column).statistics
        if statistics is None or not statistics.has_min_max:
            zones.append(("", "\U0010ffff"))
        else:
            zones.append((_text(statistics.min), _text(statistics.max)))
    return zones


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _any_within(plates: Sequence[str], first: str, last: str) -> bool:
    place = int(np.searchsorted(np.asarray(plates, object), first))
    return place < len(plates) and plates[place] <= last


def _write(lake: Lake, retention_class: str, number: int, rows: pa.Table, files: Files) -> Block:
    content = {
        "format": _FORMAT,
        "files": {str(day): sorted(uris) for day, uris in sorted(files.items())},
    }
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        SCHEMA,
        compression="zstd",
        compression_level=3,
        use_dictionary=["days"],
        column_encoding={"plate": "DELTA_BYTE_ARRAY"},
        store_schema=False,
    ) as writer:
        writer.write_table(rows, _ROW_GROUP)
        writer.add_key_value_metadata({METADATA_KEY.decode(): json.dumps(content)})
    data = sink.getvalue()
    folder = f"{lake.config.warehouse}/{FOLDER}/class={retention_class}/block={number}"
    newest = max((_sequence(item.uri) for item in lake.store.list(folder)), default=0)
    uri = f"{folder}/{newest + 1:08d}-{uuid.uuid4()}.parquet"
    lake.store.write(uri, data)
    return Block(uri, retention_class, number, data.size)


def _delete_older(lake: Lake, block: Block) -> None:
    folder = block.uri.rpartition("/")[0]
    older = [item.uri for item in lake.store.list(folder) if item.uri < block.uri]
    lake.store.delete(older)


def _sorted_out(lake: Lake) -> tuple[list[Block], list[Block]]:
    """Of all objects those that count, by class and block, and the others."""
    every = sorted(_every(lake), key=lambda block: block.uri)
    newest = {(each.retention_class, each.number): each for each in every}
    superseded = [each for each in every if newest[each.retention_class, each.number] != each]
    return [newest[key] for key in sorted(newest)], superseded


def _every(lake: Lake) -> Iterator[Block]:
    for item in lake.store.list(f"{lake.config.warehouse}/{FOLDER}"):
        if not item.uri.endswith(".parquet"):
            continue  # what stands for a folder in a bucket
        *_, name, number, _ = item.uri.split("/")
        yield Block(
            item.uri, name.removeprefix("class="), int(number.removeprefix("block=")), item.size
        )


def _sequence(uri: str) -> int:
    return int(uri.rpartition("/")[2].partition("-")[0])
