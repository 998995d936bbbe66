"""Reads and hot list for the benchmarks: how many, how large, how many of them hit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from alpr.ids import entry_id
from alpr.plates import canonical
from alpr.records import HotlistEntry
from beam_jobs.io.consumer import RdKafkaConsumer
from ingest.codecs import message_key
from ingest.feed.send import pace
from ingest.hotlists.snapshot import write_snapshot
from ingest.producer import Producer
from ingest.simulator.reads import Traffic, draw_reads, lines
from ingest.simulator.serials import PATTERNS, make_serials
from ingest.topics import HITS, READS, end_offsets

WANTED_VEHICLES: Final = 200
"""Vehicles on the hot list that do pass; all other entries never match."""


class _Routed(msgspec.Struct):
    agency: str
    camera: str
    plate: str


class _Hit(msgspec.Struct):
    read_id: str


class _Read(msgspec.Struct):
    read_id: str


_routed = msgspec.json.Decoder(_Routed)
_hits = msgspec.json.Decoder(_Hit)
_reads = msgspec.json.Decoder(_Read)


class Messages(NamedTuple):
    """Messages of the reads topic, and the plates of those that are to hit."""

    keys: list[bytes]
    values: list[bytes]
    wanted: set[str]

    @property
    def mean_bytes(self) -> float:
        """Mean size of a value."""
        return sum(map(len, self.values)) / len(self.values)


def make_messages(seed: int, count: int, hit_share: float) -> Messages:
    """Exactly `count` messages, of which about `hit_share` are of wanted vehicles.

    Late, repeated and wrong reads are among them at the simulator's usual rates. The wanted
    vehicles are the same whatever the seed; the reads are not.
    """
    rng = np.random.default_rng(seed)
    hits = round(count * hit_share)
    start = datetime.now(UTC) - timedelta(seconds=count / 1000)
    usual = _lines(Traffic(seed=seed, start=start, reads=count - hits), count - hits)
    wanted = _lines(Traffic(seed=1, start=start, reads=hits or 1, vehicles=WANTED_VEHICLES), hits)
    order = rng.permutation(count)
    both = usual + wanted
    values = [both[i] for i in order]
    keys = [message_key(r.agency, r.camera) for r in map(_routed.decode, values)]
    return Messages(keys, values, {_routed.decode(value).plate for value in wanted})


def _lines(traffic: Traffic, count: int) -> list[bytes]:
    drawn: list[bytes] = []
    for chunk in lines(traffic, draw_reads(traffic)):
        drawn += [line.rstrip() for line in chunk.to_pylist()]
    return drawn[:count]


def write_hotlist(store: Path, wanted: set[str], entries: int) -> None:
    """Put a hot list of so many entries in force: the wanted plates, and others that never pass."""
    now, rng = datetime.now(UTC), np.random.default_rng(7)
    states = sorted(PATTERNS)
    others: list[str] = []
    for state in states:
        each = -(-(entries - len(wanted)) // len(states))
        others += [canonical(text) for text in make_serials(PATTERNS[state][0], each, rng)]
    plates = sorted(wanted) + others[: entries - len(wanted)]
    write_snapshot(
        store,
        (
            HotlistEntry(
                entry_id=entry_id("bench", str(number)),
                source="bench",
                plate=plate,
                category="bolo",
                valid_from=now - timedelta(days=30),
            )
            for number, plate in enumerate(plates)
        ),
        now,
        0,
    )


def send(bootstrap: str, messages: Messages, rate: float | None = None) -> float:
    """Send the messages, at most `rate` a second; seconds it took."""
    begin = time.monotonic()
    wait = pace(rate, time.monotonic, time.sleep)
    with Producer(bootstrap, linger_ms=5 if rate else 20) as producer:
        for key, value in zip(messages.keys, messages.values, strict=True):
            wait()
            producer.send(READS, key=key, value=value)
    return time.monotonic() - begin


class Marks(NamedTuple):
    """Where the topics end at a moment."""

    reads: dict[int, int]
    hits: dict[int, int]

    @staticmethod
    def now(bootstrap: str) -> Marks:
        """Ask the broker."""
        return Marks(end_offsets(bootstrap, READS), end_offsets(bootstrap, HITS))


def read_to_hit_ms(bootstrap: str, begin: Marks, end: Marks) -> list[float]:
    """Milliseconds from a read's arrival in its topic to its first hit's, by the broker's clock."""
    arrived: dict[str, int] = {}
    for stamp, value in _between(bootstrap, READS, begin.reads, end.reads):
        arrived.setdefault(_reads.decode(value).read_id, stamp)
    first: dict[str, int] = {}
    for stamp, value in _between(bootstrap, HITS, begin.hits, end.hits):
        read_id = _hits.decode(value).read_id
        first[read_id] = min(stamp, first.get(read_id, stamp))
    return [
        float(stamp - arrived[read_id]) for read_id, stamp in first.items() if read_id in arrived
    ]


def _between(
    bootstrap: str, topic: str, begin: dict[int, int], end: dict[int, int]
) -> Iterator[tuple[int, bytes]]:
    left = {p: end[p] - begin[p] for p in end if end[p] > begin[p]}
    consumer = RdKafkaConsumer(bootstrap)
    try:
        consumer.assign(topic, {p: begin[p] for p in left})
        while left:
            for partition, columns in consumer.poll(1.0, 5000).items():
                for offset, stamp, value in zip(
                    columns.offsets, columns.timestamps_ms, columns.values, strict=True
                ):
                    if offset < end[partition] and value is not None:
                        yield stamp, value
                if columns.offsets[-1] + 1 >= end[partition]:
                    left.pop(partition, None)
    finally:
        consumer.close()
