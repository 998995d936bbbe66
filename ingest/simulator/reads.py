"""Makes reads directly, without pictures, for load tests: many a second, with known faults.

Everything random is drawn for all reads at once; the lines are put together by
Arrow, so that only the hash of each read's id is computed read by read.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from alpr.ids import read_id
from alpr.plates import canonical
from alpr.records import Read
from ingest.simulator.serials import PATTERNS, make_serials

SOURCE, SOURCE_VERSION = "simulator", "1"
CHUNK = 65_536
"""Lines put together at a time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOLE = "@{}@"
_TEXTS = ("read_id", "agency", "camera", "captured_at", "received_at", "plate", "plate_raw",
          "state", "source_id")  # fmt: skip
_NUMBERS = ("latitude", "longitude", "heading", "confidence", "state_confidence")


@dataclass(frozen=True)
class Faults:
    """Shares (0 to 1) of what goes wrong, and how far."""

    late: float = 0.02
    """Reads uploaded long after their capture: a patrol car's at the end of the shift."""
    late_seconds: float = 3600.0
    """The longest such delay; the shortest is a minute."""
    duplicate: float = 0.01
    """Reads sent twice, the same id both times."""
    drifting: float = 0.05
    """Cameras whose clock is wrong by a constant amount."""
    drift_seconds: float = 120.0
    """The largest such amount; slow and fast are equally common."""
    wrong_state: float = 0.03
    """Reads that name another state than the plate's."""

    def __post_init__(self) -> None:
        for name in ("late", "duplicate", "drifting", "wrong_state"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share and must be from 0 to 1, got {share}")
        if self.late_seconds < 60 or self.drift_seconds < 0:
            raise ValueError(
                "late_seconds must be at least 60 and drift_seconds at least 0, "
                f"got {self.late_seconds} and {self.drift_seconds}"
            )


@dataclass(frozen=True)
class Traffic:
    """What to make: so many reads of so many vehicles, evenly over event time."""

    seed: int
    start: datetime
    """Capture time of the first read, aware."""
    reads: int
    """Different reads; duplicates come on top."""
    rate: float = 1000.0
    """Reads a second of event time."""
    agencies: int = 3
    cameras: int = 60
    vehicles: int = 50_000
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise ValueError(f"the start must carry a time zone, got {self.start!r}")
        if min(self.reads, self.agencies, self.cameras, self.vehicles) < 1 or self.rate <= 0:
            raise ValueError("reads, rate, agencies, cameras and vehicles must be positive")


@dataclass(frozen=True)
class Drawn:
    """All reads as columns, in the order in which they reach the platform."""

    number: NDArray[np.int64]
    """Which read this is; a duplicate repeats its original's number."""
    camera: NDArray[np.int64]
    vehicle: NDArray[np.int64]
    true_us: NDArray[np.int64]
    """When the vehicle passed, microseconds since 1970."""
    captured_us: NDArray[np.int64]
    """When the camera's clock says it passed."""
    received_us: NDArray[np.int64]
    state: NDArray[np.int64]
    """State named in the read, index into STATES."""
    true_state: NDArray[np.int64]
    confidence: NDArray[np.int64]
    """Thousandths."""
    late: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]


STATES = tuple(sorted(PATTERNS))


def draw_reads(traffic: Traffic) -> Drawn:
    """Draw all reads of `traffic`; memory is about 250 bytes a read at its peak."""
    faults, count = traffic.faults, traffic.reads
    rng = np.random.default_rng((traffic.seed, 21))
    start = (traffic.start - _EPOCH) // (_EPOCH.resolution)
    gaps = rng.exponential(1e6 / traffic.rate, count)
    true = start + np.cumsum(gaps).astype(np.int64) - int(gaps[0])
    camera = rng.integers(0, traffic.cameras, count)
    # A few vehicles pass often, most seldom.
    vehicle = (traffic.vehicles * rng.random(count) ** 2).astype(np.int64)
    drifting = rng.random(traffic.cameras) < faults.drifting
    amount = rng.uniform(-faults.drift_seconds, faults.drift_seconds, traffic.cameras) * 1e6
    drift = np.where(drifting, amount, 0).astype(np.int64)
    late = rng.random(count) < faults.late
    usual = 200_000 + rng.exponential(300_000, count)
    upload = rng.uniform(60e6, faults.late_seconds * 1e6, count)
    received = true + np.where(late, upload, usual).astype(np.int64)
    true_state = _states_of_vehicles(traffic)[vehicle]
    wrong = rng.random(count) < faults.wrong_state
    shift = rng.integers(1, len(STATES), count)
    state = np.where(wrong, (true_state + shift) % len(STATES), true_state)
    confidence = np.minimum(999, 700 + rng.integers(0, 300, count))
    again = np.flatnonzero(rng.random(count) < faults.duplicate)
    resent = received[again] + rng.uniform(1e5, 60e6, len(again)).astype(np.int64)
    pick = np.concatenate([np.arange(count), again])
    arrival = np.concatenate([received, resent])
    order = np.argsort(arrival, kind="stable")
    pick = pick[order]
    return Drawn(
        number=pick,
        camera=camera[pick],
        vehicle=vehicle[pick],
        true_us=true[pick],
        captured_us=(true + drift[camera])[pick],
        received_us=arrival[order],
        state=state[pick],
        true_state=true_state[pick],
        confidence=confidence[pick],
        late=late[pick],
        duplicate=order >= count,
    )


def _states_of_vehicles(traffic: Traffic) -> NDArray[np.int64]:
    rng = np.random.default_rng((traffic.seed, 22))
    return rng.integers(0, len(STATES), traffic.vehicles)


def _printed_of_vehicles(traffic: Traffic) -> list[str]:
    rng = np.random.default_rng((traffic.seed, 23))
    states = _states_of_vehicles(traffic)
    printed = np.empty(traffic.vehicles, object)
    for index, state in enumerate(STATES):
        mine = np.flatnonzero(states == index)
        kinds = rng.integers(0, len(PATTERNS[state]), len(mine))
        for kind, pattern in enumerate(PATTERNS[state]):
            chosen = mine[kinds == kind]
            printed[chosen] = make_serials(pattern, len(chosen), rng)
    return list(printed)


def lines(traffic: Traffic, drawn: Drawn) -> Iterator[pa.BinaryArray]:
    """JSON lines of alpr.records.Read, newline included, CHUNK at a time."""
    rng = np.random.default_rng((traffic.seed, 24))
    agencies = [f"agency-{number % traffic.agencies}" for number in range(traffic.cameras)]
    cameras = [f"cam-{number}" for number in range(traffic.cameras)]
    by_camera = {
        "agency": agencies,
        "camera": cameras,
        "latitude": [f"{value:.5f}" for value in 42 + rng.random(traffic.cameras)],
        "longitude": [f"{value:.5f}" for value in -72 + rng.random(traffic.cameras)],
        "heading": [f"{value:.1f}" for value in rng.uniform(0, 359.9, traffic.cameras)],
    }
    printed = _printed_of_vehicles(traffic)
    by_vehicle = {"plate": [canonical(text) for text in printed], "plate_raw": printed}
    thousandths = pa.array([f"{value / 1000:.3f}" for value in range(1000)])
    order, fixed = _template()
    for begin in range(0, len(drawn.number), CHUNK):
        part = slice(begin, begin + CHUNK)
        numbers = drawn.number[part]
        source_ids = [f"sim-{traffic.seed}-{number}" for number in numbers.tolist()]
        columns: dict[str, Any] = {
            name: pa.array(values).take(pa.array(drawn.camera[part]))
            for name, values in by_camera.items()
        }
        for name, values in by_vehicle.items():
            columns[name] = pa.array(values).take(pa.array(drawn.vehicle[part]))
        columns["state"] = pa.array(STATES).take(pa.array(drawn.state[part]))
        columns["confidence"] = thousandths.take(pa.array(drawn.confidence[part]))
        columns["state_confidence"] = columns["confidence"]
        columns["source_id"] = pa.array(source_ids)
        columns["captured_at"] = _times(drawn.captured_us[part])
        columns["received_at"] = _times(drawn.received_us[part])
        columns["read_id"] = pa.array(
            [
                read_id(agencies[camera], cameras[camera], at.replace(tzinfo=UTC), plate, source_id)
                for camera, at, plate, source_id in zip(
                    drawn.camera[part].tolist(),
                    drawn.captured_us[part].astype("datetime64[us]").tolist(),
                    columns["plate"].to_pylist(),
                    source_ids,
                    strict=True,
                )
            ]
        )
        pieces: list[Any] = [fixed[0]]
        for name, text in zip(order, fixed[1:], strict=True):
            pieces += [columns[name], text]
        yield pc.binary_join_element_wise(*pieces, "").cast(pa.binary())


def _times(microseconds: NDArray[np.int64]) -> pa.Array:
    """RFC 3339 in UTC with microseconds."""
    return pa.array(np.datetime_as_string(microseconds.astype("datetime64[us]"), timezone="UTC"))


def _template() -> tuple[list[str], list[str]]:
    """Fields that differ between reads, in the order of the record, and the text around them.

    Taken from an encoded read, so that a field added to the record is in every line.
    """
    example: dict[str, Any] = msgspec.to_builtins(
        Read(
            read_id="", agency="", camera="", captured_at=_EPOCH, received_at=_EPOCH, plate="",
            plate_raw="", confidence=0.0, source=SOURCE, source_version=SOURCE_VERSION,
            source_id="",
        )
    )  # fmt: skip
    for name in (*_TEXTS, *_NUMBERS):
        example[name] = _HOLE.format(name)
    text = msgspec.json.encode(example).decode() + "\n"
    order = sorted((*_TEXTS, *_NUMBERS), key=lambda name: text.index(_HOLE.format(name)))
    fixed = []
    for name in order:
        hole = _HOLE.format(name)
        before, text = text.split(f'"{hole}"' if name in _NUMBERS else hole)
        fixed.append(before)
    return order, [*fixed, text]


def write_reads(traffic: Traffic, path: Path, truth: Path) -> int:
    """Write the reads (JSON lines; gzip if the name ends in .gz) and the truth (Parquet).

    The truth has one row for each line, in the same order. Returns the number of lines.
    """
    drawn = draw_reads(traffic)
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as out:
        for chunk in lines(traffic, drawn):
            _, offsets, data = chunk.buffers()
            first, last = (
                int(np.frombuffer(offsets, np.int32)[chunk.offset]),
                int(np.frombuffer(offsets, np.int32)[chunk.offset + len(chunk)]),
            )
            out.write(memoryview(data)[first:last])
    pq.write_table(truth_table(traffic, drawn), truth)
    return len(drawn.number)


def truth_table(traffic: Traffic, drawn: Drawn) -> pa.Table:
    """What is known about each line: see the fields of `Drawn`."""
    printed = _printed_of_vehicles(traffic)
    states = pa.array(STATES)
    instant = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "number": drawn.number,
            "camera": pa.array([f"cam-{n}" for n in range(traffic.cameras)]).take(
                pa.array(drawn.camera)
            ),
            "plate": pa.array([canonical(text) for text in printed]).take(pa.array(drawn.vehicle)),
            "state": states.take(pa.array(drawn.true_state)),
            "passed_at": pa.array(drawn.true_us).cast(instant),
            "drift_us": drawn.captured_us - drawn.true_us,
            "late": drawn.late,
            "duplicate": drawn.duplicate,
            "wrong_state": drawn.state != drawn.true_state,
        }
    )
