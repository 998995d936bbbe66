"""`platelake hotlist …`: what lists there are, loading them, and what is in force."""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ingest.hotlists.load import Result
    from ingest.hotlists.origin import Progress
    from ingest.hotlists.sources import Source, Sources

_EXIT_NOT_SO = 1

_Profile = Annotated[str | None, typer.Option("--profile", metavar="embedded|full")]
_Home = Annotated[Path | None, typer.Option("--home", help="State directory of the stack.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_Name = Annotated[str, typer.Option("--source", help="Name of the list, lower case.")]

_hotlist = typer.Typer(help="Hot lists.", no_args_is_help=True)


class LoadMode(StrEnum):
    """What a file is of the source's list."""

    COMPLETE = "complete"
    INCREMENTAL = "incremental"
    REMOVE = "remove"


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_hotlist, name="hotlist")


@_hotlist.command()
def layouts(
    save: Annotated[
        Path | None,
        typer.Option("--save", exists=True, dir_okay=False, help="Keep this field template."),
    ] = None,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """List the layouts of files; or keep a template of your own (TOML, as the platform's are).

    Example: platelake hotlist layouts --save county.toml
    """
    sources = _sources(profile, home)
    if save is not None:
        with sources.lock():
            sources.save_layout(save)
    known = sources.layouts()
    if as_json:
        _print([{"name": x.name, "title": x.title, "kind": x.kind} for x in known])
        return
    for layout in known:
        typer.echo(f"{layout.name:12} {layout.title}")


@_hotlist.command()
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
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
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
    sources = _sources(profile, home)
    with sources.lock():
        sources.declare(source, getpass.getuser(), datetime.now(UTC))
    if as_json:
        _print(msgspec.to_builtins(source))
    else:
        typer.echo(f"{name}: layout {layout}, stale after {refresh_hours:g} h")


@_hotlist.command("sources")
def list_sources(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """List the declared sources with their settings.

    Example: platelake hotlist sources --json
    """
    import msgspec

    sources = _sources(profile, home)
    known = [source for name in sources.names() if (source := sources.get(name)) is not None]
    if as_json:
        _print([msgspec.to_builtins(source) for source in known])
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


@_hotlist.command()
def load(
    source: _Name,
    location: Annotated[
        str | None,
        typer.Argument(help="File, folder or address; the declared one if none.", metavar="FROM"),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="Of a source that is not declared yet; see `layouts`.")
    ] = None,
    mode: Annotated[
        LoadMode,
        typer.Option(help="The whole list, changes to it, or entries that are all to be removed."),
    ] = LoadMode.COMPLETE,
    allow_removal: Annotated[
        bool, typer.Option("--allow-removal", help="Though much of the list is removed; recorded.")
    ] = False,
    allow_rejects: Annotated[
        bool, typer.Option("--allow-rejects", help="Though many rows are bad; recorded.")
    ] = False,
    allow_older: Annotated[
        bool, typer.Option("--allow-older", help="Though the list in force is newer; recorded.")
    ] = False,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Load a source's list: plain, zip or gzip. It is in force whole, or not at all.

    Running jobs take the new list without a restart. Example:
    platelake hotlist load stolen.csv --source state-police
    """
    import msgspec

    from ingest.hotlists.load import Overrides, Request
    from ingest.hotlists.load import load as load_source

    sources = _sources(profile, home)
    declared = _declared(sources, source, layout)
    where = location or declared.location
    if where is None:
        raise typer.BadParameter(f"{source} has no location of its own: name a file or address")
    with _progress(source, quiet=as_json) as progress:
        result = load_source(
            sources,
            Request(
                source=declared,
                location=where,
                actor=getpass.getuser(),
                at=datetime.now(UTC),
                mode=mode.value,
                overrides=Overrides(allow_removal, allow_rejects, allow_older),
                token=_token(declared) if where == declared.location else None,
                progress=progress,
            ),
        )
    if as_json:
        _print(msgspec.to_builtins(result))
    else:
        _tell(result)


@_hotlist.command()
def status(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Show each source's age, last load, entries by category and rejects; exit 1 if one is stale.

    Example: platelake hotlist status --json
    """
    import msgspec

    from alpr.errors import Unavailable
    from ingest.hotlists.snapshot import read_manifest
    from ingest.hotlists.status import status_of

    sources = _sources(profile, home)
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
        _print({"list": head, "sources": [msgspec.to_builtins(state) for state in states]})
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
                    typer.echo(f"  {title}: {_counted(counted)}")
            if state.last_outcome in ("refused", "failed"):
                typer.echo(f"  last load {state.last_outcome}: {state.last_reason}")
    if any(state.stale for state in states):
        raise typer.Exit(_EXIT_NOT_SO)


@_hotlist.command()
def show(
    plate: Annotated[
        str | None,
        typer.Option("--plate", help="The plate, or - to read it from standard input."),
    ] = None,
    entry: Annotated[str | None, typer.Option("--entry", help="An entry's id.")] = None,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
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
    store = _sources(profile, home).store
    snapshot = open_snapshot(store, read_manifest(store))
    found = [msgspec.to_builtins(snapshot.entry(row)) for row in rows_of(snapshot, wanted, entry)]
    if as_json:
        _print(found)
    else:
        for fields in found:
            typer.echo(f"{fields['source']}: {fields['category']}, priority {fields['priority']}")
            for name, value in fields.items():
                if value not in (None, "") and name not in ("source", "category", "priority"):
                    typer.echo(f"  {name}: {value}")
        if not found:
            typer.echo("no entry")
    if not found:
        raise typer.Exit(_EXIT_NOT_SO)


@_hotlist.command()
def history(
    source: Annotated[str | None, typer.Option("--source", help="Only of this one.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the newest.")] = 50,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Show what was loaded, refused and declared: when, by whom, with which guards switched off.

    Example: platelake hotlist history --source ncic
    """
    import msgspec

    events = _sources(profile, home).history(source)[-last:]
    if as_json:
        _print([msgspec.to_builtins(event) for event in events])
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


@_hotlist.command()
def export(
    source: _Name,
    out: Annotated[Path, typer.Option("--out", help="File to write.", dir_okay=False)],
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Write a source's entries in force as CSV, which `load` reads again (layout platelake).

    Example: platelake hotlist export --source ncic --out ncic.csv
    """
    from ingest.hotlists.export import export as write
    from ingest.hotlists.snapshot import open_snapshot, read_manifest

    store = _sources(profile, home).store
    snapshot = open_snapshot(store, read_manifest(store))
    partial = out.with_name(f".{out.name}.partial")
    with partial.open("wb") as file:
        written = write(snapshot, source, file)
    partial.replace(out)
    done = {"source": source, "entries": written, "version": snapshot.manifest.version}
    if as_json:
        _print(done)
    else:
        typer.echo(f"{written:,} entries of {source}, version {done['version']}")


def _sources(profile: str | None, home: Path | None) -> Sources:
    from cli.installation import Installation
    from ingest.hotlists.sources import Sources

    return Sources(Installation.of(profile, home).hotlist_store)


def _declared(sources: Sources, name: str, layout: str | None) -> Source:
    """The source as declared; one that is not yet is declared with this layout."""
    from ingest.hotlists.sources import Source

    known = sources.get(name)
    if known is not None:
        if layout is not None and layout != known.layout:
            raise typer.BadParameter(
                f"{name} is declared with layout {known.layout}: `platelake hotlist declare` "
                "it anew to change that"
            )
        return known
    made = Source(source=name, layout=layout or "platelake")
    with sources.lock():
        sources.declare(made, getpass.getuser(), datetime.now(UTC))
    return made


def _token(source: Source) -> str | None:
    from alpr.errors import ConfigurationError

    if source.token_file is None:
        return None
    try:
        return Path(source.token_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(
            f"the token of {source.source} was required in {source.token_file}: {error.strerror}"
        ) from error


@contextmanager
def _progress(title: str, *, quiet: bool) -> Iterator[Progress | None]:
    """A bar of the bytes read, on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"load {title}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(result: Result) -> None:
    if result.outcome == "unchanged":
        typer.echo(
            f"version {result.version}: {result.source} is unchanged, "
            f"{result.entries:,} entries in force"
        )
        return
    typer.echo(
        f"version {result.version}: {result.entries:,} entries of {result.source} "
        f"({result.added:,} added, {result.removed:,} removed), "
        f"{sum(result.rejected.values()):,} rows rejected, {result.in_force:,} entries in force"
    )
    for title, counted in (
        ("rejected", result.rejected),
        ("unknown letters", result.unknown),
        ("fields dropped", result.dropped),
    ):
        if counted:
            typer.echo(f"  {title}: {_counted(counted)}", err=True)
    if result.report:
        typer.echo(f"  bad rows: {result.report}", err=True)


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def _shown(location: str) -> str:
    from ingest.hotlists.fetch import is_address, shown

    return shown(location) if is_address(location) else location


def _pair(text: str) -> tuple[str, Any]:
    letter, equals, category = text.partition("=")
    if not (letter and equals and category):
        raise typer.BadParameter(f"LETTER=CATEGORY was required, {text!r} came")
    return letter.upper(), category


def _print(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))
