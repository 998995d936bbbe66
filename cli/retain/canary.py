"""`platelake retain canary …`: plant known plates before a purge, search for them after it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    from catalog.lake import Lake
    from catalog.retention.canary import Brood
    from catalog.retention.search import Place, Search

_EXIT_NOT_SO = 1

_app = typer.Typer(help="Known plates, planted before a purge and searched after it.")
_File = Annotated[
    Path, typer.Argument(help="The planting's file. Keep it out of what is searched.")
]


def register(app: typer.Typer) -> None:
    """Add the group to the group."""
    app.add_typer(_app, name="canary", no_args_is_help=True)


@_app.command()
def plant(
    file: _File,
    topic: Annotated[
        bool,
        typer.Option(
            "--topic", help="Send them to the topic `reads`, for the running land job to land."
        ),
    ] = False,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Add made-up reads and hits of each class's oldest day: all of them end within a day.

    Their agency (where the policy allows), camera and source are `platelake-canary`.

    Example: platelake retain canary plant canary.json --profile full
    """
    from catalog.retention.canary import make_canary
    from catalog.retention.canary import plant as add

    lake, now = open_lake(config, profile, home), datetime.now(UTC)
    if topic and config is not None:
        raise typer.BadParameter("--topic is for an installation, without --config")
    brood = make_canary(lake.retention, now)
    brood.canary.save(file)  # first: what is planted must be known
    planted = _send(brood, profile, home) if topic else add(lake, brood, now)
    ends = brood.canary.ends_at.isoformat(timespec="seconds")
    if as_json:
        typer.echo(json.dumps({"planted": planted, "ends_at": ends, "file": str(file)}))
    else:
        typer.echo(f"{planted} records planted; purge and search after {ends}")


@_app.command()
def search(
    file: _File,
    places: Annotated[
        list[Path] | None,
        typer.Option(
            "--in", metavar="PATH", help="A file or folder to search too: disks, logs; repeat."
        ),
    ] = None,
    present: Annotated[
        bool,
        typer.Option(
            "--present", help="Before their end: exit 1 if they are NOT found in the lake."
        ),
    ] = False,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Search, byte by byte, in everything the platform writes; exit 1 if anything is found.

    Searched are the lake's objects, every table of its database and, without --config, all of
    the installation's folder: MinIO's disk, PostgreSQL's, Kafka's log segments, the jobs' state,
    logs. What a topic keeps for days is found there until then.

    Example: platelake retain canary search canary.json --profile full
    """
    from catalog.retention.canary import Canary
    from catalog.retention.search import search as look
    from cli.progress import byte_bar

    canary = Canary.load(file)
    lake = open_lake(config, profile, home)
    skip = frozenset({file.resolve()})
    found_places = _places(lake, config, profile, home, places or [], skip)
    with byte_bar("searching") as show:
        found = look(canary.needles(), found_places, lambda _, done: show(done, None))
    _tell(found, as_json)
    if present:
        if not any(each.place == "lake" for each in found.sightings):
            raise typer.Exit(_EXIT_NOT_SO)
        return
    if datetime.now(UTC) < canary.ends_at:
        ends = canary.ends_at.isoformat(timespec="seconds")
        typer.echo(f"they end at {ends}: until then they may be found", err=True)
    if found.sightings or found.unread:
        raise typer.Exit(_EXIT_NOT_SO)


def _places(
    lake: Lake,
    config: Path | None,
    profile: str | None,
    home: Path | None,
    more: list[Path],
    skip: frozenset[Path],
) -> list[Place]:
    from catalog.retention.search import Database, Folder, Objects

    found: list[Place] = [Objects(lake), Database(lake.catalog.engine)]
    if config is None:
        from cli.installation import Installation

        installation = Installation.of(profile, home)
        state = installation.settings.state_dir
        found.append(Folder("installation", state, skip))
        database = installation.stack.postgres.data_dir
        if database.exists() and not database.is_relative_to(state):
            found.append(Folder("postgres", database, skip))
    return [*found, *(Folder(str(path), path, skip) for path in more)]


def _send(brood: Brood, profile: str | None, home: Path | None) -> int:
    from cli.installation import Installation
    from ingest.codecs import encode, message_key
    from ingest.producer import Producer
    from ingest.topics import READS

    with Producer(Installation.of(profile, home).stack.bootstrap) as producer:
        for read in brood.reads:
            key = message_key(read.agency, read.camera)
            producer.send(READS, key=key, value=encode(read))
    return len(brood.reads)


def _tell(found: Search, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    for place, (count, size) in found.searched.items():
        hits = sum(each.place == place for each in found.sightings)
        typer.echo(f"{place}: {count:,} files, objects or parts, {size / 1e6:,.1f} MB: {hits} hits")
    typer.echo(f"{found.expanded / 1e6:,.1f} MB taken out of what is compressed")
    for each in found.sightings:
        inside = f" inside {' > '.join(each.inside)}" if each.inside else ""
        typer.echo(f"  FOUND needle {each.needle} in {each.where}{inside}, as {each.spelling}")
    for where in found.unread:
        typer.echo(f"  NOT SEARCHED {where}")
