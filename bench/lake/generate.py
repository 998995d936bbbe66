"""`python -m bench.lake.generate --home DIR`: a year of reads, as compaction leaves them."""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from pyiceberg.table import Table, Transaction
from rich.console import Console
from rich.progress import Progress

from bench.lake.home import lake_at
from bench.lake.reads import World, day_of_reads
from catalog.commit import APPEND
from catalog.files import live_files, partition_of
from catalog.lake import Lake
from catalog.manifests import change_files
from catalog.parquet import COMPACTED_LEVEL, ParquetFile, data_file
from catalog.schemas import SORTED
from catalog.staging import split, write_rows
from catalog.swap import Change, Summary, swap

LAST_DAY = date(2026, 11, 23)
_DAYS_A_COMMIT = 10


def generate(lake: Lake, world: World, days: list[date]) -> Iterator[tuple[date, int]]:
    """Write the days that are not there yet, some a commit; each with its rows when committed."""
    present = {partition_of(file).date for file in live_files(lake.table("reads"))}
    waiting: list[tuple[date, list[ParquetFile]]] = []
    for day in days:
        if day in present:
            continue
        waiting.append((day, _write(lake, day_of_reads(world, day))))
        if len(waiting) == _DAYS_A_COMMIT or day == days[-1]:
            _commit(lake, [file for _, files in waiting for file in files])
            yield from ((done, sum(f.rows for f in files)) for done, files in waiting)
            waiting = []


def _write(lake: Lake, rows: pa.Table) -> list[ParquetFile]:
    order = [("plate", "ascending"), ("captured_at", "ascending")]
    return [
        write_rows(
            lake,
            "reads",
            part.sort_by(order),
            partition,
            str(uuid.uuid4()),
            level=COMPACTED_LEVEL,
            sort_order=SORTED,
        )
        for partition, part in split(rows)
    ]


def _commit(lake: Lake, files: list[ParquetFile]) -> None:
    def decide(table: Table) -> Change:
        def change(transaction: Transaction, summary: Summary) -> None:
            spec = table.metadata.default_spec_id
            change_files(transaction, summary, add=[data_file(file, spec) for file in files])

        return change

    swap(lake, "reads", APPEND, decide, attempts=3, sleep=time.sleep)


def main() -> None:
    """Generate, with a progress bar; what is there already stays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder of stores and lake")
    parser.add_argument("--days", type=int, default=366)
    parser.add_argument("--reads", type=int, default=World.reads, help="a day on average")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    days = [LAST_DAY - timedelta(days=n) for n in reversed(range(options.days))]
    world = World(seed=options.seed, reads=options.reads)
    with lake_at(options.home) as (_, lake), Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("days", total=len(days))
        rows = 0
        for _, count in generate(lake, world, days):
            rows += count
            bar.update(task, advance=1, description=f"{rows:,} reads")
        files = list(live_files(lake.table("reads")))
    size = sum(file.file_size_in_bytes for file in files)
    total = sum(file.record_count for file in files)
    print(
        f"{total:,} reads of {options.days} days in {len(files)} files: "
        f"{size / total:.1f} bytes each"
    )


if __name__ == "__main__":
    main()
