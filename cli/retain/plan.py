"""`platelake retain plan`: what will go, when and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.acting import print_json, utc_now
from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    from catalog.retention.plan import Plan

_EXIT_NOT_SO = 1


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(plan)


def plan(
    days: Annotated[
        int | None,
        typer.Option("--days", min=0, help="Only what has ended or ends within so many days."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with a line of time."),
    ] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """For every class and local day of the lake: how much, when it ends, by which clause.

    Changes nothing and opens no data: counts come from the manifests and the list of packs.
    Exit code 1 if a stored class has no policy, so that nothing of it would ever go.

    Example: platelake retain plan --days 7 --html plan.html
    """
    from catalog.retention.plan import make_plan
    from catalog.retention.plan_page import page

    whole = make_plan(open_lake(config, profile, home), utc_now())
    shown = whole if days is None else whole.within(days)
    if html is not None:
        html.write_text(page(shown), "utf-8")
    if as_json:
        print_json(shown.as_json())
    else:
        _tell(shown)
        if html is not None:
            typer.echo(f"page: {html}")
    if shown.unknown:
        raise typer.Exit(_EXIT_NOT_SO)


def _tell(shown: Plan) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("Class", "Captured", "Table"):
        table.add_column(title)
    for title in ("Records", "Files", "Packs", "Bytes"):
        table.add_column(title, justify="right")
    for title in ("Kept through", "Ends (UTC)", "Holds"):
        table.add_column(title)
    for line in shown.lines:
        end = "never: no policy" if line.ends_at is None else f"{line.ends_at:%Y-%m-%d %H:%M}"
        table.add_row(
            line.retention_class,
            line.day.isoformat(),
            line.table,
            f"{line.rows:,}",
            f"{line.files:,}",
            f"{line.packs:,}",
            f"{line.bytes + line.pack_bytes:,}",
            "" if line.last_day is None else line.last_day.isoformat(),
            end + (", DUE" if line.is_due(shown.at) else ", HELD" if line.pinned else ""),
            ", ".join(f"{hold.kind} {hold.hold_id[:8]} {hold.status}" for hold in line.holds),
        )
    console = Console()
    # A line that a terminal would wrap is of no use to who pipes it on.
    Console(width=None if console.is_terminal else 200).print(table)
    for name, rule in shown.rules.items():
        least = "none stated" if rule.minimum is None else str(rule.minimum)
        most = "none stated" if rule.maximum is None else str(rule.maximum)
        typer.echo(
            f"{name}: {rule.policy}, kept {rule.keep} ({rule.clause}), at least {least} "
            f"({rule.minimum_clause}), at most {most} ({rule.maximum_clause}), "
            f"days in {rule.zone}; {rule.why}"
        )
    for line_table, cutoffs in shown.cutoffs.items():
        told = ", ".join(f"{n} {day}" for n, day in sorted(cutoffs.items()) if n in shown.rules)
        typer.echo(f"{line_table}: purged before {told}" if told else f"{line_table}: never purged")
    for name in shown.unknown:
        typer.echo(f"UNKNOWN CLASS {name}: no policy has it, nothing of it ever goes")
    rows = sum(line.rows for line in shown.due)
    typer.echo(f"due now: {rows:,} records of {len(shown.due)} days and tables")
