"""`platelake lake …`: make the lake, merge its small files, check it."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Config, Every, Home, Json, Profile, open_lake, stop_event

if TYPE_CHECKING:
    from catalog.lake import Lake

_EXIT_NOT_SO = 1
_SWEEP_SECONDS = 3600.0
"""A sweep lists the whole table: often enough for orphans that must be a day old."""

_Table = Annotated[
    str | None, typer.Option("--table", help="One table only.", metavar="reads|hits")
]

_app = typer.Typer(help="The lake: tables, compaction, checks.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_app, name="lake")


@_app.command()
def init(
    config: Config = None, profile: Profile = None, home: Home = None, as_json: Json = False
) -> None:
    """Make bucket or folder, namespace and tables; what is there stays as it is.

    Example: platelake lake init --config lake.toml
    """
    from catalog.schemas import TABLES

    if config is None:
        from cli.installation import Installation

        lake = Installation.of(profile, home).prepare_lake()
    else:
        lake = open_lake(config, profile, home)
        lake.init()
    if as_json:
        _print({"warehouse": lake.config.warehouse, "tables": list(TABLES)})
    else:
        typer.echo(f"ready: {lake.config.warehouse} ({', '.join(TABLES)})")


@_app.command()
def compact(
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    table: _Table = None,
    every: Every = None,
    as_json: Json = False,
) -> None:
    """Merge small files into large sorted ones, index their plates, delete day-old orphans.

    With --json, one line of JSON a table and round. As a service it outlives an
    unavailable catalogue or store; Ctrl-C or SIGTERM ends it after the round under way.

    Example: platelake lake compact --every 60
    """
    import time

    from alpr.errors import Fenced, Unavailable
    from catalog.sweep import PACK_WINDOW

    lake, tables = open_lake(config, profile, home), _tables(table)
    stop = threading.Event() if every is None else stop_event()
    next_sweep = time.monotonic()
    window = PACK_WINDOW  # the first sweep looks for what was left while no service ran
    while not stop.is_set():
        sweeping = time.monotonic() >= next_sweep
        for name in tables:
            try:
                done = _compact_once(lake, name, window if sweeping else None)
            except (Fenced, Unavailable) as error:
                if every is None:
                    raise
                typer.echo(f"{name}: {error}", err=True)
            else:
                _report(done, as_json)
        if every is None:
            return
        if sweeping:
            next_sweep += _SWEEP_SECONDS
            window = timedelta(seconds=3 * _SWEEP_SECONDS)
        stop.wait(every)


@_app.command()
def migrate(
    config: Config = None, profile: Profile = None, home: Home = None, as_json: Json = False
) -> None:
    """Add the columns that this version has and the tables have not; stop land and compact first.

    Example: platelake lake migrate --profile full
    """
    added = open_lake(config, profile, home).migrate()
    if as_json:
        _print({"added": added})
    else:
        typer.echo(f"added {', '.join(added)}" if added else "the tables have every column")


@_app.command()
def reach(
    config: Config = None, profile: Profile = None, home: Home = None, as_json: Json = False
) -> None:
    """Reach catalogue, store and tables, and read the policies; exit 4 if one does not answer.

    Example: platelake lake reach --config /state/lake.toml
    """
    lake = open_lake(config, profile, home)
    lake.check()
    classes = sorted(lake.retention.classes)
    if as_json:
        _print({"warehouse": lake.config.warehouse, "classes": classes})
    else:
        typer.echo(f"reached: {lake.config.warehouse}; retention classes {', '.join(classes)}")


@_app.command()
def check(
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    table: _Table = None,
    images: Annotated[
        int, typer.Option("--images", min=0, help="Verify so many images of each table.")
    ] = 1000,
    all_images: Annotated[bool, typer.Option("--all-images", help="Verify every image.")] = False,
    as_json: Json = False,
) -> None:
    """Read every row's id and count; exit code 1 if one is doubled, lost or unreadable.

    Example: platelake lake check --all-images --json
    """
    from catalog.check import check_table

    lake, tables = open_lake(config, profile, home), _tables(table)
    lake.check()
    reports = [check_table(lake, name, None if all_images else images) for name in tables]
    if as_json:
        _print({report.table: report.as_json() for report in reports})
    else:
        for report in reports:
            typer.echo(
                f"{report.table}: {report.rows:,} rows in {report.files} files, "
                f"{report.distinct_ids:,} distinct ids, {report.snapshots} snapshots, "
                f"{report.orphans} orphans, {report.images_read:,} of {report.images:,} images read"
            )
            for source, offset in report.offsets.items():
                typer.echo(f"  {source} committed up to {offset:,}")
            for problem in report.problems:
                typer.echo(f"  PROBLEM {problem}")
    if any(report.problems for report in reports):
        raise typer.Exit(_EXIT_NOT_SO)


def _tables(only: str | None) -> list[str]:
    from catalog.schemas import TABLES

    if only is not None and only not in TABLES:
        raise typer.BadParameter(f"no table {only!r}; there are {', '.join(TABLES)}")
    return [only] if only else list(TABLES)


def _compact_once(lake: Lake, table: str, window: timedelta | None) -> dict[str, Any]:
    """A round; with a window orphans are swept, among them packs written in that time."""
    import uuid

    from catalog.compact import compact as merge
    from catalog.lookup.upkeep import refresh_index
    from catalog.schemas import READS
    from catalog.sweep import sweep, sweep_packs

    now = datetime.now(UTC)
    merged = merge(lake, table, now.date())
    orphans = packs = blocks = 0
    if table == READS.name:
        blocks = len(refresh_index(lake, now.date(), uuid.uuid4().hex))
    if window is not None:
        orphans = sweep(lake, table, now).deleted
        if table == READS.name:
            packs = sweep_packs(lake, now, window=window).deleted
    return {
        "table": table,
        "merges": len(merged),
        "files": sum(item.files for item in merged),
        "rows": sum(item.rows for item in merged),
        "bytes_before": sum(item.bytes_before for item in merged),
        "bytes_after": sum(item.bytes_after for item in merged),
        "seconds": round(sum(item.seconds for item in merged), 3),
        "blocks_indexed": blocks,
        "orphans_deleted": orphans,
        "packs_deleted": packs,
    }


def _report(done: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(done))
    else:
        typer.echo(
            f"{done['table']}: {done['files']} files of {done['rows']:,} rows became "
            f"{done['merges']} in {done['seconds']} s; {done['blocks_indexed']} blocks indexed; "
            f"{done['orphans_deleted']} orphans and {done['packs_deleted']} packs of images deleted"
        )


def _print(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))
