"""Rows change their class, or go, in the middle of a partition: its files are written anew.

One partition is one swap: its files that hold such rows out, what is left of them in, and what
moves into the partitions of its new class. Packs are rebuilt with them, so that the bytes of an
image go with its row, and one that moves lies under its new class. Nothing may be deleted before
the swap; what must be deleted after it is told beforehand (`intend`), so that a crash leaves
nothing behind that nobody knows of.

Landing, compaction and the purge go on beside it: if inputs are taken away, or the partition a
row is to move to is closed, the partition is looked at again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction

from alpr.errors import Corrupt, PlatelakeError, Unavailable
from catalog.cutoffs import Cutoffs, is_cut_off, read_cutoffs
from catalog.files import live_files, partition_of, read_rows
from catalog.images import ImageRef, PackWriter, image_folder, walk
from catalog.lake import Lake
from catalog.manifests import change_files
from catalog.parquet import COMPACTED_LEVEL, STAGED_LEVEL, ParquetFile, Partition, data_file
from catalog.retention.copies import IMAGES
from catalog.retention.interlock import pinned
from catalog.rows import local_days
from catalog.schemas import READS, SORTED, TABLES
from catalog.staging import split, write_rows
from catalog.swap import Change, Summary, look_at, swap

REWRITE = "rewrite"
"""Operation of the swap: the committer then loads the ids of its days again."""

TARGET_COLUMNS = ("agency", "captured_at", "retention_class")
"""What a target sees, and `source` where the table has it."""

Target = Callable[[pa.Table], pa.Array]
"""The class that each row is to be in; null: the row is to go. Must not depend on anything else."""

Mask = npt.NDArray[np.bool_]

_HEAD = 8
"""Bytes before each image in a pack, and before the first."""
_ROUNDS = 20
_ATTEMPTS = 20


class Held(PlatelakeError):
    """A hold must be copied first: call `evidence.complete_pending`."""


@dataclass(frozen=True)
class Rewritten:
    """What one swap did to a partition.

    `expired`: rows whose new class had let them go already; `duplicates`: rows that were to move
    to another day, which has their id already (its sender sent it again after the change).

    `files`, `packs`: addresses that the table does not name any more, to be deleted.
    """

    table: str
    partition: Partition
    moved: Mapping[Partition, int]
    removed: int
    expired: int
    duplicates: int
    files: tuple[str, ...]
    packs: tuple[str, ...]


@dataclass
class _Plan:
    """Which files of a partition must be written anew, and which packs go for it."""

    inputs: list[DataFile] = field(default_factory=list)
    packs: set[str] = field(default_factory=set)


class _DecideAnew(Exception):
    """The table is not what the plan was made for."""


def rewrite_partition(
    lake: Lake,
    table_name: str,
    partition: Partition,
    target: Target,
    cutoffs: Cutoffs,
    *,
    intend: Callable[[Sequence[str], Sequence[str]], object] = lambda _files, _packs: None,
    sleep: Callable[[float], None] = time.sleep,
    new_name: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Iterator[Rewritten]:
    """Write a partition anew until every row in it is where `target` wants it.

    `cutoffs`: per class the first day that may be kept; what moves behind them is dropped.
    `intend(files, packs)` is told what each swap will leave to delete, before it. Raises Held
    if a hold is still to be copied from the partition, Unavailable if catalogue or store do not
    answer or others always were faster, Corrupt for damaged files or packs.
    """
    for _ in range(_ROUNDS):
        table, plan = look_at(
            lake,
            table_name,
            lambda state: (state, _plan(lake, state, partition, target)),
            sleep=sleep,
        )
        if not plan.inputs:
            return
        _refuse_held(table, partition)
        intend([file.file_path for file in plan.inputs], sorted(plan.packs))
        work = _Work(lake, table_name, partition, target, dict(cutoffs), plan, new_name)
        try:
            work.write(read_cutoffs(table))
        except Corrupt:
            if _are_live(lake, table_name, partition, plan, sleep):
                raise
            continue  # a purge took them while they were read
        try:
            _replace(lake, table_name, partition, plan, work, sleep)
        except _DecideAnew:
            continue
        yield Rewritten(
            table_name,
            partition,
            dict(work.moved),
            work.removed,
            work.expired,
            work.duplicates,
            tuple(file.file_path for file in plan.inputs),
            tuple(sorted(plan.packs)),
        )
    raise Unavailable(
        f"{table_name}/{partition.folder} changed {_ROUNDS} times while it was written anew: "
        "try again when less is landing there"
    )


def targets_of(rows: pa.Table, target: Target) -> tuple[pa.Array, Mask]:
    """The class each row is to be in, and which rows are not in it (or are to go)."""
    wanted = target(rows)
    if isinstance(wanted, pa.ChunkedArray):
        wanted = wanted.combine_chunks()
    own = rows["retention_class"].combine_chunks().cast(wanted.type)
    changed = pc.fill_null(pc.not_equal(wanted, own), True)
    return wanted, changed.to_numpy(zero_copy_only=False)


def target_columns(table_name: str) -> list[str]:
    """The columns that a target is shown."""
    return [*TARGET_COLUMNS, *(["source"] if table_name == READS.name else [])]


def packs_named(lake: Lake, partition: Partition) -> set[str]:
    """The packs that the reads of a partition point into, below the warehouse."""

    def look(table: Table) -> set[str]:
        named: set[str] = set()
        for file in live_files(table, partition.day):
            if partition_of(file) == partition:
                rows = read_rows(lake, file.file_path, list(IMAGES))
                named |= {ref.pack for name in IMAGES for ref in _refs(rows[name])}
        return named

    return look_at(lake, READS.name, look)


def _plan(lake: Lake, table: Table, partition: Partition, target: Target) -> _Plan:
    name = table.name()[-1]
    files = [f for f in live_files(table, partition.day) if partition_of(f) == partition]
    masks = []
    for file in files:
        rows = read_rows(lake, file.file_path, target_columns(name))
        masks.append(targets_of(rows, target)[1])
    if not any(changed.any() for changed in masks):
        return _Plan()
    if name != READS.name:
        return _Plan([file for file, changed in zip(files, masks, strict=True) if changed.any()])
    plan = _Plan()
    named: dict[str, set[ImageRef]] = {}
    of_file: list[set[str]] = []
    for file, changed in zip(files, masks, strict=True):
        rows = read_rows(lake, file.file_path, list(IMAGES))
        of_file.append(set())
        for image in IMAGES:
            for ref in _refs(rows[image]):
                named.setdefault(ref.pack, set()).add(ref)
                of_file[-1].add(ref.pack)
            plan.packs |= {ref.pack for ref in _refs(rows[image].filter(pa.array(changed)))}
    # A row that was dropped as a duplicate left its image: whose it was, nobody knows now.
    plan.packs |= set(_with_unnamed_images(lake, partition, named))
    plan.inputs = [
        file
        for file, changed, packs in zip(files, masks, of_file, strict=True)
        if changed.any() or packs & plan.packs
    ]
    return plan


def _with_unnamed_images(
    lake: Lake, partition: Partition, named: Mapping[str, set[ImageRef]]
) -> Iterator[str]:
    folder = image_folder(partition.retention_class, partition.date)
    for item in lake.store.list(f"{lake.config.warehouse}/{folder}"):
        pack = item.uri.removeprefix(f"{lake.config.warehouse}/")
        refs = named.get(pack)
        if refs and item.size != _HEAD + sum(ref.length + _HEAD for ref in refs):
            yield pack


@dataclass
class _Work:
    """Writes what a partition's inputs become."""

    lake: Lake
    table_name: str
    partition: Partition
    target: Target
    cutoffs: dict[str, Any]
    plan: _Plan
    new_name: Callable[[], str]
    outputs: list[ParquetFile] = field(default_factory=list)
    moved: dict[Partition, int] = field(default_factory=dict)
    removed: int = 0
    expired: int = 0
    duplicates: int = 0

    def write(self, table_cutoffs: Cutoffs) -> None:
        """Store packs, then files; nothing names them yet."""
        for name, day in table_cutoffs.items():
            self.cutoffs[name] = max(day, self.cutoffs.get(name, day))
        for file in self.plan.inputs:
            rows = read_rows(self.lake, file.file_path).cast(TABLES[self.table_name].arrow)
            if rows.num_rows != file.record_count:
                raise Corrupt(
                    f"{file.file_path}: {rows.num_rows} rows, the catalogue says "
                    f"{file.record_count}"
                )
            self._write_file(file, self._placed(rows))

    def _placed(self, rows: pa.Table) -> pa.Table:
        """The rows that stay in the lake, each with its class and the day it has there."""
        wanted, changed = targets_of(rows, self.target)
        stays = wanted.is_valid()
        self.removed += rows.num_rows - int(pc.sum(stays).as_py() or 0)
        if not changed.any():
            return rows
        rows, wanted = rows.filter(stays), wanted.filter(stays)
        days = local_days(rows["captured_at"].combine_chunks(), wanted, self.lake.retention.zone_of)
        for name, values in (("retention_class", wanted), ("captured_on", days)):
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(
                place, rows.schema.field(name), values.cast(rows.schema.field(name).type)
            )
        return rows

    def _write_file(self, file: DataFile, rows: pa.Table) -> None:
        parts = []
        for partition, part in split(rows):
            if partition != self.partition and is_cut_off(partition, self.cutoffs):
                self.expired += part.num_rows
                continue
            if partition.day != self.partition.day:
                part = self._unknown(partition.day, part)
            if partition != self.partition and part.num_rows:
                self.moved[partition] = self.moved.get(partition, 0) + part.num_rows
            if part.num_rows:
                parts.append((partition, part))
        if self.table_name == READS.name:
            parts = self._with_images(parts)
        is_sorted = file.sort_order_id == SORTED
        for partition, part in parts:
            self.outputs.append(
                write_rows(
                    self.lake,
                    self.table_name,
                    part,
                    partition,
                    self.new_name(),
                    level=COMPACTED_LEVEL if is_sorted else STAGED_LEVEL,
                    sort_order=SORTED if is_sorted else None,
                )
            )

    def _unknown(self, day: int, rows: pa.Table) -> pa.Table:
        """Those whose id the day they move to lacks: the committer looks at one day only."""
        column = TABLES[self.table_name].id_column

        def look(table: Table) -> list[pa.Array]:
            return [
                read_rows(self.lake, file.file_path, [column])[column].combine_chunks()
                for file in live_files(table, day)
            ]

        known = look_at(self.lake, self.table_name, look)
        if not known:
            return rows
        kind = rows[column].type
        values = pa.concat_arrays([each.cast(kind) for each in known])
        fresh = rows.filter(pc.invert(pc.is_in(rows[column], values)))
        self.duplicates += rows.num_rows - fresh.num_rows
        return fresh

    def _with_images(
        self, parts: list[tuple[Partition, pa.Table]]
    ) -> list[tuple[Partition, pa.Table]]:
        """The same rows, pointing at packs of their own partition that hold nothing else."""
        lake = self.lake
        columns = [[part[name].to_pylist() for name in IMAGES] for _, part in parts]
        wanted: dict[str, list[tuple[int, int, int]]] = {}
        for number, lists in enumerate(columns):
            for image, refs in enumerate(lists):
                for row, ref in enumerate(refs):
                    if ref is not None and ref["pack"] in self.plan.packs:
                        wanted.setdefault(ref["pack"], []).append((number, image, row))
        writer = PackWriter(lake.store, lake.config.warehouse, new_name=self.new_name)
        for pack, places in sorted(wanted.items()):
            images = dict(walk(lake.store.read(f"{lake.config.warehouse}/{pack}")))
            for number, image, row in sorted(
                places, key=lambda p: columns[p[0]][p[1]][p[2]]["offset"]
            ):
                ref = columns[number][image][row]
                data = images.get(ref["offset"])
                if data is None or len(data) != ref["length"]:
                    raise Corrupt(f"{pack} has no image at byte {ref['offset']}, which a row names")
                partition = parts[number][0]
                new = writer.add(data, partition.retention_class, partition.date)
                columns[number][image][row] = new._asdict()
        writer.flush()  # before the rows: a row must never point at an image that is not there
        done = []
        for (partition, part), lists in zip(parts, columns, strict=True):
            for name, refs in zip(IMAGES, lists, strict=True):
                place = part.schema.get_field_index(name)
                kind = part.schema.field(name)
                part = part.set_column(place, kind, pa.array(refs, kind.type))
            done.append((partition, part))
        return done


def _replace(
    lake: Lake,
    table_name: str,
    partition: Partition,
    plan: _Plan,
    work: _Work,
    sleep: Callable[[float], None],
) -> None:
    def decide(table: Table) -> Change:
        _refuse_held(table, partition)
        live = {file.file_path: file for file in live_files(table, partition.day)}
        if any(file.file_path not in live for file in plan.inputs):
            raise _DecideAnew
        if any(is_cut_off(each, read_cutoffs(table)) for each in work.moved):
            raise _DecideAnew  # a purge closed the day that rows were to move to
        spec = table.metadata.default_spec_id

        def change(transaction: Transaction, summary: Summary) -> None:
            change_files(
                transaction,
                summary,
                add=[data_file(file, spec) for file in work.outputs],
                remove=[live[file.file_path] for file in plan.inputs],
            )

        return change

    swap(lake, table_name, REWRITE, decide, attempts=_ATTEMPTS, sleep=sleep)


def _are_live(
    lake: Lake,
    table_name: str,
    partition: Partition,
    plan: _Plan,
    sleep: Callable[[float], None],
) -> bool:
    def look(table: Table) -> bool:
        live = {file.file_path for file in live_files(table, partition.day)}
        return live >= {file.file_path for file in plan.inputs}

    return look_at(lake, table_name, look, sleep=sleep)


def _refuse_held(table: Table, partition: Partition) -> None:
    if partition in pinned(table):
        raise Held(
            f"{table.name()[-1]}/{partition.folder} has records that a hold is still to copy: "
            "see `platelake hold list`"
        )


def _refs(column: pa.ChunkedArray) -> Iterable[ImageRef]:
    whole = column.combine_chunks()
    for ref in whole.filter(whole.is_valid()).to_pylist():
        yield ImageRef(**ref)
