"""What went in against what is there: topics and lake compared, message by row.

Nothing here asks the jobs. Reads and hits are taken from the topics as any consumer would;
rows are read by DuckDB and counted again by pyiceberg; the hits that should be are joined
anew, in SQL, from the rows and the lists. The demo, the fault tests and the soak use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from alpr.records import HotlistEntry
from catalog.lake import Lake
from catalog.query import connect
from ingest.codecs import decode_hit, decode_read
from ingest.consumer import snapshot
from ingest.topics import DEAD_LETTERS, HITS, READS

_EXPECTED_HITS = """
    SELECT r.read_id, e.entry_id
    FROM reads r JOIN entries e
      ON translate(r.plate, 'OI', '01') = translate(e.plate, 'OI', '01')
     AND e.valid_from <= r.captured_at
     AND (e.valid_to IS NULL OR r.captured_at < e.valid_to)
"""


@dataclass(frozen=True)
class Arrived:
    """A record from a topic, and when the broker got it (Unix seconds)."""

    record: Any
    at: float


@dataclass(frozen=True)
class Arrivals:
    """Every read and hit on the topics, in the order of partitions and offsets."""

    reads: list[Arrived]
    hits: list[Arrived]
    dead_letters: int
    """Different messages that could not be used."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The comparison. Emitted: different ids on the topic. Repeated: messages beyond these.

    Landed: rows in the lake. Doubled: rows beyond the first of an id. Missing: emitted and
    without a row, or implied by the rows and the list and not emitted. Unexplained: the reverse.
    """

    reads_emitted: int
    reads_repeated: int
    reads_landed: int
    reads_missing: int
    reads_doubled: int
    reads_unexplained: int
    hits_expected: int
    hits_emitted: int
    hits_repeated: int
    hits_missing: int
    hits_unexplained: int
    hits_landed: int
    hits_not_landed: int
    hits_doubled: int
    dead_letters: int
    engines_agree: bool
    """DuckDB and pyiceberg count the same rows."""

    @property
    def sound(self) -> bool:
        """Every read and hit is there exactly once; repeats on the topics are allowed."""
        return self.engines_agree and not (
            self.reads_missing
            or self.reads_doubled
            or self.reads_unexplained
            or self.hits_missing
            or self.hits_unexplained
            or self.hits_not_landed
            or self.hits_doubled
            or self.dead_letters
        )


def arrivals(bootstrap: str) -> Arrivals:
    """What the topics hold now. Raises Unavailable, and BadInput for a message of no schema."""
    return Arrivals(
        [Arrived(decode_read(m.value), m.timestamp_ms / 1000) for m in snapshot(bootstrap, READS)],
        [Arrived(decode_hit(m.value), m.timestamp_ms / 1000) for m in snapshot(bootstrap, HITS)],
        len({m.key for m in snapshot(bootstrap, DEAD_LETTERS)}),
    )


def balance(seen: Arrivals, lake: Lake, entries: Sequence[HotlistEntry]) -> Balance:
    """Compare the topics with the lake, and its rows with the lists.

    Take the topics before the lake, while nothing is being sent: rows are younger than messages.
    Raises Unavailable when catalogue or store do not answer.
    """
    engine = connect(lake)
    try:
        rows = [row[0] for row in engine.execute("SELECT read_id FROM reads").fetchall()]
        hit_rows = engine.execute("SELECT read_id, entry_id FROM hits").fetchall()
        expected = _expected_hits(engine, entries)
    finally:
        engine.close()
    emitted = {arrived.record.read_id for arrived in seen.reads}
    hits = {(a.record.read_id, a.record.entry_id) for a in seen.hits}
    landed, hits_landed = set(rows), set(hit_rows)
    return Balance(
        reads_emitted=len(emitted),
        reads_repeated=len(seen.reads) - len(emitted),
        reads_landed=len(rows),
        reads_missing=len(emitted - landed),
        reads_doubled=len(rows) - len(landed),
        reads_unexplained=len(landed - emitted),
        hits_expected=len(expected),
        hits_emitted=len(hits),
        hits_repeated=len(seen.hits) - len(hits),
        hits_missing=len(expected - hits),
        hits_unexplained=len(hits - expected) + len(hits_landed - hits),
        hits_landed=len(hit_rows),
        hits_not_landed=len(hits - hits_landed),
        hits_doubled=len(hit_rows) - len(hits_landed),
        dead_letters=seen.dead_letters,
        engines_agree=lake.table("reads").scan().count() == len(rows)
        and lake.table("hits").scan().count() == len(hit_rows),
    )


def _expected_hits(
    engine: duckdb.DuckDBPyConnection, entries: Sequence[HotlistEntry]
) -> set[tuple[str, str]]:
    instant = pa.timestamp("us", tz="UTC")
    listed = pa.table(
        {
            "entry_id": pa.array([e.entry_id for e in entries], pa.string()),
            "plate": pa.array([e.plate for e in entries], pa.string()),
            "valid_from": pa.array([e.valid_from for e in entries], instant),
            "valid_to": pa.array([e.valid_to for e in entries], instant),
        }
    )
    engine.register("entries", listed)
    return {(read, entry) for read, entry in engine.execute(_EXPECTED_HITS).fetchall()}
