"""Waiting in integration tests: for a condition, with a deadline, never for a length of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from infra.waiting import wait_until

T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, deadline_s: float = 60.0) -> T:
    """The first true thing that `look` gives. AssertionError, naming `what`, at the deadline."""
    seen: list[T] = []

    def found() -> bool:
        seen[:] = [look()]
        return bool(seen[0])

    if not wait_until(found, deadline_s):
        raise AssertionError(f"waited {deadline_s:.0f} s for {what}; last seen: {seen[0]!r}")
    return seen[0]
