"""Great Expectations behind one function: a frame and rules in, findings and a page out.

It is imported when the first check runs, keeps nothing on disk but the pages asked for, and
sends nothing home. A validation costs far more than a row: off the hot path only.
"""

from __future__ import annotations

import gc
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from expectations.findings import Finding
from expectations.specs import (
    AtMost,
    Between,
    Columns,
    InState,
    Known,
    LocalDay,
    Matches,
    NotAfter,
    NotNull,
    OneOf,
    RefersTo,
    Rule,
    Together,
    Unique,
    Usual,
)

SUBJECT = "subject"
"""The column that names what a row of numbers is about: a camera, a category, a state."""


@dataclass(frozen=True)
class Judged:
    """What was found, in the order of the rules, and the page about it (relative to the site)."""

    findings: tuple[Finding, ...]
    page: str | None


def judge(
    name: str,
    part: str,
    frame: pd.DataFrame,
    rules: Sequence[Rule],
    beside: Sequence[str] = (),
    pages: Path | None = None,
) -> Judged:
    """Hold a frame against rules. `beside`: titles of rules that were worked out as columns.

    With a column `subject` the findings say which subjects break a rule and which keep it, and
    pages show the numbers; without one they hold counts only, since a value could be a plate.
    """
    if pages is None:
        return _judge(name, part, frame, rules, beside, None)
    pages.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=pages, prefix=".building-") as site:
        judged = _judge(name, part, frame, rules, beside, Path(site))
        _add(Path(site), pages)
    return judged


def _judge(
    name: str,
    part: str,
    frame: pd.DataFrame,
    rules: Sequence[Rule],
    beside: Sequence[str],
    pages: Path | None,
) -> Judged:
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    if pages is not None:
        context.add_data_docs_site(site_name="pages", site_config=_site(pages))
    whole = (
        context.data_sources.add_pandas("lake")
        .add_dataframe_asset(name)
        .add_batch_definition_whole_dataframe(part)
    )
    checks = context.suites.add(gx.ExpectationSuite(name=name))
    for rule in rules:
        checks.add_expectation(_expectation(gx.expectations, rule, tuple(beside)))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=f"{name}-{part}", data=whole, suite=checks)
    )
    named = SUBJECT in frame.columns
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=f"{name}-{part}",
            validation_definitions=[definition],
            actions=[]
            if pages is None
            else [gx.checkpoint.UpdateDataDocsAction(name="pages", site_names=["pages"])],
            result_format={
                "result_format": "COMPLETE",
                "unexpected_index_column_names": [SUBJECT],
                "return_unexpected_index_query": False,
            }
            if named
            else {"result_format": "BASIC", "partial_unexpected_count": 0},
        )
    )
    done = checkpoint.run(batch_parameters={"dataframe": frame})
    findings: dict[str, Finding] = {}
    page = validation = result = None
    for identifier, validation in done.run_results.items():
        if pages is not None:
            page = "validations/" + "/".join(identifier.to_tuple()) + ".html"
        for result in validation.results:
            finding = _finding(result, frame, named)
            findings[finding.rule] = finding
    # A context knows every result it made, and they the rows: each run gets a new one, and
    # the old goes now, circles and all.
    del context, whole, checks, definition, checkpoint, done, validation, result
    gc.collect()
    return Judged(tuple(findings[rule.title] for rule in rules), page)


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


def _add(site: Path, pages: Path) -> None:
    """Put what was built for one check beside the others: building a site empties its folder."""
    for made in sorted(path for path in site.rglob("*") if path.is_file()):
        place = pages / made.relative_to(site)
        if place.exists() and place.relative_to(pages).parts[0] == "static":
            continue  # the same in every site
        place.parent.mkdir(parents=True, exist_ok=True)
        made.replace(place)


def _expectation(gxe: Any, rule: Rule, beside: tuple[str, ...]) -> Any:
    said: dict[str, Any] = {"meta": {"rule": rule.title}, "description": rule.title}
    if rule.title in beside:
        return gxe.ExpectColumnValuesToBeInSet(column=rule.title, value_set=[True], **said)
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
        case Unique((column,), mostly):
            return gxe.ExpectColumnValuesToBeUnique(column=column, mostly=mostly, **said)
        case Unique(columns, mostly):
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(columns), mostly=mostly, **said
            )
        case Usual():
            return gxe.ExpectColumnValuesToBeBetween(
                column=rule.deviation,
                min_value=None if rule.below is None else -rule.below,
                max_value=rule.above,
                **said,
            )
        case AtMost(column, limit):
            return gxe.ExpectColumnValuesToBeBetween(column=column, max_value=limit, **said)
        case NotAfter() | Together() | RefersTo() | LocalDay() | Known() | InState():
            # Worked out beside the rows, since it takes two columns or more than the table:
            # not there, it cannot hold.
            return gxe.ExpectColumnValuesToBeInSet(column=rule.title, value_set=[True], **said)


def _finding(result: Any, frame: pd.DataFrame, named: bool) -> Finding:
    found = result.result or {}
    rule = result.expectation_config.meta["rule"]
    column = result.expectation_config.kwargs.get("column")
    error = None
    if not result.success and "unexpected_count" not in found:
        error = _why(result, frame)
    checked = int(found.get("element_count", len(frame))) - int(found.get("missing_count") or 0)
    subjects: list[str] = []
    fine: frozenset[str] = frozenset()
    if named and error is None and column in frame.columns:
        broken = found.get("unexpected_index_list") or []
        subjects = sorted({str(each[SUBJECT]) for each in broken})
        judged = frame.loc[frame[column].notna(), SUBJECT]
        fine = frozenset(map(str, judged)) - set(subjects)
    return Finding(
        rule=rule,
        ok=bool(result.success),
        checked=checked,
        unexpected=int(found.get("unexpected_count") or 0),
        error=error,
        subjects=tuple(subjects),
        fine=fine,
    )


def _why(result: Any, frame: pd.DataFrame) -> str:
    """Why it did not run, without the text of any exception: that may quote a value."""
    mismatched = (result.result or {}).get("details", {}).get("mismatched")
    if mismatched:
        return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in mismatched.items())
    asked = result.expectation_config.kwargs
    columns = [asked["column"]] if "column" in asked else list(asked.get("column_list", ()))
    if absent := [name for name in columns if name not in frame.columns]:
        return f"missing: {', '.join(absent)}"
    return "the rule could not be evaluated"
