"""The one committer of a table: rows and offsets in one swap, exactly once.

What makes it exactly once:
- **one owner**: starting a committer raises the table's epoch; an earlier one is fenced;
- **offsets in the table**: what a replay brings again below them is trimmed by row;
- **ids in the table**: a row whose id is there already (the sender sent it twice, under
  two offsets) is dropped, as is the second of two in one commit.

A crash before the swap leaves orphaned files and the old offsets; after it, the new
offsets. Both resume right without anything being remembered elsewhere.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table, Transaction

from alpr.errors import Corrupt, Fenced
from catalog.cutoffs import is_cut_off, read_cutoffs
from catalog.files import fit, live_files, read_rows
from catalog.idindex import IdIndex, Ids, id_bytes
from catalog.lake import Lake
from catalog.manifests import change_files
from catalog.offsets import (
    OffsetGap,
    Offsets,
    Source,
    advance,
    as_properties,
    check_covered,
    contiguous,
    gap_before,
    read_offsets,
)
from catalog.parquet import ParquetFile, data_file
from catalog.schemas import TABLES
from catalog.staging import StagedFile, StagedGroup, write_rows
from catalog.swap import Change, Summary, Swapped, head, operations_since, swap

log = logging.getLogger(__name__)

EPOCH = "platelake.epoch"
APPEND, COMPACT, FENCE, OFFSETS, PURGE = "append", "compact", "fence", "offsets", "purge"
HOLD = "hold"

_SAME_IDS = {COMPACT, FENCE, HOLD, OFFSETS, PURGE}
"""Operations after which a table holds the same ids as before, of days that it may hold."""

_TRUSTED_AGE = timedelta(hours=1)
"""Files staged longer ago may have been swept as orphans (see `catalog.sweep`): look first."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CommitResult:
    """What one commit did.

    `rows` came in; `replayed` were dropped because their offsets were committed already,
    `expired` because their day has been purged, `duplicates` because their id was there.
    `rewritten` files were replaced by ones without such rows. `snapshot_id` is None if there
    was nothing to change. `offsets`: next per source.
    """

    rows: int
    replayed: int
    expired: int
    duplicates: int
    files: int
    rewritten: int
    snapshot_id: int | None
    attempts: int
    seconds: float
    offsets: Offsets


@dataclass
class _Plan:
    offsets: dict[Source, int]
    files: list[ParquetFile] = field(default_factory=list)
    rows: int = 0
    replayed: int = 0
    expired: int = 0
    duplicates: int = 0
    rewritten: int = 0
    ids: dict[int, Ids] = field(default_factory=dict)


class Committer:
    """Commits to one table. Constructing it takes the table over; not for use by two threads.

    `starts`: first offset of partitions the table has not heard of (a topic whose first
    messages have expired does not start at 0); for others it is ignored.
    `index_bytes`: memory for the id index (16 bytes an id; a single day is always held).
    Raises Unavailable if catalogue or store do not answer.
    """

    def __init__(
        self,
        lake: Lake,
        table_name: str,
        *,
        starts: Offsets | None = None,
        index_bytes: int = 1_000_000_000,
        attempts: int = 10,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
        new_name: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._lake = lake
        self._definition = TABLES[table_name]
        self._attempts = attempts
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._new_name = new_name
        self._index = IdIndex(self._load_ids, index_bytes)
        self._table, self.epoch = self._take_over(starts or {})
        self._indexed = head(self._table)

    @property
    def offsets(self) -> dict[Source, int]:
        """Next offset per source, as of the last commit."""
        return read_offsets(self._table)

    def commit(self, groups: Sequence[StagedGroup]) -> CommitResult:
        """Add the rows of all groups, in one snapshot.

        Raises Fenced if another committer took over, OffsetGap if offsets are missing
        before a group (use `contiguous` first), ValueError if a group is malformed,
        Corrupt if a file was staged so long ago that it has been swept (start the job without
        its old state: it goes on at the table's offsets),
        Unavailable if catalogue or store do not answer. After Unavailable the commit may
        or may not have landed: committing the same groups again is right in both cases.
        """
        started = self._clock()
        check_covered(groups, self._definition.name)
        plans: list[_Plan] = []
        rewritten: dict[tuple[str, bytes], ParquetFile] = {}

        def decide(table: Table) -> Change | None:
            self._adopt(table)
            plan = self._plan(table, groups, rewritten)
            plans.append(plan)
            if not plan.files and plan.offsets == read_offsets(table):
                return None
            return lambda transaction, summary: self._append(transaction, summary, plan)

        done = self._swap(APPEND, decide)
        plan = plans[-1]
        self._table = done.table
        if done.snapshot_id is not None:
            self._indexed = done.snapshot_id
            for day, ids in plan.ids.items():
                self._index.add(day, ids)
        return CommitResult(
            rows=plan.rows,
            replayed=plan.replayed,
            expired=plan.expired,
            duplicates=plan.duplicates,
            files=len(plan.files),
            rewritten=plan.rewritten,
            snapshot_id=done.snapshot_id,
            attempts=done.attempts,
            seconds=self._clock() - started,
            offsets=plan.offsets,
        )

    def move_offset(self, source: Source, offset: int, reason: str) -> None:
        """An operator's decision: go on at `offset`, though what lies between never came.

        For messages the broker lost, or a topic made anew. The reason stays in the
        snapshot's summary and the log. Raises as `commit` does.
        """

        def decide(table: Table) -> Change:
            self._adopt(table)

            def change(transaction: Transaction, summary: Summary) -> None:
                transaction.set_properties(as_properties({source: offset}))
                with transaction.update_snapshot(
                    summary | {"platelake.reason": reason}
                ).fast_append():
                    pass

            return change

        log.warning("%s/%d: offset moved to %d: %s", *source, offset, reason)
        self._table = self._swap(OFFSETS, decide).table

    def _take_over(self, starts: Offsets) -> tuple[Table, int]:
        epochs: list[int] = []

        def decide(table: Table) -> Change:
            epoch = int(table.properties.get(EPOCH, "0")) + 1
            epochs.append(epoch)
            known = read_offsets(table)
            new = {source: start for source, start in starts.items() if source not in known}

            def change(transaction: Transaction, summary: Summary) -> None:
                transaction.set_properties({EPOCH: str(epoch)} | as_properties(new))
                # The empty append is what fences: properties alone change no snapshot, and
                # a predecessor's commit in flight would still succeed.
                with transaction.update_snapshot(summary).fast_append():
                    pass

            return change

        return self._swap(FENCE, decide).table, epochs[-1]

    def _adopt(self, table: Table) -> None:
        epoch = int(table.properties.get(EPOCH, "0"))
        if epoch != self.epoch:
            raise Fenced(
                f"table {self._definition.identifier} is owned by epoch {epoch}, this committer "
                f"has {self.epoch}: a newer committer runs, stop this one"
            )
        between = operations_since(table, self._indexed)
        if between is None or not set(between) <= _SAME_IDS:
            self._index.forget()
        self._indexed = head(table)
        self._table = table

    def _plan(
        self,
        table: Table,
        groups: Sequence[StagedGroup],
        rewritten: dict[tuple[str, bytes], ParquetFile],
    ) -> _Plan:
        offsets = read_offsets(table)
        cutoffs = read_cutoffs(table)
        ready, waiting = contiguous(groups, offsets)
        plan = _Plan(offsets=offsets)
        kept: list[tuple[StagedFile, Mask]] = []
        for group in ready:
            for staged in group.files:
                mask = self._above(staged, offsets)
                if mask.any() and self._now() - group.staged_at > _TRUSTED_AGE:
                    self._require(staged)
                plan.rows += staged.file.rows
                plan.replayed += int(len(mask) - mask.sum())
                if is_cut_off(staged.file.partition, cutoffs):
                    plan.expired += int(mask.sum())
                    continue
                kept.append((staged, mask))
            advance(offsets, group)
        if waiting:
            raise OffsetGap(f"{self._definition.name}: {gap_before(waiting[0], offsets)}")
        self._drop_known(kept, plan)
        for staged, mask in kept:
            if mask.all():
                plan.files.append(staged.file)
            elif mask.any():
                plan.files.append(self._without(staged, mask, rewritten))
                plan.rewritten += 1
        return plan

    def _above(self, staged: StagedFile, offsets: Offsets) -> Mask:
        """Which rows of a file lie at or above what is committed."""
        bounds = {
            source: offsets.get(source, 0)
            for source in (Source(span.topic, span.partition) for span in staged.spans)
        }
        if all(span.first >= bounds[Source(span.topic, span.partition)] for span in staged.spans):
            return np.ones(staged.file.rows, np.bool_)
        if all(span.next <= bounds[Source(span.topic, span.partition)] for span in staged.spans):
            return np.zeros(staged.file.rows, np.bool_)
        rows = read_rows(
            self._lake, staged.file.uri, ["source_topic", "source_partition", "source_offset"]
        )
        partitions = rows["source_partition"].to_numpy()
        above = np.zeros(staged.file.rows, np.bool_)
        for source, bound in bounds.items():
            own = (partitions == source.partition) & pc.equal(
                rows["source_topic"], source.topic
            ).to_numpy()
            above |= own & (rows["source_offset"].to_numpy() >= bound)
        return above

    def _require(self, staged: StagedFile) -> None:
        if not self._lake.store.exists(staged.file.uri):
            raise Corrupt(
                f"{staged.file.uri} was staged long ago and is gone: start the job without its "
                "old state, it goes on at the offsets of the table"
            )

    def _drop_known(self, kept: list[tuple[StagedFile, Mask]], plan: _Plan) -> None:
        """Clear from the masks what the table, or an earlier row of this commit, has already."""
        days: dict[int, list[tuple[StagedFile, Mask]]] = {}
        for staged, mask in kept:
            if mask.any():
                days.setdefault(staged.file.partition.day, []).append((staged, mask))
        for day, parts in days.items():
            ids = Ids.join(Ids.of(staged.ids).where(mask) for staged, mask in parts)
            fresh = ~(self._index.contains(day, ids) | ids.repeated())
            plan.ids[day] = ids.where(fresh)
            plan.duplicates += int(len(ids) - fresh.sum())
            position = 0
            for _, mask in parts:
                count = int(mask.sum())
                mask[mask] = fresh[position : position + count]
                position += count

    def _without(
        self, staged: StagedFile, mask: Mask, done: dict[tuple[str, bytes], ParquetFile]
    ) -> ParquetFile:
        """A file with only the rows that `mask` marks; the old one is left to the sweep.

        It must not be deleted here: a replayed group may name a file that is in the table.
        """
        key = (staged.file.uri, mask.tobytes())
        if key not in done:
            rows = read_rows(self._lake, staged.file.uri).filter(pa.array(mask))
            done[key] = write_rows(
                self._lake,
                self._definition.name,
                fit(rows, self._definition.arrow),
                staged.file.partition,
                self._new_name(),
            )
        return done[key]

    def _append(self, transaction: Transaction, summary: Summary, plan: _Plan) -> None:
        transaction.set_properties(as_properties(plan.offsets))
        spec = transaction.table_metadata.default_spec_id
        change_files(
            transaction,
            summary | {EPOCH: str(self.epoch)},
            add=[data_file(file, spec) for file in plan.files],
        )

    def _load_ids(self, day: int) -> Ids:
        column = self._definition.id_column
        return Ids.join(
            Ids.of(id_bytes(read_rows(self._lake, file.file_path, [column])[column]))
            for file in live_files(self._table, day)
        )

    def _swap(self, operation: str, decide: Callable[[Table], Change | None]) -> Swapped:
        return swap(
            self._lake,
            self._definition.name,
            operation,
            decide,
            attempts=self._attempts,
            sleep=self._sleep,
        )
