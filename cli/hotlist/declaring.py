"""`platelake hotlist layouts | declare | sources`: what lists there are."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.hotlist.common import Home, Json, Profile, app, open_sources, print_json


@app.command()
def layouts(
    save: Annotated[
        Path | None,
        typer.Option("--save", exists=True, dir_okay=False, help="Keep this field template."),
    ] = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List the layouts of files; or keep a template of your own (TOML, as the platform's are).

    Example: platelake hotlist layouts --save county.toml
    """
    sources = open_sources(profile, home)
    if save is not None:
        with sources.lock():
            sources.save_layout(save)
    known = sources.layouts()
    if as_json:
        print_json([{"name": x.name, "title": x.title, "kind": x.kind} for x in known])
        return
    for layout in known:
        typer.echo(f"{layout.name:12} {layout.title}")


@app.command()
def declare(
    name: Annotated[str, typer.Argument(help="Name of the list, lower case.", metavar="SOURCE")],
    layout: Annotated[str, typer.Option(help="How its files are written; see `layouts`.")],
    location: Annotated[
        str | None, typer.Option(help="File, folder or http(s) address it is loaded from.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the address's bearer token.")
    ] = None,
    refresh_hours: Annotated[
        float, typer.Option("--refresh-hours", min=0.01, help="Stale when older.")
    ] = 12.0,
    reject_limit: Annotated[
        float, typer.Option(min=0, max=1, help="Share of bad rows above which nothing is loaded.")
    ] = 0.05,
    max_removed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the list that a load may remove.")
    ] = 0.2,
    category: Annotated[
        str | None, typer.Option(help="Of its entries, where the file names none.")
    ] = None,
    meaning: Annotated[
        list[str] | None,
        typer.Option(help="What a letter means in this source.", metavar="LETTER=CATEGORY"),
    ] = None,
    state: Annotated[str | None, typer.Option(help="Where a row names none: two letters.")] = None,
    agency: Annotated[str | None, typer.Option(help="Where a row names none.")] = None,
    priority: Annotated[
        int | None, typer.Option(min=1, max=5, help="1 (highest) to 5, where a row names none.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Of times without a zone; the layout's otherwise.")
    ] = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Say what a source is, or say it anew: all settings are as given here.

    Example: platelake hotlist declare ncic --layout ncic --location /srv/ncic/lpr.zip
    """
    import msgspec

    from ingest.hotlists.sources import Source

    letters = dict(_pair(text) for text in meaning or [])
    settings = {
        "source": name,
        "layout": layout,
        "location": location,
        "token_file": str(token_file) if token_file is not None else None,
        "refresh_h": refresh_hours,
        "reject_limit": reject_limit,
        "max_removed": max_removed,
        "category": category,
        "categories": letters,
        "state": state,
        "agency": agency,
        "priority": priority,
        "timezone": timezone,
    }
    try:
        source = msgspec.convert(settings, Source)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(str(error)) from error
    sources = open_sources(profile, home)
    with sources.lock():
        sources.declare(source, getpass.getuser(), datetime.now(UTC))
    if as_json:
        print_json(msgspec.to_builtins(source))
    else:
        typer.echo(f"{name}: layout {layout}, stale after {refresh_hours:g} h")


@app.command("sources")
def list_sources(profile: Profile = None, home: Home = None, as_json: Json = False) -> None:
    """List the declared sources with their settings.

    Example: platelake hotlist sources --json
    """
    import msgspec

    sources = open_sources(profile, home)
    known = [source for name in sources.names() if (source := sources.get(name)) is not None]
    if as_json:
        print_json([msgspec.to_builtins(source) for source in known])
        return
    for source in known:
        where = _shown(source.location) if source.location else "no location of its own"
        typer.echo(
            f"{source.source}: layout {source.layout}, {where}, stale after "
            f"{source.refresh_h:g} h, at most {source.reject_limit:.1%} bad rows and "
            f"{source.max_removed:.1%} removed"
        )
    if not known:
        typer.echo("no source is declared: `platelake hotlist declare`, or simply load a file")


def _shown(location: str) -> str:
    from ingest.hotlists.fetch import is_address, shown

    return shown(location) if is_address(location) else location


def _pair(text: str) -> tuple[str, Any]:
    letter, equals, category = text.partition("=")
    if not (letter and equals and category):
        raise typer.BadParameter(f"LETTER=CATEGORY was required, {text!r} came")
    return letter.upper(), category
