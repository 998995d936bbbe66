"""What the commands that send messages share: the broker's address, a progress bar, an outcome."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.progress import Progress, TaskID

    from alpr.errors import BadInput

EXIT_NOT_SO = 1
_SHOWN = 10

Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap", help="Kafka's host:port; that of the local stack unless said otherwise."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]


def bootstrap_or_local(given: str | None) -> str:
    """The address given, or that of the local stack. Raises ConfigurationError."""
    if given is not None:
        return given
    from infra.services.stack import Stack
    from infra.settings import load

    return Stack(load()).bootstrap


class Bar:
    """A progress bar on standard error; nothing where that is no terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def advance(self, by: float = 1) -> None:
        """Move on by so many units."""
        self._progress.advance(self._task, by)

    def tell(self, text: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False)


@contextmanager
def bar(what: str, total: float | None, *, as_bytes: bool = False) -> Iterator[Bar]:
    """A bar that counts to `total`, or just counts where the end is not known."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    counted = DownloadColumn() if as_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counted, TimeElapsedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        yield Bar(progress, progress.add_task(what, total=total))


class Refusals:
    """Tells the first few refusals in full; the rest is in the counts."""

    def __init__(self, shown: Bar) -> None:
        self._bar = shown
        self._count = 0

    def __call__(self, error: BadInput) -> None:
        """One more was refused."""
        self._count += 1
        if self._count <= _SHOWN:
            self._bar.tell(f"refused: {error}")
        elif self._count == _SHOWN + 1:
            self._bar.tell("refused: and more, counted below")


def conclude(as_json: bool, done: str, count: int, refused: Mapping[str, int], **more: Any) -> None:
    """Print what became of the input; exit with 1 if any of it was refused."""
    if as_json:
        print(json.dumps({done: count, "refused": dict(refused), **more}))
    else:
        typer.echo(
            f"{done} {count}" + "".join(f", {n} refused ({why})" for why, n in refused.items())
        )
        for name, value in more.items():
            typer.echo(f"  {name.replace('_', ' ')}: {value}")
    if refused:
        sys.exit(EXIT_NOT_SO)
