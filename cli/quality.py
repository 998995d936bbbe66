"""`platelake quality run`: do the lake's rows keep their rules?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from catalog.lake import Lake
    from expectations.checkpoint import Outcome

_EXIT_NOT_SO = 1

_quality = typer.Typer(help="Rules for the lake's rows.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_quality, name="quality")


@_quality.callback()
def group() -> None:
    """Rules for the lake's rows."""


@_quality.command()
def run(
    table: Annotated[
        str | None, typer.Option("--table", help="One table only.", metavar="reads|hits")
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="Day of capture (UTC), all its rows."),
    ] = None,
    every_day: Annotated[bool, typer.Option("--all", help="Every day that has rows.")] = False,
    pages: Annotated[
        Path | None, typer.Option("--docs", metavar="DIR", help="Write Data Docs (HTML) here.")
    ] = None,
    known_class: Annotated[
        list[str] | None,
        typer.Option("--class", help="A retention class that rows may have; repeat. [default]"),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="The lake's TOML file, instead of the installation's."),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="Whose lake, without --config.", metavar="embedded|full"),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="State directory; .platelake unless said otherwise."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")] = False,
) -> None:
    """Hold the newest commit's rows, or those of a day, against the rules; exit 1 if one breaks.

    Example: platelake quality run --table reads --day 2026-11-23 --docs quality/
    """
    from catalog.schemas import TABLES

    if table is not None and table not in TABLES:
        raise typer.BadParameter(f"no table {table!r}; there are {', '.join(TABLES)}")
    if day is not None and every_day:
        raise typer.BadParameter("--day and --all exclude each other")
    lake = _open(config, profile, home)
    outcomes: list[Outcome] = []
    for name in [table] if table else list(TABLES):
        for outcome in _check(lake, name, day, every_day, known_class or ["default"], pages):
            outcomes.append(outcome)
            if not as_json:
                _tell(outcome)
    if as_json:
        typer.echo(json.dumps({"checks": [each.as_json() for each in outcomes]}, default=str))
    elif not outcomes:
        typer.echo("no rows to check")
    elif pages is not None:
        typer.echo(f"pages: {pages / 'index.html'}")
    if not all(outcome.ok for outcome in outcomes):
        raise typer.Exit(_EXIT_NOT_SO)


def _open(config: Path | None, profile: str | None, home: Path | None) -> Lake:
    from catalog.config import LakeConfig
    from catalog.lake import Lake

    if config is not None:
        return Lake(LakeConfig.load(config))
    from cli.installation import Installation

    return Installation.of(profile, home).lake()


def _check(
    lake: Lake,
    table: str,
    day: datetime | None,
    every_day: bool,
    classes: list[str],
    pages: Path | None,
) -> Iterator[Outcome]:
    from catalog.slices import days_of
    from expectations.checkpoint import check_day, check_newest_commit
    from expectations.specs import suites

    suite, now = suites(classes)[table], datetime.now(UTC)
    if every_day:
        for each in days_of(lake, table):
            yield from check_day(lake, suite, each, now, pages)
    elif day is not None:
        yield from check_day(lake, suite, day.date(), now, pages)
    else:
        yield from check_newest_commit(lake, suite, now, pages)


def _tell(outcome: Outcome) -> None:
    typer.echo(
        f"{outcome.table} {outcome.part}: {outcome.rows:,} rows, "
        f"{len(outcome.findings) - len(outcome.broken)} of {len(outcome.findings)} rules hold "
        f"({outcome.seconds:.1f} s)"
    )
    for finding in outcome.broken:
        told = finding.error or f"{finding.unexpected:,} of {finding.checked:,} rows"
        typer.echo(f"  BROKEN {finding.rule}: {told}")
