"""`platelake up | down | status | doctor`: the local stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.provision.progress import Reporter
    from infra.services.stack import Stack

_Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="embedded: Kafka and Flink in one process, lake in a folder. full: as in production.",
        metavar="embedded|full",
    ),
]
_Home = Annotated[
    Path | None, typer.Option("--home", help="State directory; .platelake unless said otherwise.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_EXIT_NOT_SO = 1


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (up, down, status, doctor):
        app.command()(command)


def up(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Start the stack and make its topics; what runs already stays as it is.

    Example: platelake up --profile embedded
    """
    from infra.interrupts import as_keyboard_interrupt
    from ingest.topics import ensure_topics

    stack = _stack(profile, home, as_json)
    with as_keyboard_interrupt():
        started = stack.up(after_kafka=ensure_topics)
    if as_json:
        _print_json({"started": started, **_endpoints(stack)})
        return
    typer.echo(f"started: {', '.join(started)}" if started else "everything runs already")
    for name, where in _endpoints(stack).items():
        typer.echo(f"  {name:<13} {where}")


def down(
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete all data, secrets and logs too.")
    ] = False,
) -> None:
    """Stop the stack; data stays. Without --profile, whatever runs of either profile.

    Example: platelake down
    """
    from infra.settings import Profile

    stopped: list[str] = []
    for each in [profile] if profile else list(Profile):
        stack = _stack(each, home, as_json)
        stopped += stack.down()
        if delete_data:
            stack.destroy()
    if as_json:
        _print_json({"stopped": stopped})
    else:
        typer.echo(f"stopped: {', '.join(stopped)}" if stopped else "nothing ran")


def status(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Show each process; exit code 1 unless all are up.

    Example: platelake status --json
    """
    from dataclasses import asdict

    processes = _stack(profile, home, as_json).status()
    if as_json:
        _print_json({"processes": [asdict(process) for process in processes]})
    else:
        _print_table(processes)
    if any(process.state != "up" for process in processes):
        raise typer.Exit(_EXIT_NOT_SO)


def doctor(profile: _Profile = None, home: _Home = None, as_json: _Json = False) -> None:
    """Check what the stack needs, with a line to mend each thing; exit code 1 if any is wrong.

    Example: platelake doctor --profile full
    """
    from dataclasses import asdict

    from infra.doctor import examine

    findings = examine(_stack(profile, home, as_json))
    if as_json:
        _print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            colour = {"ok": "green", "note": "yellow", "wrong": "red"}[finding.verdict]
            verdict = typer.style(f"{finding.verdict:<5}", fg=colour)
            typer.echo(f"{verdict} {finding.what:<14} {finding.detail}")
            if finding.remedy:
                typer.echo(f"{'':<20} → {finding.remedy}")
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(_EXIT_NOT_SO)


def _stack(profile: str | None, home: Path | None, quiet: bool) -> Stack:
    from infra.provision.progress import Silent, Terminal
    from infra.services.stack import Stack
    from infra.settings import load

    reporter: Reporter = Silent() if quiet else Terminal()
    return Stack(load(profile=profile, home=home), reporter)


def _endpoints(stack: Stack) -> dict[str, str]:
    places = {
        "kafka": stack.bootstrap,
        "job_endpoint": stack.job_endpoint,
        "flink_rest": stack.flink_rest,
        "logs": str(stack.settings.logs_dir),
    }
    if stack.trino in stack.services:
        places |= {"sql": stack.trino.endpoint}
    return places


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2))


def _print_table(processes: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("process", "state", "pid", "ports", "uptime", "memory", "log", box=None)
    colours = {"up": "green", "unwell": "yellow", "dead": "red", "down": "dim"}
    for process in processes:
        table.add_row(
            process.name,
            f"[{colours[process.state]}]{process.state}[/]",
            str(process.pid or ""),
            " ".join(map(str, process.ports)),
            "" if process.uptime_s is None else f"{process.uptime_s:.0f} s",
            "" if process.rss_mib is None else f"{process.rss_mib:.0f} MiB",
            process.log,
        )
    Console().print(table)
