"""`platelake bench throughput | hot-paths`: figures of this machine, beside those of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_Out = Annotated[Path | None, typer.Option("--out", help="Write the figures (JSON) here too.")]

app = typer.Typer(
    help="Measure this machine. Run from a clone: the benchmarks are not installed.",
    no_args_is_help=True,
)


def register(parent: typer.Typer) -> None:
    """Add the group to the program."""
    parent.add_typer(app, name="bench")


@app.command()
def throughput(
    reads: Annotated[int, typer.Option("--reads", min=20_000, help="Reads to process.")] = 800_000,
    first_port: Annotated[
        int | None, typer.Option("--first-port", help="The first of 40 free ports in a row.")
    ] = None,
    out: _Out = None,
    as_json: _Json = False,
) -> None:
    """Run match and land beside three other ways to do it; exit code 1 if a goal is missed.

    Starts a stack of its own in a temporary folder. Takes about seven minutes on two free cores.

    Example: platelake bench throughput --out figures.json
    """
    from dataclasses import asdict

    from rich.console import Console

    from infra.provision.progress import Terminal

    _require_clone()
    from bench.report import markdown
    from bench.throughput import Plan, run

    result = run(Plan(reads=reads), Terminal(Console(stderr=True)), first_port)
    figures = asdict(result)
    _conclude(figures, markdown(figures), out, as_json)
    if not all(result.goals.values()):
        raise typer.Exit(1)


@app.command()
def hot_paths(
    names: Annotated[
        list[str] | None, typer.Argument(help="Some of them; all if none is named.", metavar="NAME")
    ] = None,
    out: _Out = None,
    as_json: _Json = False,
) -> None:
    """Time the steps that every read goes through, each beside what else one could use.

    Example: platelake bench hot-paths decode match
    """
    _require_clone()
    from bench.hot_paths import figures_of, table

    figures = figures_of(names or None)
    _conclude(figures, table(figures), out, as_json)


def _require_clone() -> None:
    from importlib.util import find_spec

    from alpr.errors import ConfigurationError

    if find_spec("bench") is None:
        raise ConfigurationError(
            "the folder bench/ was required and is not there: run this in a clone of the project"
        )


def _conclude(figures: object, table: str, out: Path | None, as_json: bool) -> None:
    text = json.dumps(figures, indent=2)
    if out is not None:
        out.write_text(text + "\n")
    typer.echo(text if as_json else table)
