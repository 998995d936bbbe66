"""`platelake hotlist load|status`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

_Profile = Annotated[str | None, typer.Option("--profile", metavar="embedded|full")]
_Home = Annotated[Path | None, typer.Option("--home", help="State directory of the stack.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]

_hotlist = typer.Typer(help="Hot lists.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_hotlist, name="hotlist")


@_hotlist.command()
def load(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    source: Annotated[str, typer.Option(help="Name of the list, lower case.")],
    reject_limit: Annotated[
        float, typer.Option(help="Share of bad lines above which nothing is loaded.")
    ] = 0.05,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Replace one source's entries by a CSV file's (columns: plate, state, category, …).

    Running jobs take the new list without a restart. Example:
    platelake hotlist load stolen.csv --source state-police
    """
    from alpr.errors import BadInput, Unavailable
    from cli.installation import Installation
    from ingest.hotlists.simple import Reject, read_simple
    from ingest.hotlists.snapshot import open_snapshot, read_manifest, write_snapshot

    store = Installation.of(profile, home).hotlist_store
    now = datetime.now(UTC)
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(read_simple(lines, source, now))
    rejects = [row for row in rows if isinstance(row, Reject)]
    fresh = [row for row in rows if not isinstance(row, Reject)]
    for reject in rejects[:20]:
        typer.echo(f"line {reject.line}: {reject.reason}", err=True)
    if rows and len(rejects) > reject_limit * len(rows):
        raise BadInput(
            "too-many-rejects",
            f"{len(rejects)} of {len(rows)} lines are bad, the limit is {reject_limit:.1%}: "
            "nothing was loaded, the list in force stays in force",
        )
    kept, changes_offset = [], 0
    try:
        manifest = read_manifest(store)
    except Unavailable:
        pass  # the first load
    else:
        snapshot = open_snapshot(store, manifest)
        entries = (snapshot.entry(row) for row in range(len(snapshot)))
        kept = [entry for entry in entries if entry.source != source]
        changes_offset = manifest.changes_offset
    manifest = write_snapshot(store, [*kept, *fresh], now, changes_offset)
    result = {
        "version": manifest.version,
        "entries": manifest.entries,
        "loaded": len(fresh),
        "rejected": len(rejects),
    }
    typer.echo(
        json.dumps(result)
        if as_json
        else f"version {manifest.version}: {len(fresh)} loaded, {len(rejects)} rejected, "
        f"{manifest.entries} in force"
    )


@_hotlist.command()
def status(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Show the list in force and its age.

    Example: platelake hotlist status --json
    """
    from cli.installation import Installation
    from ingest.hotlists.snapshot import read_manifest

    manifest = read_manifest(Installation.of(profile, home).hotlist_store)
    age = (datetime.now(UTC) - manifest.built_at).total_seconds()
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "version": manifest.version,
                    "entries": manifest.entries,
                    "built_at": manifest.built_at.isoformat(),
                    "age_s": age,
                }
            )
        )
    else:
        typer.echo(
            f"version {manifest.version}: {manifest.entries} entries, {age / 3600:.1f} h old"
        )
