"""`platelake camera health`: which cameras need somebody to look at them?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

_EXIT_NOT_SO = 1

_camera = typer.Typer(help="The cameras.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_camera, name="camera")


@_camera.callback()
def group() -> None:
    """The cameras."""


@_camera.command()
def health(
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page.")
    ] = None,
    agency: Annotated[str | None, typer.Option("--agency", help="Only its cameras.")] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            "--registry",
            help="CSV file of the cameras; cameras.csv of the state directory if there.",
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option("--zone", help="Whose clock makes the hour of the week.", metavar="ZONE")
    ] = "UTC",
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
    """Hold each camera's last hour and day against its own past; exit 1 if one needs a look.

    Verdicts: silent, drifting clock, low read rate, low confidence, ok, new (too little past),
    out of service (by the registry).

    Example: platelake camera health --zone America/New_York --html cameras.html
    """
    from catalog.config import LakeConfig
    from catalog.lake import Lake
    from catalog.quality import prepare
    from catalog.schemas import TABLES
    from expectations.health import WRONG, report
    from expectations.health_page import page
    from expectations.past import Past
    from expectations.registry import load_registry
    from expectations.rounds import Plan, discover
    from expectations.suites import Limits

    if config is not None:
        lake = Lake(LakeConfig.load(config))
    else:
        from cli.installation import Installation

        installation = Installation.of(profile, home)
        lake = installation.lake()
        usual = installation.settings.state_dir / "cameras.csv"
        registry = registry or (usual if usual.exists() else None)
    cameras = None if registry is None else load_registry(registry)
    now = datetime.now(UTC)
    prepare(lake)
    for table in TABLES:
        discover(lake, table, now, Plan().first_look)
    found = report(lake, now, Past(zone=zone), Limits(), cameras)
    if agency is not None:
        found = [each for each in found if each.camera.split("/")[0] == agency]
    if html is not None:
        html.write_text(page(found, now), "utf-8")
    if as_json:
        told = {"at": now.isoformat(), "cameras": [each.as_json() for each in found]}
        typer.echo(json.dumps(told, indent=2))
    else:
        for each in found:
            last = "never" if each.last_read is None else f"{each.last_read:%Y-%m-%d %H:%M:%S}"
            told_day = "" if each.usual_day is None else f" (usually {each.usual_day:,.0f})"
            typer.echo(
                f"{each.camera}: {each.verdict}; last read {last}, "
                f"{each.reads_day:,} reads in 24 h{told_day}"
            )
            for reason in each.reasons:
                typer.echo(f"  {reason}")
        if not found:
            typer.echo("no cameras")
        if html is not None:
            typer.echo(f"page: {html}")
    if any(each.verdict in WRONG for each in found):
        raise typer.Exit(_EXIT_NOT_SO)
