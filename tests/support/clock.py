"""A clock that goes only when told to."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.records import T0


class FakeClock:
    """Seconds since 1970, from noon of the tests' day; call it to read it."""

    def __init__(self, now: float = T0.timestamp()) -> None:
        self.seconds = now

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
