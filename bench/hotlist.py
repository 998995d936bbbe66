"""`python -m bench.hotlist`: hot lists of twelve million entries, beside what one would write.

Each figure is taken in a process of its own: wall time, processor time, the most memory resident
(RSS), and how much of it is its own. The naive way parses the same file row by row into objects
in a dictionary; it is measured at a million entries, because twelve million do not fit into the
memory of a worker, and our way beside it at the same size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from alpr.ids import read_id
from alpr.records import Read
from bench.accounting import Machine

BATCH: Final = 2000
READS: Final = 50 * BATCH
"""Asked for in one round."""
HIT_SHARE: Final = 0.002
"""Of the reads asked for, about what states report (two in a thousand)."""
ROUNDS: Final = 15
_LETTERS: Final = np.frombuffer(b"0123456789ABCDEFGHJKLMNPRSTUVWXYZ", np.uint8)
_GOALS: Final[dict[str, tuple[str, float]]] = {
    "build_s": ("at most", 120.0),
    "build_rss_gb": ("at most", 4.0),
    "open_s": ("at most", 2.0),
    "switch_s": ("at most", 2.0),
    "match_share": ("at least", 0.8),
}


def write_ncic(path: Path, rows: int, seed: int, changed: float = 0.0) -> None:
    """A file of NCIC's 65 columns; of two with the same seed a share of rows has other plates."""
    with path.open("wb") as file:
        for begin in range(0, rows, 500_000):
            count = min(500_000, rows - begin)
            file.write(_block(begin, count, seed, changed).tobytes())


def _block(begin: int, count: int, seed: int, changed: float) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng([seed, begin])
    lines = np.full((count, 66), ord(" "), np.uint8)
    lines[:, 65] = ord("\n")
    letters = np.frombuffer(b"VPWMXHCT", np.uint8)
    lines[:, 0] = letters[rng.choice(8, count, p=[0.45, 0.2, 0.15, 0.05, 0.05, 0.04, 0.03, 0.03])]
    _put(lines, 1, np.char.mod("%09d", np.arange(begin, begin + count)))
    _put(lines, 10, np.char.mod("MA%05d00", rng.integers(0, 18_000, count)))
    days = np.datetime64("2015-01-01") + rng.integers(0, 4000, count)
    _put(lines, 19, np.char.replace(days.astype(str), "-", ""))
    lines[:, 27:34] = _LETTERS[rng.integers(0, len(_LETTERS), (count, 7))]
    states = np.array(["MA", "NY", "CA", "TX", "FL", "0H", "0K", "NH"])
    _put(lines, 37, states[rng.integers(0, 8, count)])
    lines[:, 39:45] = np.frombuffer(b"2026PC", np.uint8)
    _put(lines, 45, np.char.mod("%04d", rng.integers(1990, 2026, count)))
    vehicles = np.array(["F0RDF154DBLU", "H0NDCIV2DRED", "CHEVTAH4DBLK", "T0YTCAM4DSIL"])
    _put(lines, 49, vehicles[rng.integers(0, 4, count)])
    if changed:
        other = np.flatnonzero(np.random.default_rng([seed, begin, 1]).random(count) < changed)
        lines[other, 33] = ord("Q")
    return lines


def _put(lines: np.ndarray[Any, Any], place: int, texts: np.ndarray[Any, Any]) -> None:
    coded = texts.astype("S")
    width = coded.dtype.itemsize
    lines[:, place : place + width] = coded.view(np.uint8).reshape(len(lines), width)


def load_ours(file: Path, store: Path) -> dict[str, Any]:
    """Load the file as a complete list."""
    from ingest.hotlists.load import Request, load
    from ingest.hotlists.sources import Source, Sources

    source = Source(source="ncic", layout="ncic", max_removed=1)
    request = Request(source=source, location=str(file), actor="bench", at=datetime.now(UTC))
    done = load(Sources(store), request)
    return {"entries": done.entries, "added": done.added, "removed": done.removed}


def load_naive(file: Path) -> dict[str, Any]:
    """Row by row into objects, kept in lists by plate."""
    return {"entries": sum(map(len, _naive(file).values()))}


def _naive(file: Path) -> dict[str, list[dict[str, Any]]]:
    listed: dict[str, list[dict[str, Any]]] = {}
    with file.open(encoding="latin-1") as lines:
        for line in lines:
            plate = line[27:37].strip().replace("O", "0").replace("I", "1")
            entry = {
                "record": line[0:10],
                "category": line[0],
                "agency": line[10:19].lower(),
                "valid_from": datetime.strptime(line[19:27], "%Y%m%d").replace(tzinfo=UTC),
                "plate": plate,
                "state": line[37:39].replace("0", "O"),
                "vehicle": " ".join((line[45:49], line[49:53], line[53:56], line[58:65].strip())),
            }
            listed.setdefault(plate, []).append(entry)
    return listed


def open_ours(store: Path) -> dict[str, Any]:
    """Open the list as a worker does, search once, and say whose the memory is."""
    from ingest.hotlists.index import HotlistIndex

    begin = time.monotonic()
    index = HotlistIndex(store, None)
    opened = time.monotonic() - begin
    plates = _asked(store, 10_000, 5)
    hits = sum(len(found) for _, found in index.search(plates))
    return {"open_s": opened, "hits": hits} | _memory()


def switch_ours(store: Path) -> dict[str, Any]:
    """Have the previous list open, and go over to the one in force, as a worker does."""
    import msgspec

    from ingest.hotlists.index import HotlistIndex
    from ingest.hotlists.snapshot import Manifest, read_manifest

    current = store / "current.json"
    newest = current.read_bytes()
    older = sorted(p.stem for p in (store / "snapshots").glob("*.arrow"))[0]
    entry = msgspec.structs.replace(read_manifest(store), **_manifest_of(store, older))
    assert isinstance(entry, Manifest)
    current.write_bytes(msgspec.json.encode(entry))
    index = HotlistIndex(store, None, poll_s=0.0)
    current.write_bytes(newest)
    begin = time.monotonic()
    index.refresh()
    took = time.monotonic() - begin
    assert index.snapshot.manifest.version == read_manifest(store).version
    return {"switch_s": took}


def _manifest_of(store: Path, version: str) -> dict[str, Any]:
    from ingest.hotlists.snapshot import _checksum

    path = store / "snapshots" / f"{version}.arrow"
    return {
        "version": version,
        "size": path.stat().st_size,
        "crc32c": _checksum(path),
        "sieve_crc32c": _checksum(path.with_suffix(".sieve")),
    }


def match_ours(stores: list[Path]) -> dict[str, Any]:
    """Nanoseconds of processor time a read, for each list, in turns; the best of ROUNDS each.

    `search_ns` is the search alone, `match_ns` what a worker does: messages decoded, searched for,
    held against the rules. The best, because whatever else runs on the machine only ever adds.
    """
    from ingest.hotlists.index import HotlistIndex

    lists = [HotlistIndex(store, None) for store in stores]
    searched: list[list[float]] = [[] for _ in lists]
    matched: list[list[float]] = [[] for _ in lists]
    hits = [0] * len(lists)
    for seed in range(ROUNDS):
        for place, index in enumerate(lists):
            batches = _batches(stores[place], seed)  # other reads each time, as on a road
            begin = time.process_time()
            _search(index, batches)
            searched[place].append(time.process_time() - begin)
            messages = [_messages(batch) for batch in batches]
            begin = time.process_time()
            hits[place] += _match(index, messages)
            matched[place].append(time.process_time() - begin)
    return {
        str(len(index)): {
            "search_ns": min(searched[place]) / READS * 1e9,
            "match_ns": min(matched[place]) / READS * 1e9,
            "hits": hits[place],
        }
        for place, index in enumerate(lists)
    }


def _messages(plates: list[str]) -> list[bytes]:
    from ingest.codecs import encode

    now = datetime.now(UTC)
    read = Read(
        read_id=read_id("pd", "cam-1", now, "PLATE", "7"), agency="pd", camera="cam-1",
        captured_at=now, received_at=now, plate="PLATE", plate_raw="PLATE", confidence=0.9,
        state="MA", state_confidence=0.8, latitude=42.1, longitude=-71.2, source="vendor",
        source_version="1.0", source_id="7",
    )  # fmt: skip
    message = encode(read)
    return [message.replace(b"PLATE", plate.encode()) for plate in plates]


def _match(index: Any, batches: list[list[bytes]]) -> int:
    from alpr.matching import match
    from ingest.codecs import decode_read

    now, hits = datetime.now(UTC), 0
    for batch in batches:
        reads = [decode_read(message) for message in batch]
        for place, entries in index.search([read.plate for read in reads]):
            hits += sum(1 for _ in match(reads[place], entries, index.version, now))
    return hits


def _search(index: Any, batches: list[list[str]]) -> int:
    return sum(1 for batch in batches for _ in index.search(batch))


def match_naive(file: Path, store: Path) -> dict[str, Any]:
    """The same questions put to the dictionary."""
    listed = _naive(file)
    times = []
    for seed in range(ROUNDS):
        batches = _batches(store, seed)
        begin = time.process_time()
        for batch in batches:
            for plate in batch:
                _ = plate.replace("O", "0").replace("I", "1") in listed
        times.append(time.process_time() - begin)
    return {"ns": min(times) / READS * 1e9} | _memory()


def _batches(store: Path, seed: int) -> list[list[str]]:
    plates = _asked(store, READS, seed)
    return [plates[begin : begin + BATCH] for begin in range(0, len(plates), BATCH)]


def _asked(store: Path, count: int, seed: int) -> list[str]:
    """Plates read: HIT_SHARE of them on this list, the others on none (they have a Q)."""
    from ingest.hotlists.snapshot import open_snapshot, read_manifest

    rng = np.random.default_rng(seed)
    letters = _LETTERS[rng.integers(0, len(_LETTERS), (count, 7))]
    letters[np.arange(count), rng.integers(0, 7, count)] = ord("Q")
    drawn = letters.view("S7")[:, 0]
    plates = [text.decode() for text in drawn.tolist()]
    snapshot = open_snapshot(store, read_manifest(store))
    for place in rng.integers(0, count, round(count * HIT_SHARE)).tolist():
        row = int(rng.integers(0, len(snapshot)))
        plates[place] = snapshot.rows.column("plate")[row].as_py()
    return plates


def _memory() -> dict[str, float]:
    """Of this process, in GB: all that is resident, and what is its own alone."""
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in rollup}
    own = kb["Private_Clean"] + kb["Private_Dirty"]
    return {"rss_gb": kb["Rss"] / 1e6, "pss_gb": kb["Pss"] / 1e6, "own_gb": own / 1e6}


STEPS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "load_ours": load_ours,
    "load_naive": load_naive,
    "open_ours": open_ours,
    "switch_ours": switch_ours,
    "match_naive": match_naive,
}


def _step(name: str, *arguments: str) -> dict[str, Any]:
    """Run a step in a process of its own; its figures and what it cost."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.hotlist", "--step", name, *arguments],
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    print(f"{name}: {figures}", file=sys.stderr)
    return figures


def _run_step(name: str, arguments: list[str]) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    if name == "match_ours":
        figures = match_ours([Path(text) for text in arguments])
    else:
        figures = STEPS[name](*map(Path, arguments))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {
        "wall_s": time.monotonic() - wall,
        "cpu_s": time.process_time() - cpu,
        "max_rss_gb": usage.ru_maxrss / 1e6,
    }
    print(json.dumps(figures | cost))


def measure(folder: Path, entries: int) -> dict[str, Any]:
    """All figures; takes about five minutes and some 6 GB of disk at twelve million entries."""
    sizes = {"10k": 10_000, "1M": min(1_000_000, entries), "12M": entries}
    files, stores = {}, {}
    for label, rows in sizes.items():
        files[label], stores[label] = folder / f"{label}.txt", folder / label
        write_ncic(files[label], rows, seed=1)
    built = {label: _step("load_ours", str(files[label]), str(stores[label])) for label in sizes}
    naive = _step("load_naive", str(files["1M"]))
    naive_match = _step("match_naive", str(files["1M"]), str(stores["1M"]))
    opened = _step("open_ours", str(stores["12M"]))
    together = list(_together(stores["12M"]))
    matched = _step("match_ours", *(str(store) for store in stores.values()))
    changed = folder / "changed.txt"
    write_ncic(changed, entries, seed=1, changed=0.01)
    again = _step("load_ours", str(changed), str(stores["12M"]))
    switched = _step("switch_ours", str(stores["12M"]))
    speed = {label: matched[str(built[label]["entries"])] for label in sizes}
    goals = {
        "build_s": built["12M"]["wall_s"],
        "build_rss_gb": max(built["12M"]["max_rss_gb"], again["max_rss_gb"]),
        "open_s": opened["open_s"],
        "switch_s": switched["switch_s"],
        "match_share": speed["10k"]["match_ns"] / speed["12M"]["match_ns"],
    }
    return {
        "machine": asdict(Machine.here()),
        "entries": entries,
        "build": built,
        "build_again_1_percent_changed": again,
        "naive_build_1M": naive,
        "naive_build_times": {
            "cpu": naive["cpu_s"] / built["1M"]["cpu_s"],
            "rss": naive["max_rss_gb"] / built["1M"]["max_rss_gb"],
        },
        "open": opened,
        "two_workers": together,
        "switch": switched,
        "match": speed,
        "search_share": speed["10k"]["search_ns"] / speed["12M"]["search_ns"],
        "naive_match_1M": naive_match,
        "goals": {
            name: {"is": value, "goal": f"{_GOALS[name][0]} {_GOALS[name][1]:g}",
                   "met": _met(name, value)}
            for name, value in goals.items()
        },
    }  # fmt: skip


def _met(name: str, value: float) -> bool:
    kind, goal = _GOALS[name]
    return value <= goal if kind == "at most" else value >= goal


def _together(store: Path) -> Iterator[dict[str, float]]:
    """Two workers with the same list open at once: what each has of its own."""
    code = (
        "import sys, json; from pathlib import Path; from bench.hotlist import _memory, _asked;"
        "from ingest.hotlists.index import HotlistIndex; import numpy as np;"
        "store = Path(sys.argv[1]); before = _memory(); index = HotlistIndex(store, None);"
        "asked = _asked(store, 200000, 3);"
        "sum(1 for b in range(0, len(asked), 2000) for _ in index.search(asked[b:b+2000]));"
        "print('ready', flush=True); sys.stdin.readline();"
        "after = _memory(); print(json.dumps(after | {'before_gb': before['own_gb']}), flush=True);"
        "sys.stdin.readline()"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    pipes = [(w.stdin, w.stdout) for w in workers if w.stdin is not None and w.stdout is not None]
    for _, out in pipes:
        assert out.readline() == "ready\n"
    found = []
    for into, out in pipes:  # both are still there when each is asked
        into.write("\n")
        into.flush()
        found.append(json.loads(out.readline()))
    for worker in workers:
        worker.communicate("\n")
    yield from found


def main() -> int:
    """Measure, print, and fail if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=12_000_000)
    parser.add_argument("--folder", type=Path, help="where the lists go; a temporary one if none")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        _run_step(arguments.step[0], arguments.step[1:])
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-hotlist-", dir=arguments.folder) as folder:
        figures = measure(Path(folder), arguments.entries)
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n")
    return 0 if all(goal["met"] for goal in figures["goals"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
