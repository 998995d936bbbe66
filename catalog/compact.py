"""Small files become large, sorted ones, beside the committer and without its epoch.

Landing makes a small file every few seconds. Compaction merges the files of a partition
into one sorted by (plate, time of capture), in which a look-up reads few pages. It takes
rows neither in nor out, so it can harm nobody: its swap fails if its input is no longer
there, and the committer simply tries again after it. Two compactions of one table would only
do each other's work again; so one holds a lock while it runs, and writes the lock's number into
the table with every merge: one that slept through its lease is fenced.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction

from alpr.errors import Corrupt
from catalog.commit import COMPACT
from catalog.cutoffs import is_cut_off, read_cutoffs
from catalog.files import fit, live_files, partition_of, read_rows
from catalog.lake import Lake
from catalog.manifests import change_files
from catalog.parquet import COMPACTED_LEVEL, ParquetFile, Partition, data_file
from catalog.retention.lock import Lock, held
from catalog.schemas import SORTED, TABLES
from catalog.staging import write_rows
from catalog.swap import Change, Summary, look_at, swap

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompactionPolicy:
    """When to merge.

    An open day (today, yesterday) is merged from `open_files` small files on, older days
    from `closed_files` on; one output has at most `max_rows` rows, which bounds memory to
    about 1 kB a row.
    """

    open_files: int = 16
    closed_files: int = 4
    max_rows: int = 2_000_000

    def __post_init__(self) -> None:
        if min(self.open_files, self.closed_files, self.max_rows) < 2:
            raise ValueError(f"a merge needs at least two files and rows: {self}")


@dataclass(frozen=True)
class Compacted:
    """One merge that was committed."""

    partition: Partition
    files: int
    rows: int
    bytes_before: int
    bytes_after: int
    attempts: int
    seconds: float


class _InputsGone(Exception):
    """Files of a merge were taken out of the table while it ran, or their day was closed."""


def plan_compaction(
    files: Iterable[DataFile], policy: CompactionPolicy, today: date
) -> list[tuple[Partition, list[DataFile]]]:
    """Which files to merge, partition by partition.

    On an open day a file is merged again only with at least as many rows from smaller
    files, so that each row is rewritten about log2(rows a day / rows a file) times.
    """
    by_partition: dict[Partition, list[DataFile]] = {}
    for file in files:
        by_partition.setdefault(partition_of(file), []).append(file)
    plan = []
    for partition, found in sorted(by_partition.items()):
        is_open = partition.date >= today - timedelta(days=1)
        chosen: list[DataFile] = []
        rows = 0
        for file in sorted(found, key=lambda f: f.record_count):
            if rows + file.record_count > policy.max_rows:
                break
            if is_open and len(chosen) >= policy.open_files and file.record_count > rows:
                break
            chosen.append(file)
            rows += file.record_count
        if len(chosen) >= (policy.open_files if is_open else policy.closed_files):
            plan.append((partition, chosen))
    return plan


def compact(
    lake: Lake,
    table_name: str,
    today: date,
    policy: CompactionPolicy | None = None,
    *,
    attempts: int = 20,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
    new_name: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> list[Compacted]:
    """Merge what the policy says, one swap a partition; what was done.

    A partition whose files are taken away meanwhile (a purge) is left alone. Raises
    Unavailable if another compaction of the table runs, or catalogue or store do not answer,
    Corrupt if a file is not whole, Fenced if this one was silent for so long that another began.
    """
    with held(lake, lock_of(table_name), new_name(), now) as lock:
        return _compact(
            lake, table_name, today, policy or CompactionPolicy(), lock, attempts, clock, sleep,
            new_name,
        )  # fmt: skip


def lock_of(table_name: str) -> str:
    """The name of the lock under which a table is compacted."""
    return f"compact.{table_name}"


def _compact(
    lake: Lake,
    table_name: str,
    today: date,
    policy: CompactionPolicy,
    lock: Lock,
    attempts: int,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    new_name: Callable[[], str],
) -> list[Compacted]:
    done = []

    def look(table: Table) -> list[tuple[Partition, list[DataFile]]]:
        cutoffs = read_cutoffs(table)
        # What is closed and still there is held; the purge takes what lies there besides.
        open_days = (f for f in live_files(table) if not is_cut_off(partition_of(f), cutoffs))
        return plan_compaction(open_days, policy, today)

    plan = look_at(lake, table_name, look, sleep=sleep)
    for partition, files in plan:
        started = clock()
        lock.renew()
        try:
            output = _merge(lake, table_name, partition, files, new_name())
            tries = _replace(lake, table_name, files, output, lock, attempts, sleep)
        except _InputsGone:
            # The output is left to the sweep, which knows for certain that nothing names it.
            log.info("compaction of %s/%s: its files are gone", table_name, partition.folder)
            continue
        before = sum(file.file_size_in_bytes for file in files)
        seconds = clock() - started
        done.append(
            Compacted(partition, len(files), output.rows, before, output.size, tries, seconds)
        )
    return done


def _merge(
    lake: Lake, table_name: str, partition: Partition, files: Sequence[DataFile], name: str
) -> ParquetFile:
    schema = TABLES[table_name].arrow
    try:
        rows = pa.concat_tables(fit(read_rows(lake, file.file_path), schema) for file in files)
    except Corrupt as error:
        if _are_live(lake, table_name, partition, files):
            raise
        raise _InputsGone from error
    expected = sum(file.record_count for file in files)
    if rows.num_rows != expected:
        raise Corrupt(
            f"{table_name}/{partition.folder}: the catalogue says {expected} rows, "
            f"the files hold {rows.num_rows}"
        )
    rows = rows.sort_by([("plate", "ascending"), ("captured_at", "ascending")])
    return write_rows(
        lake, table_name, rows, partition, name, level=COMPACTED_LEVEL, sort_order=SORTED
    )


def _are_live(lake: Lake, table_name: str, partition: Partition, files: Sequence[DataFile]) -> bool:
    """Whether the table still has all of these files of a partition."""
    live = look_at(
        lake, table_name, lambda table: {f.file_path for f in live_files(table, partition.day)}
    )
    return all(file.file_path in live for file in files)


def _replace(
    lake: Lake,
    table_name: str,
    inputs: Sequence[DataFile],
    output: ParquetFile,
    lock: Lock,
    attempts: int,
    sleep: Callable[[float], None],
) -> int:
    """Swap the output in for its inputs; number of attempts. Raises _InputsGone, Fenced."""

    def decide(table: Table) -> Change:
        lock.check(table)
        live = {file.file_path: file for file in live_files(table, output.partition.day)}
        closed = is_cut_off(output.partition, read_cutoffs(table))
        if closed or any(file.file_path not in live for file in inputs):
            raise _InputsGone

        def change(transaction: Transaction, summary: Summary) -> None:
            transaction.set_properties({lock.property: str(lock.token)})
            change_files(
                transaction,
                summary,
                add=[data_file(output, table.metadata.default_spec_id)],
                remove=[live[file.file_path] for file in inputs],
            )

        return change

    return swap(lake, table_name, COMPACT, decide, attempts=attempts, sleep=sleep).attempts
