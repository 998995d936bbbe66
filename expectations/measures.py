"""What happened in an hour, in a few numbers: by camera, by category of hits, by state.

Worked out by DuckDB and Arrow over columns of the lake, whole spans at once. Numbers never
hold plates.
"""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from alpr.grammar import SERIALS, serial_pattern
from catalog.lake import Lake
from catalog.schemas import HITS, READS
from catalog.slices import hour_rows, span_rows

ENOUGH_PLATES = 50
"""Fewer plates of a state in an hour say nothing of its share that fit no serial."""

_CAMERA_COLUMNS = (
    "agency", "camera", "confidence", "state", "frames", "captured_at", "received_at",
)  # fmt: skip
_BY_CAMERA = """
    SELECT date_trunc('hour', captured_at) AS hour, agency, camera,
           count(*) AS reads,
           avg(confidence) AS confidence,
           avg((state IS NULL)::INT) AS stateless,
           avg(frames) AS frames,
           median(delay) AS delay,
           avg((delay < 0)::INT) AS ahead,
           max(captured_at) AS last_at
    FROM reads GROUP BY ALL ORDER BY ALL
"""
_CAMERA_SCHEMA = pa.schema(
    [
        ("hour", pa.timestamp("us", tz="UTC")),
        ("agency", pa.string()),
        ("camera", pa.string()),
        ("reads", pa.int64()),
        ("confidence", pa.float64()),
        ("stateless", pa.float64()),
        ("frames", pa.float64()),
        ("delay", pa.float64()),
        ("ahead", pa.float64()),
        ("last_at", pa.timestamp("us", tz="UTC")),
    ]
)
_BY_CATEGORY = """
    SELECT date_trunc('hour', captured_at) AS hour, agency, camera, category, count(*) AS hits
    FROM hits GROUP BY ALL ORDER BY ALL
"""
_HIT_SCHEMA = pa.schema(
    [
        ("hour", pa.timestamp("us", tz="UTC")),
        ("agency", pa.string()),
        ("camera", pa.string()),
        ("category", pa.string()),
        ("hits", pa.int64()),
    ]
)


def measure_cameras(lake: Lake, first: datetime, end: datetime) -> pa.Table:
    """A row for each hour of [first, end) and camera with reads in it.

    Columns as `catalog.hours.CAMERA_HOURS` has them. Takes about 60 bytes of memory a read.
    Raises as `catalog.slices.span_rows`.
    """
    parts = list(span_rows(lake, READS.name, first, end, columns=_CAMERA_COLUMNS))
    if not parts:
        return _CAMERA_SCHEMA.empty_table()
    reads = pa.concat_tables(parts, promote_options="permissive")
    delay = pc.subtract(
        reads["received_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()),
        reads["captured_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()),
    )
    reads = reads.append_column("delay", pc.divide(delay.cast(pa.float64()), 1e6))
    named = pc.and_(reads["agency"].is_valid(), reads["camera"].is_valid())
    return _query(_BY_CAMERA, "reads", reads.filter(named)).cast(_CAMERA_SCHEMA)


def measure_hits(lake: Lake, first: datetime, end: datetime) -> pa.Table:
    """A row for each hour of [first, end), camera and category with hits. Raises as above."""
    columns = ["captured_at", "agency", "camera", "category"]
    parts = list(span_rows(lake, HITS.name, first, end, columns=columns))
    if not parts:
        return _HIT_SCHEMA.empty_table()
    hits = pa.concat_tables(parts, promote_options="permissive").drop_null()
    return _query(_BY_CATEGORY, "hits", hits).cast(_HIT_SCHEMA)


def measure_states(lake: Lake, hour: datetime) -> pa.Table:
    """A row for each state whose serials are known: plates, and the share that fit none.

    The share is missing for fewer than ENOUGH_PLATES. Raises as `hour_rows`.
    """
    counts: dict[str, list[int]] = {}
    for part in hour_rows(lake, READS.name, hour, columns=["plate", "state"]):
        for state in pc.unique(part["state"]).to_pylist():
            if state not in SERIALS:
                continue
            plates = part["plate"].filter(pc.equal(part["state"], state))
            fit = pc.match_substring_regex(plates, serial_pattern(state))
            total = counts.setdefault(state, [0, 0])
            total[0] += len(plates)
            total[1] += len(plates) - (pc.sum(fit).as_py() or 0)
    states = sorted(counts)
    return pa.table(
        {
            "subject": pa.array(states, pa.string()),
            "plates": pa.array([counts[state][0] for state in states], pa.int64()),
            "unfit": pa.array(
                [
                    unfit / plates if plates >= ENOUGH_PLATES else None
                    for plates, unfit in (counts[state] for state in states)
                ],
                pa.float64(),
            ),
        }
    )


def _query(sql: str, name: str, rows: pa.Table) -> pa.Table:
    with duckdb.connect(":memory:", config={"threads": 2}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(name, rows)
        return connection.execute(sql).to_arrow_table()
