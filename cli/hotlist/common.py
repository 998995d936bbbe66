"""What the commands of hot lists share: the group, its options, the store, the output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ingest.hotlists.sources import Sources

EXIT_NOT_SO = 1

Profile = Annotated[str | None, typer.Option("--profile", metavar="embedded|full")]
Home = Annotated[Path | None, typer.Option("--home", help="State directory of the stack.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
Name = Annotated[str, typer.Option("--source", help="Name of the list, lower case.")]

app = typer.Typer(help="Hot lists.", no_args_is_help=True)


def open_sources(profile: str | None, home: Path | None) -> Sources:
    """The sources of the installation."""
    from cli.installation import Installation
    from ingest.hotlists.sources import Sources

    return Sources(Installation.of(profile, home).hotlist_store)


def in_words(counts: dict[str, int]) -> str:
    """Counts in one line."""
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


def print_json(value: object) -> None:
    """Print JSON."""
    typer.echo(json.dumps(value, indent=2))
