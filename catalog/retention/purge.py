"""The purge: what has come to its end is taken out of the tables, and its bytes out of the store.

    lock, fence ─▶ finish what a dead run began ─▶ copy what is held ─▶ per table:
      journal ─▶ swap: partitions out, cut-offs on ─▶ old states end ─▶ objects deleted ─▶
      looked for again ─▶ certified ─▶ journal forgotten

It can be killed anywhere and run again: before a swap nothing has happened, after it the journal
says what is still to be done, and everything after the swap can be done twice. Landing and
compaction go on beside it: whoever loses a swap decides anew, and nothing can land in a day
that the cut-offs, set in the same swap, have closed.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction

from alpr.retention import Retention
from catalog.commit import PURGE
from catalog.cutoffs import as_properties, is_cut_off, read_cutoffs
from catalog.files import files_before, partition_of
from catalog.lake import Lake
from catalog.lookup.index import drop_days
from catalog.manifests import change_files
from catalog.parquet import Partition
from catalog.retention import journal
from catalog.retention.bucket import give_up, uploads
from catalog.retention.erase import forget_history
from catalog.retention.evidence import Erased, Unfinished, complete_pending, purge_evidence
from catalog.retention.interlock import pending_holds, pinned
from catalog.retention.journal import Part, Taken
from catalog.retention.lock import Lock, held
from catalog.retention.remains import (
    classes_of,
    image_partitions,
    packs_of,
    partition_in,
    row_partitions,
    rows_of,
)
from catalog.schemas import READS, TABLES
from catalog.swap import Change, Summary, swap
from catalog.sweep import metadata_of

LOCK = "purge"

_PARTITIONS = 1_000
"""Taken out in one swap, which bounds a part of the journal."""

_DELETED_AT_ONCE = 5_000

_UPLOAD = timedelta(hours=1)
"""Longer than any upload takes."""

_ATTEMPTS = 30

OnStep = Callable[[str], None]
"""Told the name of each step when it begins."""

Renew = Callable[[], None]
"""To be called by long work from time to time, so that the run's lease does not lapse."""


def _silent(_: str) -> None:
    return None


@dataclass(frozen=True)
class Ended:
    """What went of one table, class and local day. `uris`: (address, bytes) of all of it."""

    table: str
    partition: Partition
    rows: int
    files: int
    bytes: int
    packs: int
    pack_bytes: int
    uris: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class PurgeReport:
    """What one run did, for its certificate.

    `judged_at`: what had ended by then had to go. `cutoffs`: per table before and after.
    `others`: what else was deleted, by kind. `respected`: per hold that is still to be copied
    the partitions that stay because of it. `evidence`: copies of holds that have ended.
    `unfinished`: holds that could not be copied, `unknown_classes`: stored classes that no policy
    has, of which nothing goes; `remaining`: addresses that were deleted and are still there.
    `resumed`: the run finished what a killed one had begun.
    """

    run_id: str
    started_at: datetime
    finished_at: datetime
    judged_at: datetime
    ended: tuple[Ended, ...]
    cutoffs: Mapping[str, tuple[Mapping[str, date], Mapping[str, date]]]
    others: Mapping[str, int]
    respected: Mapping[str, frozenset[Partition]]
    evidence: tuple[Erased, ...]
    unfinished: tuple[Unfinished, ...]
    unknown_classes: tuple[str, ...]
    remaining: tuple[str, ...]
    resumed: bool
    seconds: Mapping[str, float]

    @property
    def ok(self) -> bool:
        """Whether everything that had ended is gone, and nothing is left to be asked about."""
        return not (self.remaining or self.unknown_classes or self.unfinished)


@dataclass
class _Run:
    """What a run is about, and what it has learnt."""

    lake: Lake
    lock: Lock
    run_id: str
    started_at: datetime
    judged_at: datetime
    sleep: Callable[[float], None]
    on_step: OnStep
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    _since: tuple[str, float] | None = None

    def step(self, name: str) -> None:
        """A step begins: the lease is renewed, and Fenced raised if it was lost."""
        self.end_step()
        self.lock.renew()
        self.on_step(name)
        self._since = (name, self.clock())

    def end_step(self) -> None:
        if self._since is not None:
            name, since = self._since
            self.seconds[name] = self.seconds.get(name, 0.0) + self.clock() - since
        self._since = None


def run_purge(
    lake: Lake,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    *,
    certify: Callable[[PurgeReport, Renew], object] = lambda *_: None,
    on_step: OnStep = _silent,
    sleep: Callable[[float], None] = time.sleep,
    new_run: Callable[[], str] = lambda: uuid.uuid4().hex,
) -> list[PurgeReport]:
    """Purge everything that has ended; a report a run: the resumed ones first, this one last.

    `certify` gets each report before its journal is forgotten: if it fails, the next run
    certifies again. Raises Unavailable if a purge already runs, or catalogue or store do not
    answer; Fenced if another run took over; Corrupt if a journal cannot be read. Safe to call
    again in every case.
    """
    run_id = new_run()
    with held(lake, LOCK, run_id, now) as lock:
        run = _Run(lake, lock, run_id, now(), now(), sleep, on_step)
        lake.store.check(lake.config.warehouse)  # a versioned bucket would keep what is deleted
        run.step("fence")
        for name in TABLES:
            _fence(run, name)
        reports = []
        for dead, parts in journal.runs(lake).items():
            first = parts[0]
            again = _Run(lake, lock, dead, first.started_at, first.judged_at, sleep, on_step)
            reports.append(_finish(again, now, certify, (), resumed=True))
        run.step("holds")
        unfinished = tuple(complete_pending(lake, run.judged_at, sleep=sleep))
        for name in TABLES:
            _take_out(run, name)
        reports.append(_finish(run, now, certify, unfinished, resumed=False))
        return reports


def due(lake: Lake, table: Table, judged_at: datetime) -> dict[Partition, list[DataFile]]:
    """The partitions of a table that have ended and are not held, each with its files."""
    kept = pinned(table)
    found: dict[Partition, list[DataFile]] = {}
    for file in files_before(table, cutoffs_at(lake.retention, judged_at)):
        partition = partition_of(file)
        if partition not in kept:
            found.setdefault(partition, []).append(file)
    return dict(sorted(found.items()))


def cutoffs_at(retention: Retention, judged_at: datetime) -> dict[str, date]:
    """Per class the first local day that is still kept at a moment."""
    return {name: each.cutoff(judged_at) for name, each in retention.classes.items()}


def _fence(run: _Run, table_name: str) -> None:
    """Write the lock's number into the table: a run with a lower one can change it no more."""

    def decide(table: Table) -> Change:
        run.lock.check(table)

        def change(transaction: Transaction, summary: Summary) -> None:
            transaction.set_properties({run.lock.property: str(run.lock.token)})
            with transaction.update_snapshot(summary).fast_append():
                pass

        return change

    swap(run.lake, table_name, PURGE, decide, attempts=_ATTEMPTS, sleep=run.sleep)


def _take_out(run: _Run, table_name: str) -> None:
    """Take the partitions that have ended out of a table, so many a swap."""
    number, more = 0, True
    while more:
        number += 1
        run.step(f"take-out {table_name}")
        more = _take_out_some(run, table_name, number)


def _take_out_some(run: _Run, table_name: str, number: int) -> bool:
    """One swap; whether there is more to do."""
    more: list[bool] = []

    def decide(table: Table) -> Change | None:
        run.lock.check(table)
        before = read_cutoffs(table)
        every = due(run.lake, table, run.judged_at)
        chosen = list(every)[:_PARTITIONS]
        more.append(len(every) > len(chosen))
        goal = cutoffs_at(run.lake.retention, run.judged_at)
        if more[-1]:  # days go in their order: move up to the first that has to wait
            first = list(every)[_PARTITIONS].date
            goal = {name: min(day, first) for name, day in goal.items()}
        # A policy that is longer than it was does not bring back what is gone.
        goal = before | {name: max(day, before.get(name, day)) for name, day in goal.items()}
        files = [file for partition in chosen for file in every[partition]]
        part = Part(
            run_id=run.run_id,
            number=number,
            table=table_name,
            started_at=run.started_at,
            judged_at=run.judged_at,
            before=before,
            cutoffs=goal,
            files=tuple(
                _taken(partition_of(f), f.file_path, f.file_size_in_bytes, f.record_count)
                for f in files
            ),
            packs=tuple(
                _taken(partition, pack.uri, pack.size, 0)
                for partition, pack in packs_of(run.lake, chosen)
            )
            if table_name == READS.name
            else (),
        )
        journal.write(run.lake, part)
        run.on_step(f"swap {table_name} {number}")

        def change(transaction: Transaction, summary: Summary) -> None:
            transaction.set_properties(as_properties(goal) | part.as_property)
            change_files(transaction, summary, remove=files, split=bool(files))

        return change

    swap(run.lake, table_name, PURGE, decide, attempts=_ATTEMPTS, sleep=run.sleep)
    return more[-1]


def _forget(run: _Run, table_name: str) -> tuple[Table, set[str]]:
    """End the table's old states, which still name what is gone; the files that are dead now.

    A commit on its way fails when the head moves, and writes its metadata anew. So what lay
    there before this swap, and is not named after it, never will be: no age needs to be waited for.

    Whoever reads an old state at this moment will miss its files. So it is only done when
    something went; what is left over otherwise, by a commit that failed, is for the sweep.
    """
    lake, lying = run.lake, set[str]()

    def look(table: Table) -> None:
        run.lock.check(table)
        lying.clear()
        lying.update(item.uri for item in lake.store.list(f"{table.location()}/metadata"))

    run.step(f"forget {table_name}")
    table = forget_history(lake, table_name, PURGE, seen=look, sleep=run.sleep)
    return table, lying - metadata_of(table)


def _finish(
    run: _Run,
    now: Callable[[], datetime],
    certify: Callable[[PurgeReport, Renew], object],
    unfinished: tuple[Unfinished, ...],
    *,
    resumed: bool,
) -> PurgeReport:
    """Delete what the run's swaps took out, look for it again, certify, forget the journal."""
    lake = run.lake
    written = journal.runs(lake).get(run.run_id, [])
    states = {name: lake.table(name) for name in TABLES}
    landed = [part for part in written if part.landed(states[part.table])]
    others: dict[str, int] = {}
    remaining: list[str] = []
    unknown: set[str] = set()
    for name in TABLES:
        own = [part for part in landed if part.table == name]
        table, dead = lake.table(name), set[str]()
        if any(part.files for part in own):
            table, dead = _forget(run, name)
        run.step(f"delete {name}")
        if name == READS.name:
            drop_days(lake, partial(is_cut_off, cutoffs=read_cutoffs(table)))
        remaining += _delete(run, table, own, dead, others)
        unknown |= classes_of(lake, name)
    run.step("uploads")
    others["uploads"] = _give_up(run)
    run.step("evidence")
    evidence = tuple(purge_evidence(lake, run.judged_at, sleep=run.sleep))
    run.end_step()
    tables = {name: lake.table(name) for name in TABLES}
    report = PurgeReport(
        run_id=run.run_id,
        started_at=run.started_at,
        finished_at=now(),
        judged_at=run.judged_at,
        ended=tuple(_ended(landed)),
        cutoffs={
            part.table: (part.before, read_cutoffs(tables[part.table]))
            for part in reversed(landed)  # of several swaps the first one's are those before
        },
        others=others,
        respected={
            hold: partitions
            for table in tables.values()
            for hold, partitions in pending_holds(table).items()
        },
        evidence=evidence,
        unfinished=unfinished,
        unknown_classes=tuple(sorted(unknown - set(lake.retention.classes))),
        remaining=tuple(remaining),
        resumed=resumed,
        seconds={name: round(took, 3) for name, took in run.seconds.items()},
    )
    run.on_step("certify")
    certify(report, run.lock.renew)
    run.on_step("finish")
    journal.finish(lake, run.run_id)
    return report


def _delete(
    run: _Run, table: Table, parts: Sequence[Part], dead: set[str], others: dict[str, int]
) -> list[str]:
    """Delete the bytes of what was taken out; the addresses that are there nevertheless."""
    lake, name, cutoffs = run.lake, table.name()[-1], read_cutoffs(table)
    taken = {item.uri for part in parts for item in (*part.files, *part.packs)}
    # Held partitions of closed days are still the table's: everything in them stays.
    kept = pinned(table) | {partition_of(file) for file in files_before(table, cutoffs)}

    def closed(partition: Partition) -> bool:
        return is_cut_off(partition, cutoffs) and partition not in kept

    # Whatever else lies in a closed day: staged for a commit that never was, and can be no more.
    gone = [partition for partition in row_partitions(lake, name, cutoffs) if closed(partition)]
    strays = {item.uri for item in rows_of(lake, name, gone)} - taken
    pictures: list[Partition] = []
    if name == READS.name:
        pictures = [partition for partition in image_partitions(lake, cutoffs) if closed(partition)]
        strays |= {item.uri for _, item in packs_of(lake, pictures)} - taken
    for kind, uris in (("taken", taken), ("strays", strays), ("metadata", dead)):
        _delete_all(run, uris)
        if kind != "taken":
            others[kind] = others.get(kind, 0) + len(uris)
    left = {item.uri for item in rows_of(lake, name, gone)}
    left |= {item.uri for _, item in packs_of(lake, pictures)}
    left |= dead & {item.uri for item in lake.store.list(f"{table.location()}/metadata")}
    return sorted(left)


def _give_up(run: _Run) -> int:
    """End uploads that nobody goes on with: into closed days, or begun long ago; how many."""
    tables = [run.lake.table(name) for name in TABLES]

    def closed(partition: Partition | None) -> bool:
        return partition is not None and all(
            is_cut_off(partition, read_cutoffs(table)) and partition not in pinned(table)
            for table in tables
        )

    left = [
        each
        for each in uploads(run.lake)
        if closed(partition_in(each.uri)) or each.begun <= run.judged_at - _UPLOAD
    ]
    give_up(run.lake, left)
    return len(left)


def _delete_all(run: _Run, uris: Iterable[str]) -> None:
    """Delete objects, with a sign of life now and then: a million of them take half an hour."""
    due = sorted(uris)
    for first in range(0, len(due), _DELETED_AT_ONCE):
        run.lake.store.delete(due[first : first + _DELETED_AT_ONCE])
        run.lock.renew()


def _taken(partition: Partition, uri: str, size: int, rows: int) -> Taken:
    return Taken(
        uri=uri,
        day=partition.date,
        retention_class=partition.retention_class,
        rows=rows,
        bytes=size,
    )


def _ended(parts: Iterable[Part]) -> Iterator[Ended]:
    by_partition: dict[tuple[str, date, str], tuple[list[Taken], list[Taken]]] = {}
    for part in parts:
        for number, items in enumerate((part.files, part.packs)):
            for item in items:
                key = (part.table, item.day, item.retention_class)
                by_partition.setdefault(key, ([], []))[number].append(item)
    epoch = date(1970, 1, 1)
    for (table, day, name), (files, packs) in sorted(by_partition.items()):
        yield Ended(
            table=table,
            partition=Partition((day - epoch).days, name),
            rows=sum(item.rows for item in files),
            files=len(files),
            bytes=sum(item.bytes for item in files),
            packs=len(packs),
            pack_bytes=sum(item.bytes for item in packs),
            uris=tuple(sorted((item.uri, item.bytes) for item in (*files, *packs))),
        )
