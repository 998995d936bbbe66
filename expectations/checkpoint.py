"""Runs a suite over a part of the lake with Great Expectations, and says what was found.

Off the hot path: a validation costs far more than a row. Great Expectations is imported when
the first check runs, keeps nothing on disk but the pages asked for, and sends nothing home.
Its pages and our findings hold counts, never the offending values: a plate written there
would outlive its read.
"""

from __future__ import annotations

import gc
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from catalog.lake import Lake
from catalog.schemas import TABLES
from catalog.slices import day_rows, newest_commit_rows
from expectations.specs import (
    Between,
    Columns,
    Matches,
    NotAfter,
    NotNull,
    OneOf,
    RefersTo,
    Rule,
    Suite,
    Together,
    Unique,
)

REFERENCE_GRACE: Final = timedelta(minutes=2)
"""A hit may be committed before the read it refers to; younger ones are not judged."""

MAX_ROWS: Final = 500_000
"""Rows validated at once, and so the memory; identity is judged within such a part."""

Ids = Mapping[str, pa.Array]
"""Per table the ids that other tables may refer to."""


@dataclass(frozen=True)
class Finding:
    """What one rule found: of `checked` rows `unexpected` break it; `error` if it could not run."""

    rule: str
    ok: bool
    checked: int
    unexpected: int
    error: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a suite found in one part of a table."""

    table: str
    part: str
    rows: int
    findings: tuple[Finding, ...]
    seconds: float
    pages: Path | None = None
    """The start page of the Data Docs, if any were asked for."""

    @property
    def ok(self) -> bool:
        """Whether every rule holds."""
        return all(finding.ok for finding in self.findings)

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that do not hold."""
        return tuple(finding for finding in self.findings if not finding.ok)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self) | {"ok": self.ok, "pages": str(self.pages) if self.pages else None}


def check_day(
    lake: Lake, suite: Suite, day: date, now: datetime, pages: Path | None = None
) -> Iterator[Outcome]:
    """Check the rows captured on a day (UTC). Raises as `catalog.slices.day_rows`."""
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


def run(
    suite: Suite,
    rows: pa.Table,
    ids: Ids,
    now: datetime,
    part: str = "rows",
    pages: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Hold rows against a suite. `ids` serve the rules that refer to other tables.

    A rule that cannot be evaluated (a column is missing) does not hold.
    """
    started = clock()
    gx = _great_expectations()
    beside = _beside(suite, rows, ids, now)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    if pages is not None:
        context.add_data_docs_site(site_name="pages", site_config=_site(pages))
    name = f"{suite.table}-{part}"
    whole = (
        context.data_sources.add_pandas("lake")
        .add_dataframe_asset(suite.table)
        .add_batch_definition_whole_dataframe(part)
    )
    checks = context.suites.add(gx.ExpectationSuite(name=suite.table))
    for rule in suite.rules:
        checks.add_expectation(_expectation(gx.expectations, rule, tuple(beside)))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=name, data=whole, suite=checks)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            actions=[]
            if pages is None
            else [gx.checkpoint.UpdateDataDocsAction(name="pages", site_names=["pages"])],
            result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
        )
    )
    frame = _frame(rows, beside).to_pandas()
    done = checkpoint.run(batch_parameters={"dataframe": frame})
    findings = tuple(
        _finding(result, rows.num_rows)
        for validation in done.run_results.values()
        for result in validation.results
    )
    # A context knows every result it made, and they the rows: each run gets a new one, and
    # the old goes now, circles and all.
    del context, whole, checks, definition, checkpoint, done, frame
    gc.collect()
    return Outcome(
        table=suite.table,
        part=part,
        rows=rows.num_rows,
        findings=findings,
        seconds=round(clock() - started, 3),
        pages=None if pages is None else pages / "index.html",
    )


def _great_expectations() -> Any:
    # It asks when it is imported.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what it imports itself
        import great_expectations
        import great_expectations.checkpoint
        import great_expectations.expectations
    return great_expectations


def _site(pages: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(pages.absolute()),
        },
    }


def _expectation(gxe: Any, rule: Rule, beside: tuple[str, ...]) -> Any:
    said = {"meta": {"rule": rule.title}, "description": rule.title}
    match rule:
        case Columns(columns):
            return gxe.ExpectTableColumnsToMatchSet(
                column_set=[*columns, *beside], exact_match=True, **said
            )
        case NotNull(column):
            return gxe.ExpectColumnValuesToNotBeNull(column=column, **said)
        case Between(column, low, high, below):
            return gxe.ExpectColumnValuesToBeBetween(
                column=column, min_value=low, max_value=high, strict_max=below, **said
            )
        case Matches(column, pattern):
            return gxe.ExpectColumnValuesToMatchRegex(column=column, regex=pattern, **said)
        case OneOf(column, values):
            return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), **said)
        case Unique((column,)):
            return gxe.ExpectColumnValuesToBeUnique(column=column, **said)
        case Unique(columns):
            return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns), **said)
        case NotAfter() | Together() | RefersTo():
            # Worked out beside the rows, since it takes two columns or two tables.
            return gxe.ExpectColumnValuesToBeInSet(column=rule.title, value_set=[True], **said)


def _beside(suite: Suite, rows: pa.Table, ids: Ids, now: datetime) -> dict[str, pa.ChunkedArray]:
    """Yes or no a row, for each rule that takes two columns or two tables, under its title."""
    beside: dict[str, pa.ChunkedArray] = {}
    for rule in suite.rules:
        if not set(rule.columns) <= set(rows.column_names):
            continue
        match rule:
            case NotAfter(earlier, later, slack):
                limit = pc.add(rows[later], pa.scalar(slack, pa.duration("us")))
                beside[rule.title] = pc.less_equal(rows[earlier], limit)
            case Together(columns):
                beside[rule.title] = _all_equal([rows[name].is_valid() for name in columns])
            case RefersTo(column, table):
                known = pc.is_in(rows[column], value_set=ids[table])
                recent = pa.scalar(now - REFERENCE_GRACE, pa.timestamp("us", tz="UTC"))
                beside[rule.title] = pc.or_(known, pc.greater(rows["landed_at"], recent))
            case _:
                pass
    return beside


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


def _finding(result: Any, rows: int) -> Finding:
    found = result.result or {}
    rule = result.expectation_config.meta["rule"]
    error = None
    if not result.success and "unexpected_count" not in found:
        error = _why(result)
    return Finding(
        rule=rule,
        ok=bool(result.success),
        checked=int(found.get("element_count", rows)) - int(found.get("missing_count") or 0),
        unexpected=int(found.get("unexpected_count") or 0),
        error=error,
    )


def _why(result: Any) -> str:
    mismatched = (result.result or {}).get("details", {}).get("mismatched")
    if mismatched:
        return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in mismatched.items())
    told = {
        str(info["exception_message"])
        for info in (result.exception_info or {}).values()
        if isinstance(info, dict) and info.get("exception_message")
    }
    return "; ".join(sorted(told)) or "the rule could not be evaluated"


def _references(lake: Lake, suite: Suite, rows: pa.Table) -> Ids:
    """The ids that the rows may refer to: of the same days of capture, read after the rows were."""
    found: dict[str, pa.Array] = {}
    for rule in suite.references:
        column = TABLES[rule.table].id_column
        chunks = [
            chunk
            for day in _days(rows)
            for part in day_rows(lake, rule.table, day, columns=[column])
            for chunk in part[column].cast(pa.string()).chunks
        ]
        found[rule.table] = pa.concat_arrays(chunks) if chunks else pa.array([], pa.string())
    return found


def _days(rows: pa.Table) -> list[date]:
    days = pc.unique(rows["captured_at"].cast(pa.date32()).combine_chunks())
    return sorted(day for day in days.to_pylist() if day is not None)
