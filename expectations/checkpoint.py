"""Runs a suite over a part of the lake, and says what was found.

What takes two columns, or more than the table, is worked out beside the rows in whole columns;
Great Expectations (`expectations.engine`) then judges all of it and writes its pages. These and
our findings hold counts, never the offending values: a plate written there would outlive its
read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alpr.errors import Corrupt
from alpr.places import STATES
from catalog.idindex import Ids as HashedIds
from catalog.idindex import id_bytes
from catalog.lake import Lake
from catalog.schemas import TABLES
from catalog.slices import day_rows, hour_rows, newest_commit_rows, span_rows
from expectations.engine import judge
from expectations.findings import Finding, Outcome
from expectations.registry import Registry
from expectations.specs import (
    Columns,
    InState,
    Known,
    LocalDay,
    NotAfter,
    RefersTo,
    Rule,
    Suite,
    Together,
    Unique,
)

REFERENCE_GRACE: Final = timedelta(minutes=2)
"""A hit may be committed before the read it refers to; younger ones are not judged."""

MAX_ROWS: Final = 500_000
"""Rows validated at once, and so the memory."""

NO_REGISTRY: Final = "no registry of cameras was given, so none is known: name its file"

Ids = Mapping[str, pa.Array]
"""Per table the ids that other tables may refer to."""


def check_day(
    lake: Lake, suite: Suite, day: date, now: datetime, pages: Path | None = None
) -> Iterator[Outcome]:
    """Check the rows of a day of capture, in parts. Raises as `catalog.slices.day_rows`."""
    parts = day_rows(lake, suite.table, day, max_rows=MAX_ROWS)
    for number, rows in enumerate(parts, start=1):
        yield run(suite, rows, _references(lake, suite, rows), now, f"{day}-{number}", pages)


def check_newest_commit(
    lake: Lake, suite: Suite, now: datetime, pages: Path | None = None
) -> Iterator[Outcome]:
    """Check what the newest commit added. Raises as `catalog.slices.newest_commit_rows`."""
    parts = newest_commit_rows(lake, suite.table, max_rows=MAX_ROWS)
    for number, rows in enumerate(parts, start=1):
        part = f"newest-commit-{number}"
        yield run(suite, rows, _references(lake, suite, rows), now, part, pages)


def check_hour(
    lake: Lake, suite: Suite, hour: datetime, now: datetime, pages: Path | None = None
) -> Iterator[Outcome]:
    """Check the rows captured in an hour (UTC), in parts; ids over the whole hour.

    The same event has the same time of capture in every copy, so an id can only be doubled
    within its hour. Raises as `catalog.slices.hour_rows`.
    """
    doubled = _doubled(lake, suite.table, hour)
    parts = hour_rows(lake, suite.table, hour, max_rows=MAX_ROWS)
    for number, rows in enumerate(parts, start=1):
        part = f"{hour:%Y-%m-%dT%H}-{number}"
        ids = _references(lake, suite, rows)
        yield replace(run(suite, rows, ids, now, part, pages, doubled=doubled), hour=hour)


def run(
    suite: Suite,
    rows: pa.Table,
    ids: Ids,
    now: datetime,
    part: str = "rows",
    pages: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
    *,
    doubled: pa.Array | None = None,
) -> Outcome:
    """Hold rows against a suite. `ids` serve the rules that refer to other tables.

    `doubled`: ids that occur more than once in the whole that the rows are a part of; without
    it the rows themselves are that whole. A rule that cannot be evaluated (a column is missing,
    or of another type) does not hold; one that lacks what it is judged by is not judged.
    """
    started = clock()
    early = _not_run(suite, rows)
    asked = [rule for rule in suite.rules if rule not in early]
    beside = _beside(suite.table, asked, rows, ids, now, doubled)
    judged = judge(suite.table, part, _frame(rows, beside).to_pandas(), asked, tuple(beside), pages)
    found = dict(zip(asked, judged.findings, strict=True))
    return Outcome(
        table=suite.table,
        part=part,
        rows=rows.num_rows,
        findings=tuple(early.get(rule) or found[rule] for rule in suite.rules),
        seconds=round(clock() - started, 3),
        pages=None if pages is None else pages / "index.html",
        page=judged.page,
    )


def run_numbers(
    suite: Suite,
    numbers: pa.Table,
    part: str,
    pages: Path | None = None,
    why_not: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Hold numbers about subjects (cameras, categories, …) against a suite.

    A rule for which no subject has a value is not judged; `why_not` says why, by column.
    """
    started = clock()
    if not numbers.num_rows:
        nothing = tuple(
            Finding(rule.title, None, 0, 0, "there was nothing to judge") for rule in suite.rules
        )
        return Outcome(suite.table, part, 0, nothing, 0.0)
    judged = judge(suite.table, part, numbers.to_pandas(), suite.rules, (), pages)
    findings = []
    for rule, finding in zip(suite.rules, judged.findings, strict=True):
        column = rule.columns[-1]
        if not finding.checked and finding.ok:
            told = (why_not or {}).get(column, "there was nothing to judge")
            finding = replace(finding, ok=None, error=told)
        findings.append(finding)
    return Outcome(
        table=suite.table,
        part=part,
        rows=numbers.num_rows,
        findings=tuple(findings),
        seconds=round(clock() - started, 3),
        pages=None if pages is None else pages / "index.html",
        page=judged.page,
    )


def _not_run(suite: Suite, rows: pa.Table) -> dict[Rule, Finding]:
    """Findings of rules that are not put to the engine: mistyped columns, nothing to judge by."""
    found: dict[Rule, Finding] = {}
    mistyped = _mistyped(suite.table, rows.schema)
    for rule in suite.rules:
        if isinstance(rule, Known | InState) and rule.registry is None:
            found[rule] = Finding(rule.title, None, 0, 0, NO_REGISTRY)
        elif not isinstance(rule, Columns) and (
            wrong := [mistyped[name] for name in rule.columns if name in mistyped]
        ):
            # Never evaluated: what an engine says of a value it cannot handle may quote it.
            found[rule] = Finding(rule.title, False, 0, 0, "; ".join(wrong))
    return found


def _mistyped(table: str, schema: pa.Schema) -> dict[str, str]:
    if table not in TABLES:
        return {}
    wrong = {}
    for field in TABLES[table].arrow:
        if field.name in schema.names:
            kind = schema.field(field.name).type
            if _kind(kind) != _kind(field.type):
                wrong[field.name] = f"{field.name} is {kind}, but {field.type} is required"
    return wrong


def _kind(kind: pa.DataType) -> str:
    """What a type is to a rule: the width of a number or of a text's offsets is nothing."""
    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    for name, test in (
        ("text", pa.types.is_string),
        ("text", pa.types.is_large_string),
        ("whole", pa.types.is_integer),
        ("number", pa.types.is_floating),
        ("nested", pa.types.is_nested),
    ):
        if test(kind):
            return name
    if pa.types.is_timestamp(kind):
        return "moment" if kind.tz is not None else "time without a zone"
    return str(kind)


def _beside(
    table: str,
    rules: Sequence[Rule],
    rows: pa.Table,
    ids: Ids,
    now: datetime,
    doubled: pa.Array | None,
) -> dict[str, pa.ChunkedArray]:
    """Yes or no a row, for each rule that takes more than a column, under its title."""
    beside: dict[str, pa.ChunkedArray] = {}
    for rule in rules:
        if not set(rule.columns) <= set(rows.column_names):
            continue
        match rule:
            case NotAfter(earlier, later, slack):
                limit = pc.add(rows[later], pa.scalar(slack, pa.duration("us")))
                beside[rule.title] = pc.less_equal(rows[earlier], limit)
            case Together(columns):
                beside[rule.title] = _all_equal([rows[name].is_valid() for name in columns])
            case RefersTo(column, other):
                known = pc.is_in(rows[column], value_set=ids[other])
                recent = pa.scalar(now - REFERENCE_GRACE, pa.timestamp("us", tz="UTC"))
                beside[rule.title] = pc.or_(known, pc.greater(rows["landed_at"], recent))
            case LocalDay(day, moment):
                utc = rows[moment].cast(pa.timestamp("us", tz="UTC")).cast(pa.date32())
                apart = pc.subtract(rows[day].cast(pa.int32()), utc.cast(pa.int32()))
                beside[rule.title] = pc.less_equal(pc.abs(apart), 1)
            case Known(registry) if registry is not None:
                beside[rule.title] = pc.is_in(
                    names_of(rows), value_set=pa.array(registry.by_name, pa.string())
                )
            case InState(registry) if registry is not None:
                beside[rule.title] = _in_state(rows, registry)
            case Unique((column,)) if doubled is not None and table in TABLES:
                if column == TABLES[table].id_column:
                    beside[rule.title] = pc.invert(
                        pc.is_in(rows[column].cast(pa.string()), value_set=doubled)
                    )
            case _:
                pass
    return beside


def names_of(rows: pa.Table) -> pa.ChunkedArray:
    """`agency/camera` of each row."""
    return pc.binary_join_element_wise(
        rows["agency"].cast(pa.string()), rows["camera"].cast(pa.string()), "/"
    )


def _in_state(rows: pa.Table, registry: Registry) -> pa.ChunkedArray:
    """Whether each place is in its camera's state; no value where it cannot be told."""
    cameras = list(registry.by_name.values())
    boxes = [STATES[camera.state] for camera in cameras]
    place = pc.index_in(names_of(rows), value_set=pa.array(registry.by_name, pa.string()))
    at = np.asarray(pc.fill_null(place, -1))
    latitude, longitude = (
        np.asarray(pc.fill_null(rows[name].cast(pa.float64()), float("nan")))
        for name in ("latitude", "longitude")
    )
    south, north, west, east = (
        np.array([getattr(box, side) for box in boxes])[at]
        for side in ("south", "north", "west", "east")
    )
    beyond, before = longitude >= west, longitude <= east
    inside = (
        (latitude >= south)
        & (latitude <= north)
        & np.where(west <= east, beyond & before, beyond | before)
    )
    unknown = (at < 0) | np.isnan(latitude) | np.isnan(longitude)
    return pa.chunked_array([pa.array(inside, mask=unknown)])


def _frame(rows: pa.Table, beside: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    """The rows as the rules see them: of a nested value only whether it is there."""
    frame = rows
    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            given = pc.if_else(rows[field.name].is_valid(), True, pa.scalar(None, pa.bool_()))
            frame = frame.set_column(place, field.name, given)
    for title, column in beside.items():
        frame = frame.append_column(title, column)
    return frame


def _all_equal(columns: list[pa.ChunkedArray]) -> pa.ChunkedArray:
    same = pc.equal(columns[0], columns[0])
    for column in columns[1:]:
        same = pc.and_(same, pc.equal(columns[0], column))
    return same


def _references(lake: Lake, suite: Suite, rows: pa.Table) -> Ids:
    """The ids that the rows may refer to: captured at the same time, read after the rows were."""
    found: dict[str, pa.Array] = {}
    for rule in suite.references:
        column = TABLES[rule.table].id_column
        moments = pc.min_max(rows["captured_at"])
        chunks: Iterable[pa.Array] = ()
        if moments["min"].is_valid:
            # A microsecond more: the end is not in the span.
            first, last = moments["min"].as_py(), moments["max"].as_py()
            parts = span_rows(
                lake, rule.table, first, last + timedelta(microseconds=1), columns=[column]
            )
            chunks = [chunk for p in parts for chunk in p[column].cast(pa.string()).chunks]
        found[rule.table] = pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())
    return found


def _doubled(lake: Lake, table: str, hour: datetime) -> pa.Array | None:
    """The ids that occur more than once in an hour, in 16 bytes of memory an id.

    None if one is no id: then the rows' own rule says so.
    """
    column = TABLES[table].id_column
    batches = []
    try:
        for part in hour_rows(lake, table, hour, columns=[column]):
            if part[column].null_count:
                return None
            batches.append(HashedIds.of(id_bytes(part[column].cast(pa.string()))))
    except (Corrupt, KeyError, pa.ArrowInvalid):
        return None
    ids = HashedIds.join(batches)
    again = ids.where(ids.repeated())
    return pa.array(
        sorted({f"{high:016x}{low:016x}" for high, low in zip(again.high, again.low, strict=True)}),
        pa.string(),
    )
