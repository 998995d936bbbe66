"""`platelake demo`: cameras, jobs, lake and hits on this machine, and a reckoning at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(demo)


def demo(
    seconds: Annotated[float, typer.Option(min=5, help="How long the cameras run.")] = 50.0,
    seed: Annotated[int, typer.Option(help="Which vehicles pass, and when.")] = 1,
    agencies: Annotated[int, typer.Option(min=1, max=3)] = 3,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the summary as JSON to this file.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option("--home", help="State directory; the demo uses a folder in it.")
    ] = None,
) -> None:
    """Run the whole platform on simulated cameras, then compare what was shown with what came out.

    Exit code 1 if any read or hit is missing or doubled. Example:
    platelake demo --seconds 30 --json summary.json
    """
    from cli.demo.run import run_demo
    from infra.interrupts import as_keyboard_interrupt

    with as_keyboard_interrupt():
        sound = run_demo(seconds=seconds, seed=seed, agencies=agencies, out=json_file, home=home)
    raise typer.Exit(0 if sound else 1)
