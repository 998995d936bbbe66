"""`platelake hotlist …`: what lists there are, loading them, and what is in force."""

from __future__ import annotations

import typer

from cli.hotlist import declaring, loading, showing
from cli.hotlist.common import app

__all__ = ["declaring", "loading", "register", "showing"]


def register(parent: typer.Typer) -> None:
    """Add the group to the program."""
    parent.add_typer(app, name="hotlist")
