"""Options that several commands have, and how they find the lake."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from catalog.lake import Lake

Config = Annotated[
    Path | None,
    typer.Option("--config", help="The lake's TOML file, instead of the installation's."),
]
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Whose lake, without --config.", metavar="embedded|full"),
]
Home = Annotated[
    Path | None, typer.Option("--home", help="State directory; .platelake unless said otherwise.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
Every = Annotated[
    float | None,
    typer.Option("--every", min=1, help="Run as a service: again after so many seconds."),
]


def open_lake(config: Path | None, profile: str | None, home: Path | None) -> Lake:
    """The lake of a file, or of an installation. Raises ConfigurationError if there is none."""
    from catalog.config import LakeConfig
    from catalog.lake import Lake

    if config is not None:
        return Lake(LakeConfig.load(config))
    from cli.installation import Installation

    return Installation.of(profile, home).lake()


def stop_event() -> threading.Event:
    """Set by Ctrl-C or SIGTERM: a service ends after the round under way."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
