from __future__ import annotations

import io

from rich.console import Console

from infra.provision.progress import Silent, Terminal


def shown(terminal: bool) -> str:
    output = io.StringIO()
    reporter = Terminal(Console(file=output, force_terminal=terminal, width=100))
    reporter.note("installing [maven]")
    with reporter.step("Resolving Kafka") as tick:
        tick("12 jars downloaded")
    return output.getvalue()


def test_a_log_gets_plain_lines() -> None:
    assert shown(terminal=False) == "installing [maven]\nResolving Kafka …\n"


def test_a_terminal_gets_a_line_that_stays_when_the_step_is_done() -> None:
    assert "✓" in shown(terminal=True)
    assert "12 jars downloaded" in shown(terminal=True)


def test_silent_is_silent() -> None:
    reporter = Silent()
    reporter.note("x")
    with reporter.step("y") as tick:
        tick("z")
