"""What checking an hour costs: time and memory of `platelake quality run --hour`.

Makes a lake in a temporary folder: an hour of simulated reads in small commits, as landing leaves
them, and the numbers of the same hour in eight weeks before. A process of its own then checks the
hour, so that its memory is that of the check alone.

    python -m bench.quality --reads 100000 --cameras 200
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 11, 20, 14, tzinfo=UTC)
"""A whole hour; any will do."""

_WEEKS = 8


def main() -> None:
    """Print one line of JSON: seconds and MiB."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=100_000, help="reads in the hour")
    parser.add_argument("--cameras", type=int, default=200)
    parser.add_argument("--commits", type=int, default=100, help="files that they lie in")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.check is not None:
        print(json.dumps(check(asked.check)))
        return
    with tempfile.TemporaryDirectory(prefix="platelake-bench-") as folder:
        rows = make(Path(folder), asked.reads, asked.cameras, asked.commits)
        command = [sys.executable, "-m", "bench.quality", "--check", folder]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        print(json.dumps({"rows": rows, "cameras": asked.cameras, **json.loads(done.stdout)}))


def make(folder: Path, count: int, cameras: int, commits: int) -> int:
    """A lake with an hour of reads, and its past; how many rows."""
    import pyarrow as pa

    from catalog.commit import Committer
    from catalog.config import LakeConfig
    from catalog.hours import note_hours, put_camera_hours
    from catalog.lake import Lake
    from catalog.quality import prepare
    from catalog.rows import Origin
    from catalog.slices import HOUR, HourCount
    from catalog.staging import OffsetRange, stage_reads
    from expectations.measures import measure_cameras
    from ingest.codecs import decode_read
    from ingest.simulator.reads import Traffic, draw_reads, lines

    config = LakeConfig(f"sqlite:///{folder}/catalog.db", f"file://{folder}/lake")
    config.save(folder / "lake.toml")
    lake = Lake(config)
    lake.init()
    prepare(lake)
    traffic = Traffic(1, START, count, rate=count / 3590, cameras=cameras)
    reads = [
        decode_read(line)
        for part in lines(traffic, draw_reads(traffic))
        for line in part.to_pylist()
    ]
    landed = START + HOUR
    committer = Committer(lake, "reads", now=lambda: landed)
    step = max(1, -(-len(reads) // commits))
    for first in range(0, len(reads), step):
        batch = reads[first : first + step]
        offsets = range(first, first + len(batch))
        covered = [OffsetRange("reads", 0, first, offsets.stop)]
        committer.commit([stage_reads(lake, batch, Origin("reads", 0, offsets), covered, landed)])
    now = measure_cameras(lake, START, START + HOUR)
    place = now.schema.get_field_index("hour")
    for week in range(1, _WEEKS + 1):
        then = START - timedelta(weeks=week)
        hours = [then] * now.num_rows
        past = now.set_column(place, now.schema.field(place), pa.array(hours, now.schema[0].type))
        put_camera_hours(lake, [then], past)
        note_hours(lake, "reads", [HourCount(then, len(reads), None)], check_from=landed)
    rows = sum(int(n) for n in now["reads"].to_pylist())
    lake.close()
    return rows


def check(folder: Path) -> dict[str, float]:
    """That hour, in this process: first what changed, then the rules, with pages."""
    import pandas as pd

    from catalog.config import LakeConfig
    from catalog.lake import Lake
    from expectations.engine import judge
    from expectations.rounds import Plan, Rounds, discover

    started = time.perf_counter()
    judge("warm-up", "none", pd.DataFrame({"x": [1]}), ())
    imported = time.perf_counter()
    before = _peak_mib()
    lake = Lake(LakeConfig.load(folder / "lake.toml"))
    now = START + timedelta(hours=1, minutes=15)
    rounds = Rounds(lake, Plan(pages=folder / "pages"))
    for table in ("reads", "hits"):
        discover(lake, table, now, timedelta(hours=24))
    discovered = time.perf_counter()
    done = rounds.check_hour("reads", START, now)
    ended = time.perf_counter()
    return {
        "import_s": round(imported - started, 2),
        "discover_and_measure_s": round(discovered - imported, 2),
        "check_s": round(ended - discovered, 2),
        "rows_checked": sum(each.rows for each in done if each.part.endswith("-1")),
        "rules": sum(len(each.findings) for each in done),
        "broken": sum(len(each.broken) for each in done),
        "peak_mib_before": before,
        "peak_mib": _peak_mib(),
    }


def _peak_mib() -> int:
    # Not getrusage: what it says of a child begins with what its parent had.
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) // 1024


if __name__ == "__main__":
    main()
