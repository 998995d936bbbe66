"""`python -m bench.lake.lookups --home DIR`: look-ups in the year, beside plain DuckDB.

Each is asked by a new process: `cold` is its first answer (no footer, index or connection in
memory; what the operating system caches of the store's disk stays), `warm` the same again.
Plates are drawn by seed from the reads of one day, so that a plate comes up as often as it passes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from bench.lake.home import lake_at
from bench.lake.reads import RETENTION, World, day_of_reads
from catalog.config import LakeConfig
from catalog.files import live_files, partition_of, read_rows
from catalog.lake import Lake
from catalog.lookup.find import EVERY, canvass, common, find
from catalog.lookup.places import Circle
from catalog.lookup.query import Canvass, Common, Sighting, Where
from catalog.lookup.upkeep import refresh_index
from catalog.lookup.view import View
from catalog.query import connect
from cli.lookup import FLAT

_FEW: Final = ["captured_at", "agency", "camera", "plate", "state", "read_id"]
_PLAIN: Final = "bench.plain"
_PLAIN_DAYS, _PLAIN_COMMITS = 3, 960
"""A commit every minute and a half: thirty times kinder to a lake than one every three seconds."""

Answer = Callable[[], int]
"""Asks, and says how many rows came."""


def questions(lake: Lake, plates: list[str], end: datetime) -> Iterator[tuple[str, str, Answer]]:
    """(question, who answers, how): every question of the report."""
    month = Where(end - timedelta(days=30), end)
    with View(lake) as view, connect(lake) as duck:
        for number, plate in enumerate(plates):
            query = Sighting(plate, limit=100_000)
            yield f"plate {number}", "lookup", partial(_found, view, query)
            shown = partial(_found, view, query, FLAT)
            yield f"plate {number}, as lookup shows it", "lookup", shown
            six = partial(_found, view, query, _FEW)
            yield f"plate {number}, six columns", "lookup", six
        yield (
            "plate 0",
            "duckdb",
            lambda: len(duck.execute("FROM reads WHERE plate = ?", [plates[0]]).fetchall()),
        )
        for known in (5, 4, 3):
            tail = "*" + plates[1][-known:]
            yield (
                f"* and {known} characters, 30 days",
                "lookup",
                partial(_found, view, Sighting(tail, month, limit=100_000)),
            )
        yield (
            "* and 4 characters, 30 days",
            "duckdb",
            lambda: len(
                duck.execute(
                    "FROM reads WHERE plate LIKE ? AND captured_at >= ? AND captured_at < ?",
                    ["%" + plates[1][-4:], end - timedelta(days=30), end],
                ).fetchall()
            ),
        )
        hours = Where(
            end - timedelta(hours=40), end - timedelta(hours=38), area=Circle(42.0, -71.5, 12_000)
        )
        yield "canvass 2 h", "lookup", lambda: canvass(view, Canvass(hours, 100_000)).num_rows
        places = tuple(
            Where(month.first, month.last, area=Circle(41.8 + 0.2 * n, -72.0 + 0.6 * n, 15_000))
            for n in range(3)
        )
        yield (
            "common of 3 places, 30 days",
            "lookup",
            lambda: common(view, Common(places, 3, 100_000)).num_rows,
        )
        yield (
            f"plate 2, {_PLAIN_DAYS} days",
            "lookup",
            lambda: find(view, Sighting(plates[2], _plain_where(end), limit=100_000)).num_rows,
        )
        location = lake.catalog.load_table(_PLAIN).metadata_location
        yield (
            f"plate 2, {_PLAIN_DAYS} days",
            "duckdb, unsorted file a commit",
            lambda: len(
                duck.execute(
                    "FROM iceberg_scan(?) WHERE plate = ?", [location, plates[2]]
                ).fetchall()
            ),
        )


def _found(view: View, query: Sighting, columns: Sequence[str] = EVERY) -> int:
    return int(find(view, query, columns).num_rows)


def _plain_where(end: datetime) -> Where:
    return Where(end - timedelta(days=_PLAIN_DAYS), end)


def draw_plates(lake: Lake, seed: int, count: int) -> tuple[list[str], datetime]:
    """Plates as they pass, and the end of the last whole day."""
    files = list(live_files(lake.table("reads")))
    last = max(partition_of(file).date for file in files)
    rng = np.random.default_rng(seed)
    own = [file for file in files if partition_of(file).date == last]
    column = read_rows(lake, max(own, key=lambda f: f.record_count).file_path, ["plate"])["plate"]
    drawn = [column[int(n)].as_py() for n in rng.integers(0, len(column), count)]
    return drawn, datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def ask(config: Path, number: int, seed: int, count: int) -> None:
    """In a process of its own: one question twice; prints its figures as JSON."""
    lake = Lake(LakeConfig.load(config))
    lake.retention = RETENTION
    plates, end = draw_plates(lake, seed, count)
    begin = time.perf_counter()
    for place, (name, who, answer) in enumerate(questions(lake, plates, end)):
        if place == 0:
            opened = time.perf_counter() - begin  # the view and its index; a reader pays it once
        if place != number:
            continue
        figures: dict[str, Any] = {"question": name, "by": who, "open_s": round(opened, 3)}
        for kind in ("cold", "warm"):
            start, cpu = time.perf_counter(), time.process_time()
            figures["rows"] = answer()
            figures[f"{kind}_s"] = round(time.perf_counter() - start, 3)
            figures[f"{kind}_cpu_s"] = round(time.process_time() - cpu, 3)
        figures["rss_mib"] = psutil.Process().memory_info().rss >> 20
        print(json.dumps(figures))
        return
    print("{}")


def make_plain(lake: Lake, world: World, end: datetime) -> None:
    """The last days once more, as a plain sink leaves them: as they came, a file a commit.

    The files are registered in one commit here; a sink would also leave as many snapshots.
    """
    lake.catalog.create_namespace_if_not_exists("bench")
    if lake.catalog.table_exists(_PLAIN):
        return
    last = (end - timedelta(days=1)).date()
    files = []
    for back in reversed(range(_PLAIN_DAYS)):
        day = last - timedelta(days=back)
        rows = day_of_reads(world, day)
        # Without field ids, as `add_files` wants them.
        rows = rows.cast(pa.schema([_plain_field(field) for field in rows.schema]))
        size = -(-rows.num_rows // _PLAIN_COMMITS)
        for number, first in enumerate(range(0, rows.num_rows, size)):
            sink = pa.BufferOutputStream()
            pq.write_table(rows.slice(first, size), sink, compression="zstd")
            uri = f"{lake.config.warehouse}/plain/{day}-{number:04d}.parquet"
            lake.store.write(uri, sink.getvalue())
            files.append(uri)
    table = lake.catalog.create_table(_PLAIN, rows.schema)
    table.add_files(files)


def _without_ids(kind: pa.DataType) -> pa.DataType:
    """The type without Iceberg's field ids, in whatever depth they are."""
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _without_ids(field.type), field.nullable)


def main() -> None:
    """Ask everything, each in a new process; a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of `bench.lake.generate`")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--plates", type=int, default=8)
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--config", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask is not None:
        ask(options.config, options.ask, options.seed, options.plates)
        return
    figures = []
    with lake_at(options.home) as (installation, lake):
        refresh_index(lake, date(9999, 1, 1), "bench")
        _, end = draw_plates(lake, options.seed, 1)
        make_plain(lake, World(), end)
        number = 0
        while True:
            command = [
                *(sys.executable, "-m", "bench.lake.lookups", "--ask", str(number)),
                *("--config", str(installation.lake_config_file)),
                *("--seed", str(options.seed), "--plates", str(options.plates)),
            ]
            found = json.loads(subprocess.check_output(command))
            if not found:
                break
            figures.append(found)
            print(
                f"{found['question']:32} {found['by']:32} {found['rows']:7,} rows  "
                f"cold {found['cold_s']:7.2f} s  warm {found['warm_s']:7.2f} s  "
                f"cpu {found['warm_cpu_s']:6.2f} s  {found['rss_mib']:,} MiB",
                flush=True,
            )
            number += 1
    every = [f for f in figures if f["by"] == "lookup" and f["question"].startswith("plate ")]
    whole = [f for f in every if "," not in f["question"]]
    shown = [f for f in every if f["question"].endswith("shows it")]
    for name, chosen in (("all columns", whole), ("as lookup shows it", shown)):
        for kind in ("cold_s", "warm_s"):
            values = sorted(f[kind] for f in chosen)
            middle = statistics.median(values)
            print(f"one plate, all days, {name}, {kind}: median {middle}, most {values[-1]}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
