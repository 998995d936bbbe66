"""Waiting for something to become true, with a deadline and a clock that is passed in."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    ready: Callable[[], bool],
    deadline_s: float,
    *,
    interval_s: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Ask `ready` every `interval_s` until it says yes (True) or `deadline_s` has passed (False).

    It is asked at least once, and a last time at the deadline.
    """
    end = clock() + deadline_s
    while not ready():
        left = end - clock()
        if left <= 0:
            return False
        sleep(min(interval_s, left))
    return True
