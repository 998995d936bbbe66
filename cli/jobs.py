"""`platelake job start|stop|list|savepoint|watch`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from infra.watchdog import Event

_Profile = Annotated[str | None, typer.Option("--profile", metavar="embedded|full")]
_Home = Annotated[Path | None, typer.Option("--home", help="State directory of the stack.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_Names = Annotated[list[str], typer.Argument(help="recognise, match, land", metavar="JOB…")]

_jobs = typer.Typer(help="The streaming jobs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_jobs, name="job")


@_jobs.command()
def start(
    names: _Names,
    profile: _Profile = None,
    home: _Home = None,
    shards: Annotated[int, typer.Option(help="Parallel readers of each topic.")] = 1,
    savepoint: Annotated[
        Path | None, typer.Option(help="Savepoint or chk-N folder to go on from.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Without its checkpoint: from the topics' beginning.")
    ] = False,
    flink_master: Annotated[
        str | None, typer.Option(help="Another Flink's HOST:PORT instead of the stack's.")
    ] = None,
    as_json: _Json = False,
) -> None:
    """Start jobs, from their newest checkpoints, and wait until Flink runs them.

    Those that run already stay as they are. Without a checkpoint `land` goes on where the lake
    ends; `match` would send the hits of all reads still in the topic again.

    Example: platelake job start recognise match land
    """
    from cli.installation import Installation

    installation = Installation.of(profile, home)
    installation.prepare_lake().close()
    jobs = installation.jobs(shards=shards, flink_master=flink_master)
    started = {name: jobs.start(name, savepoint, fresh=fresh) for name in names}
    if as_json:
        typer.echo(json.dumps({"started": [n for n, new in started.items() if new]}))
        return
    for name, new in started.items():
        typer.echo(f"{name}: {'started' if new else 'runs already'}")


@_jobs.command()
def stop(
    names: _Names, profile: _Profile = None, home: _Home = None, as_json: _Json = False
) -> None:
    """Cancel jobs; their newest checkpoints stay, to go on from.

    Example: platelake job stop match
    """
    from cli.installation import Installation

    jobs = Installation.of(profile, home).jobs()
    stopped = [name for name in names if jobs.stop(name)]
    typer.echo(
        json.dumps({"stopped": stopped}) if as_json else f"stopped: {', '.join(stopped) or 'none'}"
    )


@_jobs.command(name="list")
def list_jobs(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Show every job that Flink knows, with its checkpoints.

    Example: platelake job list --json
    """
    from cli.installation import Installation

    rows = []
    for rest, job in Installation.of(profile, home).jobs().all():
        checkpoints = rest.checkpoints(job.id)
        rows.append(
            {
                "name": job.name,
                "id": job.id,
                "state": job.state,
                "started": job.started,
                "checkpoints": checkpoints.completed,
                "checkpoint_bytes": checkpoints.latest_bytes,
            }
        )
    if as_json:
        typer.echo(json.dumps({"jobs": rows}))
        return
    for row in rows:
        typer.echo(
            f"{row['name']:<10} {row['state']:<10} {row['id']}  "
            f"{row['checkpoints']} checkpoints, the newest of {row['checkpoint_bytes'] or 0} bytes"
        )
    if not rows:
        typer.echo("no jobs")


@_jobs.command()
def savepoint(
    name: Annotated[str, typer.Argument(metavar="JOB")],
    profile: _Profile = None,
    home: _Home = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop the job at it.")] = False,
    as_json: _Json = False,
) -> None:
    """Write a savepoint of a job and print its place.

    Example: platelake job savepoint match --cancel
    """
    from cli.installation import Installation

    path = Installation.of(profile, home).jobs().savepoint(name, cancel=cancel)
    typer.echo(json.dumps({"savepoint": str(path)}) if as_json else str(path))


@_jobs.command()
def watch(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Bring back what dies, until interrupted: the stack's processes, then its jobs.

    Jobs go on from their newest complete checkpoint. One that fails again and again for a
    reason of its own is given up; the exit code is 1 then. Prints a line for each event (with
    --json an object: at, event, bad). Example: platelake job watch --profile full
    """
    from contextlib import suppress

    from cli.installation import Installation
    from infra.interrupts import as_keyboard_interrupt

    def tell(event: Event) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        typer.echo(
            json.dumps({"at": at, "event": event.text, "bad": event.bad})
            if as_json
            else f"{at} {event.text}"
        )
        sys.stdout.flush()

    watchdog = Installation.of(profile, home).jobs().watchdog()
    with suppress(KeyboardInterrupt), as_keyboard_interrupt():
        watchdog.run(lambda: False, tell)
    if watchdog.given_up:
        raise typer.Exit(1)
