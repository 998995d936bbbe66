"""Made-up reads in the lake's own columns, a day at a time, with the entropy of real ones.

What is random in real reads is random here: ids are 128 random bits, times have microseconds,
a third of the reads bring other candidates, senders number their reads each in their own way.
What is not, is not: a camera has one place, a vehicle one plate and state.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alpr.plates import canonical
from alpr.retention import Period, Retention, RetentionClass
from catalog.schemas import READS
from ingest.simulator.serials import PATTERNS, make_serials

Ints = npt.NDArray[np.int64]

SHARES: Final = {"statewide": 0.85, "county": 0.10, "city": 0.05}
"""Of the reads, by retention class."""

RETENTION: Final = Retention(
    {
        "bench": tuple(
            RetentionClass(
                name, "bench", frozenset({"read", "hit"}), Period(years=2), "UTC", "none", "bench"
            )
            for name in SHARES
        )
    },
    {},
    "bench",
)
"""Longer than the year that is made: what is purged is said by each benchmark."""

_COMMUTERS: Final = 0.35
"""Share of reads by vehicles that pass on most days."""

_SOURCES: Final = (
    ("platelake", "platelake-0.1.0"),
    ("openalpr", "3.1.0"),
    ("flock", "2025.9"),
    ("genetec", "5.13"),
)


@dataclass(frozen=True)
class World:
    """Cameras, agencies and vehicles; `reads` a day on average."""

    seed: int = 1
    reads: int = 273_300
    cameras: int = 1_500
    agencies: int = 40
    commuters: int = 250_000
    others: int = 6_000_000

    @cached_property
    def plates(self) -> tuple[pa.Array, pa.Array, pa.Array]:
        """Per vehicle: canonical plate, printed plate, state."""
        rng = np.random.default_rng((self.seed, 1))
        count = self.commuters + self.others
        states = sorted(PATTERNS)
        weights = rng.dirichlet(np.full(len(states), 0.3))
        state = rng.choice(len(states), count, p=weights)
        printed = np.empty(count, object)
        for index, name in enumerate(states):
            mine = np.flatnonzero(state == index)
            kinds = rng.integers(0, len(PATTERNS[name]), len(mine))
            for kind, pattern in enumerate(PATTERNS[name]):
                chosen = mine[kinds == kind]
                printed[chosen] = make_serials(pattern, len(chosen), rng)
        raw = pa.array(printed, pa.string())
        plain = pa.array([canonical(text) for text in printed], pa.string())
        return plain, raw, pa.array(states).take(pa.array(state))

    @cached_property
    def places(self) -> dict[str, npt.NDArray[np.float64]]:
        """Per camera: latitude, longitude, heading, and its share of the reads."""
        rng = np.random.default_rng((self.seed, 2))
        share = rng.lognormal(0.0, 1.0, self.cameras)
        return {
            "latitude": np.round(41.2 + 1.6 * rng.random(self.cameras), 5),
            "longitude": np.round(-73.4 + 3.4 * rng.random(self.cameras), 5),
            "heading": np.round(rng.uniform(0, 359.9, self.cameras), 1),
            "share": share / share.sum(),
        }

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """Per camera: its name, agency, class, and what reads its plates."""
        rng = np.random.default_rng((self.seed, 3))
        agency = rng.integers(0, self.agencies, self.cameras)
        # The classes' shares are those of cameras, and so roughly of reads.
        name = rng.choice(list(SHARES), self.agencies, p=list(SHARES.values()))
        return {
            "camera": [f"cam-{number:04d}" for number in range(self.cameras)],
            "agency": [f"agency-{number:03d}" for number in agency],
            "retention_class": [str(name[number]) for number in agency],
            "source": [_SOURCES[number % len(_SOURCES)][0] for number in range(self.cameras)],
            "source_version": [_SOURCES[n % len(_SOURCES)][1] for n in range(self.cameras)],
        }


def day_of_reads(world: World, day: date) -> pa.Table:
    """The reads captured on a day, in the columns of table `reads`, ordered by time of receipt."""
    number = day.toordinal()
    rng = np.random.default_rng((world.seed, 9, number))
    busy = (0.82, 1.0, 1.03, 1.05, 1.06, 1.1, 0.94)[day.isoweekday() % 7]
    count = int(world.reads * busy * rng.uniform(0.95, 1.05))
    camera = rng.choice(world.cameras, count, p=world.places["share"])
    vehicle = _vehicles(world, rng, count)
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
    captured = start + _times(rng, count)
    usual = 300_000 + rng.exponential(900_000, count)
    upload = rng.uniform(60e6, 14 * 3600e6, count)
    late = rng.random(count) < 0.03
    received = captured + np.where(late, upload, usual).astype(np.int64)
    order = np.argsort(received, kind="stable")
    camera, vehicle, captured, received = (
        values[order] for values in (camera, vehicle, captured, received)
    )
    plain, raw, state = (column.take(pa.array(vehicle)) for column in world.plates)
    columns: dict[str, pa.Array] = {
        "read_id": _hex(rng.bytes(16 * count)),
        "captured_at": pa.array(captured),
        "captured_on": pa.repeat(pa.scalar(day, pa.date32()), count),
        "received_at": pa.array(received),
        "plate": plain,
        "plate_raw": raw,
        "state": state,
        "confidence": pa.array(np.round(1 - rng.beta(1.2, 14, count), 4)),
        "state_confidence": pa.array(np.round(1 - rng.beta(1.1, 18, count), 4)),
        "candidates": _candidates(plain, rng),
        "frames": pa.array(rng.geometric(0.3, count).astype(np.int32)),
        "source_id": _source_ids(rng, camera, captured),
        "schema_version": pa.repeat(pa.scalar(1, pa.int32()), count),
        "source_topic": pa.repeat("reads", count),
        "source_partition": pa.array((camera % 4).astype(np.int32)),
        "source_offset": pa.array(number * world.reads // 4 + np.arange(count) // 4),
        # Committed every three seconds.
        "landed_at": pa.array((received // 3_000_000 + 1) * 3_000_000),
    }
    for name, values in world.names.items():
        columns[name] = (
            pa.array(values).dictionary_encode().take(pa.array(camera)).cast(pa.string())
        )
    for name in ("latitude", "longitude", "heading"):
        columns[name] = pa.array(world.places[name][camera])
    for name, length in (("crop", 3_000), ("overview", 24_000)):
        columns[name] = _images(name, columns["retention_class"], day, rng, length)
    schema = READS.arrow
    return pa.Table.from_arrays(
        [columns[field.name].cast(field.type) for field in schema], schema=schema
    )


def _vehicles(world: World, rng: np.random.Generator, count: int) -> Ints:
    regular = rng.random(count) < _COMMUTERS
    often = rng.integers(0, world.commuters, count)
    seldom = world.commuters + (world.others * rng.random(count) ** 1.5).astype(np.int64)
    return np.where(regular, often, seldom)


def _times(rng: np.random.Generator, count: int) -> Ints:
    """Microseconds into the day: two rush hours on top of an even share."""
    kind = rng.random(count)
    morning = rng.normal(8 * 3600, 3600, count)
    evening = rng.normal(17 * 3600, 5400, count)
    even = rng.uniform(0, 86_400, count)
    seconds = np.where(kind < 0.3, morning, np.where(kind < 0.65, evening, even))
    return (np.mod(seconds, 86_400) * 1e6).astype(np.int64)


def _hex(data: bytes) -> pa.Array:
    text = data.hex().encode()
    offsets = np.arange(0, len(text) + 1, 32, dtype=np.int64)
    return pa.Array.from_buffers(
        pa.large_string(),
        len(text) // 32,
        [None, pa.py_buffer(offsets), pa.py_buffer(text)],
    )


def _candidates(plain: pa.Array, rng: np.random.Generator) -> pa.Array:
    """Nothing for two reads of three; else the plate and two that differ in a character."""
    count = len(plain)
    has = rng.random(count) < 1 / 3
    ends = np.zeros(count + 1, np.int64)
    np.cumsum(np.where(has, 3, 0), out=ends[1:])
    own = plain.filter(pa.array(has))
    letters = pa.array(list("0123456789ABCDEFGHJKLMNPRSTUVWXYZ"))
    texts, scores = [own], [np.round(rng.beta(14, 1.2, len(own)), 4)]
    for _ in range(2):
        place = int(rng.integers(0, 6))
        letter = letters.take(pa.array(rng.integers(0, len(letters), len(own))))
        head = pc.utf8_slice_codeunits(own, 0, place)
        tail = pc.utf8_slice_codeunits(own, place + 1)
        texts.append(pc.binary_join_element_wise(head, letter, tail, ""))
        scores.append(np.round(scores[0] * rng.beta(1, 9, len(own)), 4))
    woven = np.arange(3 * len(own)).reshape(3, -1).T.ravel()
    flat = pa.concat_arrays([text.cast(pa.large_string()) for text in texts])
    kind = READS.arrow.field("candidates").type
    values = pa.StructArray.from_arrays(
        [flat.take(pa.array(woven)), pa.array(np.concatenate(scores)[woven])],
        fields=list(kind.value_type),
    )
    return pa.LargeListArray.from_arrays(pa.array(ends), values, type=kind)


_DASH: Final = pa.scalar("-", pa.large_string())


def _source_ids(rng: np.random.Generator, camera: Ints, captured: Ints) -> pa.Array:
    """A quarter are UUIDs, the others a camera's counter or its clock in milliseconds."""
    count = len(camera)
    hexes = _hex(rng.bytes(16 * count))
    parts = [
        pc.utf8_slice_codeunits(hexes, *span)
        for span in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    ]
    uuids = pc.binary_join_element_wise(*parts, _DASH)
    clocks = pc.binary_join_element_wise(
        pa.array(camera).cast(pa.large_string()),
        pa.array(captured // 1000).cast(pa.large_string()),
        _DASH,
    )
    counters = pa.array(camera * 1_000_003 + np.arange(count)).cast(pa.large_string())
    kind = camera % len(_SOURCES)
    return pc.if_else(pa.array(kind == 2), uuids, pc.if_else(pa.array(kind == 1), clocks, counters))


def _images(
    name: str, classes: pa.Array, day: date, rng: np.random.Generator, length: int
) -> pa.Array:
    """References into packs of 16 MB, filled in the order of receipt."""
    kind = READS.arrow.field(name).type
    size = rng.integers(length // 2, length * 3 // 2, len(classes))
    end = np.cumsum(size + 8)
    pack, offset = np.divmod(end, 16_000_000)
    folder = pc.binary_join_element_wise("images/class=", classes, f"/day={day}/{name}-", "")
    keys = pc.binary_join_element_wise(folder, pa.array(pack).cast(pa.string()), ".pack", "")
    return pa.StructArray.from_arrays(
        [keys.cast(pa.large_string()), pa.array(offset), pa.array(size.astype(np.int32))],
        fields=list(kind),
    )
