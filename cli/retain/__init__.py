"""`platelake retain …`: what ends when, its purge, and the proof of it."""

from __future__ import annotations

from importlib import import_module

import typer

_app = typer.Typer(
    help="Retention: what ends when, the purge, and its proof.", no_args_is_help=True
)

for _command in ("plan", "run", "verify", "canary", "certificate", "move"):
    import_module(f"cli.retain.{_command}").register(_app)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_app, name="retain")
