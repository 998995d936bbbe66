"""Options of commands that are put on record: who acts, why, and whose key signs."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from catalog.retention.signing import SigningKey

By = Annotated[
    str | None,
    typer.Option("--by", help="Who acts, as it stays on record; the system's user otherwise."),
]
Reason = Annotated[str, typer.Option("--reason", help="Why, as it stays on record.")]
Key = Annotated[
    Path | None,
    typer.Option("--key", metavar="FILE", help="Signing key; the installation's otherwise."),
]


def who(by: str | None) -> str:
    """The person who acts."""
    return by or getpass.getuser()


def utc_now() -> datetime:
    """The time (UTC)."""
    return datetime.now(UTC)


def day_of(moment: datetime | None) -> date | None:
    """The day of an option that holds a day."""
    return None if moment is None else moment.date()


def print_json(value: object) -> None:
    """Print JSON to standard output."""
    typer.echo(json.dumps(value, indent=2))


def signing_key(
    file: Path | None, config: Path | None, profile: str | None, home: Path | None
) -> SigningKey | None:
    """The key that signs: the file's, or the installation's, made if it is missing.

    None with `--config` and no `--key`: nothing is signed then. Raises ConfigurationError.
    """
    from catalog.retention.signing import SigningKey

    if file is not None:
        return SigningKey.load(file)
    if config is not None:
        return None
    from cli.installation import Installation

    return SigningKey.load_or_make(Installation.of(profile, home).certificate_key)
