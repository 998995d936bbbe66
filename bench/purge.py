"""`python -m bench.purge`: does a purge take longer the more is kept?

For each number of kept files a lake of its own: three classes that keep 1,000, 365 and 90 days,
the kept files spread over all of these days. Then, day after day, the same amount ends: in each
class one day with some files of rows and a pack of images. Told are seconds a purge, by step,
and how they grow from the smallest lake to the largest. With `--beside`, a process lands rows
into the largest lake as fast as it can, alone and while a purge begins every 15 seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyiceberg.table import Table, Transaction

from alpr.retention import Period, Retention, RetentionClass
from bench.accounting import Machine
from bench.stack import ports_from
from catalog.commit import APPEND, Committer
from catalog.config import LakeConfig, S3Config
from catalog.files import live_files
from catalog.images import MAGIC, image_folder
from catalog.lake import Lake
from catalog.manifests import change_files
from catalog.parquet import ParquetFile, Partition, data_file
from catalog.query import connect
from catalog.retention.purge import PurgeReport, run_purge
from catalog.schemas import READS, TABLES
from catalog.staging import OffsetRange, StagedGroup, stage_table, write_rows
from catalog.swap import Change, Summary, swap

_CLASSES: Final = {"long": 1_000, "middle": 365, "short": 90}
_FIRST: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
_EPOCH: Final = date(1970, 1, 1)
_ROWS: Final = 10
_COMMIT_FILES: Final = 100
_THREADS: Final = 8
_LANDED_ROWS: Final = 5_000
_ALONE_S: Final = 30.0
_PURGE_EVERY_S: Final = 15.0
"""A service purges once an hour, and in most of these runs nothing has ended."""

_COMMIT_S: Final = 3.0
"""As job land by default."""

RETENTION: Final = Retention(
    {
        "bench": tuple(
            RetentionClass(
                name, "bench", frozenset({"read", "hit"}), Period(days=days), "UTC", "§ 1", "a test"
            )
            for name, days in _CLASSES.items()
        )
    },
    {},
    "bench",
)


@dataclass(frozen=True)
class Figures:
    """What purging one day costs beside so many kept files; medians over the days, in seconds."""

    store: str
    kept_files: int
    purges: int
    files_a_purge: int
    manifests: int
    seconds: float
    most_seconds: float
    steps: dict[str, float]


def measure(lake: Lake, store: str, kept: int, days: int, files: int) -> Figures:
    """Fill an empty lake, then purge day after day."""
    lake.retention = RETENTION
    lake.init()
    _fill(lake, kept, days, files)
    # The first run closes what lies before, and its cost is not that of a day.
    run_purge(lake, lambda: _FIRST)
    took: list[float] = []
    steps: dict[str, list[float]] = {}
    for number in range(1, days + 1):
        now = _FIRST + timedelta(days=number)
        begin = time.perf_counter()
        reports = run_purge(lake, lambda now=now: now)  # type: ignore[misc]
        took.append(time.perf_counter() - begin)
        _check(reports, files)
        for name, seconds in reports[-1].seconds.items():
            steps.setdefault(name, []).append(seconds)
    table = lake.table(READS.name)
    left = sum(1 for _ in live_files(table))
    if left != kept:
        raise AssertionError(f"{kept} files were to be kept, there are {left}")
    snapshot = table.current_snapshot()
    return Figures(
        store=store,
        kept_files=kept,
        purges=days,
        files_a_purge=files * len(_CLASSES),
        manifests=0 if snapshot is None else len(snapshot.manifests(table.io)),
        seconds=round(statistics.median(took), 3),
        most_seconds=round(max(took), 3),
        steps={name: round(statistics.median(each), 3) for name, each in steps.items()},
    )


@dataclass(frozen=True)
class Beside:
    """Landing alone, and while a purge begins every `_PURGE_EVERY_S` seconds, in rows a second."""

    store: str
    kept_files: int
    purges: int
    rows_landed: int
    alone: float
    beside: float
    purge_seconds: float
    most_purge_seconds: float


def measure_beside(lake: Lake, store: str, kept: int, days: int, files: int) -> Beside:
    """Fill an empty lake, land into it, and purge day after day meanwhile."""
    lake.retention = RETENTION
    lake.init()
    _fill(lake, kept, days, files)
    run_purge(lake, lambda: _FIRST)
    context = multiprocessing.get_context("spawn")
    landed, stop = context.Value("q", 0), context.Event()
    lander = context.Process(target=_land, args=(lake.config, landed, stop))
    lander.start()
    took: list[float] = []

    def purges() -> None:
        for number in range(1, days + 1):
            now = _FIRST + timedelta(days=number)
            begin = time.perf_counter()
            _check(run_purge(lake, lambda now=now: now), files)  # type: ignore[misc]
            took.append(time.perf_counter() - begin)
            time.sleep(max(0.0, _PURGE_EVERY_S - took[-1]))

    try:
        while not landed.value:  # the first commit warms it up
            if not lander.is_alive():
                raise AssertionError("landing ended by itself")
            time.sleep(0.1)
        alone = [_rate(landed, lambda: time.sleep(_ALONE_S))]
        beside = _rate(landed, purges)
        alone.append(_rate(landed, lambda: time.sleep(_ALONE_S)))
    finally:
        stop.set()
        lander.join()
    with connect(lake) as connection:
        counts = connection.execute(
            "SELECT count(*), count(DISTINCT read_id) FROM reads WHERE source_topic = 'bench'"
        ).fetchall()
    if counts != [(landed.value, landed.value)]:
        raise AssertionError(f"{landed.value} rows were landed, there are {counts}")
    return Beside(
        store=store,
        kept_files=kept,
        purges=days,
        rows_landed=landed.value,
        alone=round(statistics.mean(alone), 1),
        beside=round(beside, 1),
        purge_seconds=round(statistics.median(took), 3),
        most_purge_seconds=round(max(took), 3),
    )


def _rate(landed: Any, work: Callable[[], object]) -> float:
    begin, before = time.perf_counter(), landed.value
    work()
    return float((landed.value - before) / (time.perf_counter() - begin))


def _land(config: LakeConfig, landed: Any, stop: Event) -> None:
    """Stage rows of today without a pause, commit as often as the job does; `landed` counts."""
    lake = Lake(config)
    lake.retention = RETENTION
    owner = Committer(lake, READS.name, now=lambda: _FIRST)
    today = Partition((_FIRST.date() - _EPOCH).days + 2, "long")
    groups: list[StagedGroup] = []
    due = time.monotonic() + _COMMIT_S
    while not stop.is_set():
        first = landed.value + _LANDED_ROWS * len(groups)
        rows = _rows(
            today,
            _LANDED_ROWS,
            {
                "read_id": pa.array([os.urandom(16).hex() for _ in range(_LANDED_ROWS)]),
                "plate": pa.array([os.urandom(4).hex() for _ in range(_LANDED_ROWS)]),
                "source_topic": pa.array(["bench"] * _LANDED_ROWS),
                "source_offset": pa.array(range(first, first + _LANDED_ROWS)),
            },
        )
        covered = [OffsetRange("bench", 0, first, first + _LANDED_ROWS)]
        groups.append(stage_table(lake, READS, rows, covered, _FIRST))
        if time.monotonic() >= due:
            owner.commit(groups)
            landed.value += _LANDED_ROWS * len(groups)
            groups = []
            due = time.monotonic() + _COMMIT_S


def _check(reports: Sequence[PurgeReport], files: int) -> None:
    (report,) = reports
    gone = [(e.partition.retention_class, e.files, e.packs) for e in report.ended]
    if not report.ok or sorted(gone) != [(name, files, 1) for name in sorted(_CLASSES)]:
        raise AssertionError(f"one day of each class was to go: {gone}, ok: {report.ok}")


def _fill(lake: Lake, kept: int, days: int, files: int) -> None:
    """The kept files of every class, evenly over its days, and the days that are to end."""
    plan: list[Partition] = []
    share = kept // len(_CLASSES)
    for index, (name, period) in enumerate(_CLASSES.items()):
        count = share + (kept % len(_CLASSES) if index == 0 else 0)
        oldest = (_FIRST.date() - timedelta(days=period) - _EPOCH).days
        plan += [Partition(oldest + day, name) for day in range(days) for _ in range(files)]
        spread = period - days
        plan += [Partition(oldest + days + n * spread // count, name) for n in range(count)]
    plan.sort()
    for each in set(plan):
        folder = image_folder(each.retention_class, each.date)
        lake.store.write(f"{lake.config.warehouse}/{folder}/0.pack", MAGIC)
    with ThreadPoolExecutor(_THREADS) as pool:
        written = list(pool.map(lambda item: _write(lake, *item), enumerate(plan)))
    for first in range(0, len(written), _COMMIT_FILES):
        _commit(lake, written[first : first + _COMMIT_FILES])


def _write(lake: Lake, number: int, partition: Partition) -> ParquetFile:
    table = _rows(partition)
    return write_rows(lake, READS.name, table, partition, f"{number:06d}")


def _rows(
    partition: Partition, count: int = _ROWS, more: dict[str, pa.Array] | None = None
) -> pa.Table:
    """Rows of which the purge looks at nothing but their number, but for the columns `more`."""
    noon = (partition.day * 86_400 + 43_200) * 1_000_000
    values = {
        "captured_at": pa.array(np.full(count, noon)).cast(pa.timestamp("us", "UTC")),
        "captured_on": pa.array(np.full(count, partition.day, np.int32)).cast(pa.date32()),
        "retention_class": pa.array([partition.retention_class] * count),
    }
    values |= more or {}
    columns = [
        values[field.name].cast(field.type)
        if field.name in values
        else pa.array([_nothing(field.type)] * count, field.type)
        for field in READS.arrow
    ]
    return pa.table(columns, schema=READS.arrow)


def _nothing(kind: pa.DataType) -> object:
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return []
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ""
    return None if pa.types.is_struct(kind) else 0


def _commit(lake: Lake, files: Sequence[ParquetFile]) -> None:
    def decide(table: Table) -> Change:
        def change(transaction: Transaction, summary: Summary) -> None:
            spec = table.metadata.default_spec_id
            change_files(transaction, summary, add=[data_file(file, spec) for file in files])

        return change

    swap(lake, READS.name, APPEND, decide, attempts=1, sleep=time.sleep)


@contextmanager
def _folder(base: Path) -> Iterator[tuple[str, S3Config | None]]:
    yield f"file://{base}/lake", None


@contextmanager
def _minio(base: Path) -> Iterator[tuple[str, S3Config | None]]:
    from infra.provision import Provisioner
    from infra.services.minio import BUCKET, Minio
    from infra.settings import Profile, load

    settings = load(profile=Profile.FULL, home=base / "home", ports=ports_from(None))
    for folder in (settings.data_dir, settings.logs_dir, settings.run_dir, settings.secrets_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    minio = Minio(settings, Provisioner(settings))
    minio.start()
    try:
        yield f"s3://{BUCKET}/bench", S3Config(minio.endpoint, minio.user_file, minio.password_file)
    finally:
        minio.stop()


def main() -> None:
    """Measure, print Markdown, write JSON where told."""
    parser = argparse.ArgumentParser(prog="python -m bench.purge", description=__doc__)
    parser.add_argument("--kept", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--days", type=int, default=5, help="So many days end, one a purge.")
    parser.add_argument("--files", type=int, default=4, help="Files of a day and class that end.")
    parser.add_argument("--store", choices=("folder", "minio"), default="folder")
    parser.add_argument("--beside", action="store_true", help="Land rows meanwhile, and count.")
    parser.add_argument("--json", type=Path, help="Write the figures there.")
    arguments = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="bench-purge-"))
    found: list[Figures] = []
    beside: Beside | None = None
    try:
        with (_minio if arguments.store == "minio" else _folder)(base) as (warehouse, s3):
            for kept in arguments.kept:
                config = LakeConfig(f"sqlite:///{base}/{kept}.db", f"{warehouse}/{kept}", s3=s3)
                lake = Lake(config)
                figures = measure(lake, arguments.store, kept, arguments.days, arguments.files)
                lake.close()
                found.append(figures)
                print(json.dumps(asdict(figures)), flush=True)
            if arguments.beside:
                kept = max(arguments.kept)
                config = LakeConfig(f"sqlite:///{base}/beside.db", f"{warehouse}/beside", s3=s3)
                lake = Lake(config)
                beside = measure_beside(lake, arguments.store, kept, 4, arguments.files)
                lake.close()
                print(json.dumps(asdict(beside)), flush=True)
    finally:
        shutil.rmtree(base)
    print(markdown(found))
    if arguments.json:
        document = {
            "machine": asdict(Machine.here()),
            "tables": list(TABLES),
            "figures": [asdict(each) for each in found],
            "beside": None if beside is None else asdict(beside),
        }
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def markdown(found: Sequence[Figures]) -> str:
    """The figures as a table; the last column is the time beside the smallest lake's."""
    lines = [
        f"| files kept ({found[0].store}) | manifests | seconds a purge, median | most | times |",
        "|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {each.kept_files:,} | {each.manifests} | {each.seconds:.2f} | {each.most_seconds:.2f} "
        f"| {each.seconds / found[0].seconds:.2f} |"
        for each in found
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
