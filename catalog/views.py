"""The views that investigators ask, as data: one text for every engine.

Each is written in the SQL that DuckDB and Trino share. What they name differently is in
`DUCKDB_MACROS`, which teach DuckDB the other's words: nothing else knows of a difference.
Columns and types are stated here because both engines must give the same, row for row.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyiceberg.schema import Schema
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

DUCKDB_MACROS = (
    "CREATE OR REPLACE TEMP MACRO to_unixtime(moment) AS epoch(moment)",
    "CREATE OR REPLACE TEMP MACRO cardinality(items) AS len(items)",
)
"""Run on a DuckDB connection before the views are made."""


@dataclass(frozen=True)
class View:
    """One view: its name beside the tables, what a row is, its columns, and its SELECT.

    The SELECT names tables without catalogue or schema, gives its columns in the order of
    `schema`, and ends without a semicolon.
    """

    name: str
    comment: str
    schema: Schema
    select: str


def _columns(*columns: tuple[str, IcebergType, str]) -> Schema:
    # None is required: what an outer join or a mean of nothing gives is not known here.
    return Schema(
        *(
            NestedField(number, name, kind, doc=doc or None, required=False)
            for number, (name, kind, doc) in enumerate(columns, 1)
        )
    )


_TEXT, _DOUBLE, _LONG, _INT = StringType(), DoubleType(), LongType(), IntegerType()
_TIME, _DATE, _BOOLEAN = TimestamptzType(), DateType(), BooleanType()

SIGHTINGS = View(
    "sightings",
    "One row a read, in the columns one asks by; what a machine thought it saw.",
    _columns(
        ("read_id", _TEXT, ""),
        ("plate", _TEXT, "normalised"),
        ("state", _TEXT, "issuing state; null where it was not read"),
        ("captured_at", _TIME, ""),
        ("captured_on", _DATE, "local day of capture"),
        ("agency", _TEXT, ""),
        ("camera", _TEXT, ""),
        ("latitude", _DOUBLE, "degrees"),
        ("longitude", _DOUBLE, "degrees"),
        ("heading", _DOUBLE, "degrees clockwise from north"),
        ("confidence", _DOUBLE, "0 to 1"),
        ("other_readings", _LONG, "how many other readings were thought possible"),
        ("has_picture", _BOOLEAN, ""),
        ("seconds_to_arrive", _DOUBLE, "from capture to receipt"),
        ("retention_class", _TEXT, ""),
    ),
    """
SELECT
  read_id, plate, state, captured_at, captured_on, agency, camera,
  latitude, longitude, heading, confidence,
  CAST(cardinality(candidates) AS bigint) AS other_readings,
  crop IS NOT NULL OR overview IS NOT NULL AS has_picture,
  to_unixtime(received_at) - to_unixtime(captured_at) AS seconds_to_arrive,
  retention_class
FROM reads
""".strip(),
)

HIT_LOG = View(
    "hit_log",
    "One row a hit, beside the read it came from as long as the lake has it.",
    _columns(
        ("hit_id", _TEXT, ""),
        ("captured_at", _TIME, ""),
        ("captured_on", _DATE, "local day of capture"),
        ("agency", _TEXT, ""),
        ("camera", _TEXT, ""),
        ("plate", _TEXT, "as read"),
        ("state", _TEXT, "issuing state as read"),
        ("entry_plate", _TEXT, "as on the hot list"),
        ("entry_state", _TEXT, "as on the hot list"),
        ("category", _TEXT, ""),
        ("priority", _INT, "1 is the highest"),
        ("match", _TEXT, "how the plates agree"),
        ("state_match", _TEXT, "how the states agree"),
        ("alert", _BOOLEAN, "false: a repetition within the cool-down"),
        ("entry_id", _TEXT, ""),
        ("list_version", _TEXT, ""),
        ("seconds_to_match", _DOUBLE, "from capture to match"),
        ("read_id", _TEXT, ""),
        ("read_kept", _BOOLEAN, "whether the read is in the lake"),
        ("plate_raw", _TEXT, "as the sender gave it; null without the read"),
        ("read_confidence", _DOUBLE, "0 to 1; null without the read"),
        ("has_picture", _BOOLEAN, ""),
        ("retention_class", _TEXT, "of the hit"),
    ),
    # By time too: the files' bounds of captured_at let an engine pass over the other days.
    """
SELECT
  h.hit_id, h.captured_at, h.captured_on, h.agency, h.camera, h.plate, h.state,
  h.entry_plate, h.entry_state, h.category, h.priority, h."match", h.state_match, h.alert,
  h.entry_id, h.list_version,
  to_unixtime(h.matched_at) - to_unixtime(h.captured_at) AS seconds_to_match,
  h.read_id,
  r.read_id IS NOT NULL AS read_kept,
  r.plate_raw,
  r.confidence AS read_confidence,
  r.crop IS NOT NULL OR r.overview IS NOT NULL AS has_picture,
  h.retention_class
FROM hits h
LEFT JOIN reads r ON r.captured_at = h.captured_at AND r.read_id = h.read_id
""".strip(),
)

_RATES = (
    ("reads", _LONG, ""),
    ("plates", _LONG, "different ones"),
    ("without_state", _LONG, "reads whose issuing state was not read"),
    ("unsure", _LONG, "reads with a confidence below 0.5"),
    ("mean_confidence", _DOUBLE, "0 to 1"),
    ("first_at", _TIME, ""),
    ("last_at", _TIME, ""),
)
_RATE_COLUMNS = """
  count(*) AS reads,
  count(DISTINCT plate) AS plates,
  count(*) - count(state) AS without_state,
  count(CASE WHEN confidence < 0.5 THEN 1 END) AS unsure,
  avg(confidence) AS mean_confidence,
  min(captured_at) AS first_at,
  max(captured_at) AS last_at
""".strip("\n")

CAMERA_DAYS = View(
    "camera_days",
    "One row a camera and local day: how much it saw and how well.",
    _columns(
        ("agency", _TEXT, ""),
        ("camera", _TEXT, ""),
        ("captured_on", _DATE, "local day of capture"),
        *_RATES,
    ),
    f"""
SELECT
  agency, camera, captured_on,
{_RATE_COLUMNS}
FROM reads
GROUP BY agency, camera, captured_on
""".strip(),  # noqa: S608 nobody's words go in
)

CAMERA_HOURS = View(
    "camera_hours",
    "One row a camera and hour: a rate that drops says that a camera is blind or turned.",
    _columns(
        ("agency", _TEXT, ""),
        ("camera", _TEXT, ""),
        ("captured_on", _DATE, "local day of capture"),
        ("hour", _TIME, "UTC, its beginning"),
        *_RATES,
    ),
    f"""
SELECT
  agency, camera, captured_on, date_trunc('hour', captured_at) AS "hour",
{_RATE_COLUMNS}
FROM reads
GROUP BY agency, camera, captured_on, date_trunc('hour', captured_at)
""".strip(),  # noqa: S608 nobody's words go in
)

HIT_DAYS = View(
    "hit_days",
    "One row a local day, agency and category: hits, and how many of them alerted somebody.",
    _columns(
        ("captured_on", _DATE, "local day of capture"),
        ("agency", _TEXT, ""),
        ("category", _TEXT, ""),
        ("hits", _LONG, ""),
        ("alerts", _LONG, "hits that were no repetition"),
        ("exact", _LONG, "hits whose plate agreed letter for letter"),
        ("plates", _LONG, "different ones, as on the hot lists"),
    ),
    """
SELECT
  captured_on, agency, category,
  count(*) AS hits,
  count(CASE WHEN alert THEN 1 END) AS alerts,
  count(CASE WHEN "match" = 'exact' THEN 1 END) AS exact,
  count(DISTINCT entry_plate) AS plates
FROM hits
GROUP BY captured_on, agency, category
""".strip(),
)

VIEWS = {view.name: view for view in (SIGHTINGS, HIT_LOG, CAMERA_DAYS, CAMERA_HOURS, HIT_DAYS)}
