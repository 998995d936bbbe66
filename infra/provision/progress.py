"""Showing how a long step goes on, without the step knowing a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# Called with a short text each time a long step has come a little further.
Tick = Callable[[str], None]


class Reporter(Protocol):
    """Where long steps tell what they do."""

    def note(self, text: str, /) -> None:
        """Say one line that stays."""

    def step(self, title: str, /) -> AbstractContextManager[Tick]:
        """Show that a step runs, until the block ends; the tick replaces its detail."""


class Silent:
    """Says nothing: for tests and for --json."""

    def note(self, _text: str, /) -> None:
        """Say nothing."""

    def step(self, _title: str, /) -> AbstractContextManager[Tick]:
        """Show nothing."""
        return nullcontext(lambda _detail: None)


class Terminal:
    """A moving bar per step on a terminal, plain lines elsewhere. Writes to stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    def note(self, text: str, /) -> None:
        """Print the line."""
        self._console.print(text, markup=False, highlight=False)

    @contextmanager
    def step(self, title: str, /) -> Iterator[Tick]:
        """Show a bar with title, detail and time; a line when the step is done."""
        if not self._console.is_terminal:
            self._console.print(f"{title} …", markup=False, highlight=False)
            yield lambda _detail: None
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=None, detail="")
            yield lambda detail: progress.update(task, detail=detail)
        self._console.print(f"✓ {title}", markup=False, highlight=False)
