"""`platelake hotlist load`: a source's list, in force whole or not at all."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.hotlist.common import Home, Json, Name, Profile, app, in_words, open_sources, print_json

if TYPE_CHECKING:
    from ingest.hotlists.load import Result
    from ingest.hotlists.origin import Progress
    from ingest.hotlists.sources import Source, Sources


class LoadMode(StrEnum):
    """What a file is of the source's list."""

    COMPLETE = "complete"
    INCREMENTAL = "incremental"
    REMOVE = "remove"


@app.command()
def load(
    source: Name,
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
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Load a source's list: plain, zip or gzip. It is in force whole, or not at all.

    Running jobs take the new list without a restart. Example:
    platelake hotlist load stolen.csv --source state-police
    """
    import msgspec

    from ingest.hotlists.load import Overrides, Request
    from ingest.hotlists.load import load as load_source

    sources = open_sources(profile, home)
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
        print_json(msgspec.to_builtins(result))
    else:
        _tell(result)


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
            typer.echo(f"  {title}: {in_words(counted)}", err=True)
    if result.report:
        typer.echo(f"  bad rows: {result.report}", err=True)
