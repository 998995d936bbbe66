"""`platelake hotlist status | show | history | export`: what is in force, and how it came."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.hotlist.common import (
    EXIT_NOT_SO,
    Home,
    Json,
    Name,
    Profile,
    app,
    in_words,
    open_sources,
    print_json,
)


@app.command()
def status(profile: Profile = None, home: Home = None, as_json: Json = False) -> None:
    """Show each source's age, last load, entries by category and rejects; exit 1 if one is stale.

    Example: platelake hotlist status --json
    """
    import msgspec

    from alpr.errors import Unavailable
    from ingest.hotlists.snapshot import read_manifest
    from ingest.hotlists.status import status_of

    sources = open_sources(profile, home)
    manifest = None
    known = [found for name in sources.names() if (found := sources.get(name)) is not None]
    try:
        manifest = read_manifest(sources.store)
    except Unavailable:
        if not known:
            raise
    states = status_of(manifest, known, sources.history(), datetime.now(UTC))
    if as_json:
        head = None
        if manifest is not None:
            head = {
                "version": manifest.version,
                "entries": manifest.entries,
                "built_at": manifest.built_at.isoformat(),
                "age_s": (datetime.now(UTC) - manifest.built_at).total_seconds(),
            }
        print_json({"list": head, "sources": [msgspec.to_builtins(state) for state in states]})
    else:
        if manifest is not None:
            typer.echo(f"version {manifest.version}: {manifest.entries:,} entries")
        for state in states:
            age = "never loaded" if state.age_s is None else f"{state.age_s / 3600:.1f} h old"
            stale = f"  STALE (refresh {state.refresh_h:g} h)" if state.stale else ""
            typer.echo(f"{state.source} ({state.layout}): {state.entries:,} entries, {age}{stale}")
            for title, counted in (
                ("categories", state.categories),
                ("rejected", state.rejected),
                ("unknown letters", state.unknown),
                ("fields dropped", state.dropped),
            ):
                if counted:
                    typer.echo(f"  {title}: {in_words(counted)}")
            if state.last_outcome in ("refused", "failed"):
                typer.echo(f"  last load {state.last_outcome}: {state.last_reason}")
    if any(state.stale for state in states):
        raise typer.Exit(EXIT_NOT_SO)


@app.command()
def show(
    plate: Annotated[
        str | None,
        typer.Option("--plate", help="The plate, or - to read it from standard input."),
    ] = None,
    entry: Annotated[str | None, typer.Option("--entry", help="An entry's id.")] = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the entries of one plate (look-alikes included), or one entry; exit 1 if there is none.

    Shown is the list as loaded. Example: platelake hotlist show --plate -
    """
    import msgspec

    from alpr.plates import canonical, is_canonical
    from ingest.hotlists.export import rows_of
    from ingest.hotlists.snapshot import open_snapshot, read_manifest

    if (plate is None) == (entry is None):
        raise typer.BadParameter("give --plate or --entry: the whole list is not shown")
    wanted = None
    if plate is not None:
        wanted = canonical(sys.stdin.readline() if plate == "-" else plate)
        if not is_canonical(wanted):
            raise typer.BadParameter("a plate of 1 to 12 letters and digits was required")
    store = open_sources(profile, home).store
    snapshot = open_snapshot(store, read_manifest(store))
    found = [msgspec.to_builtins(snapshot.entry(row)) for row in rows_of(snapshot, wanted, entry)]
    if as_json:
        print_json(found)
    else:
        for fields in found:
            typer.echo(f"{fields['source']}: {fields['category']}, priority {fields['priority']}")
            for name, value in fields.items():
                if value not in (None, "") and name not in ("source", "category", "priority"):
                    typer.echo(f"  {name}: {value}")
        if not found:
            typer.echo("no entry")
    if not found:
        raise typer.Exit(EXIT_NOT_SO)


@app.command()
def history(
    source: Annotated[str | None, typer.Option("--source", help="Only of this one.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the newest.")] = 50,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what was loaded, refused and declared: when, by whom, with which guards switched off.

    Example: platelake hotlist history --source ncic
    """
    import msgspec

    events = open_sources(profile, home).history(source)[-last:]
    if as_json:
        print_json([msgspec.to_builtins(event) for event in events])
        return
    for event in events:
        told = f"{event.at:%Y-%m-%d %H:%M:%S} {event.actor} {event.action} {event.source}: "
        told += event.outcome + (f" ({event.reason})" if event.reason else "")
        if event.action == "load" and event.outcome == "done":
            told += (
                f", {event.mode}, {event.entries:,} entries, {event.added:,} added, "
                f"{event.removed:,} removed, {event.rejected:,} rejected"
            )
        if event.overrides:
            told += f"; switched off: {', '.join(event.overrides)}"
        typer.echo(told)


@app.command()
def export(
    source: Name,
    out: Annotated[Path, typer.Option("--out", help="File to write.", dir_okay=False)],
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a source's entries in force as CSV, which `load` reads again (layout platelake).

    Example: platelake hotlist export --source ncic --out ncic.csv
    """
    from ingest.hotlists.export import export as write
    from ingest.hotlists.snapshot import open_snapshot, read_manifest

    store = open_sources(profile, home).store
    snapshot = open_snapshot(store, read_manifest(store))
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("wb") as file:
        written = write(snapshot, source, file)
    partial.replace(out)
    done = {"source": source, "entries": written, "version": snapshot.manifest.version}
    if as_json:
        print_json(done)
    else:
        typer.echo(f"{written:,} entries of {source}, version {done['version']}")
