from __future__ import annotations

from infra.waiting import wait_until
from tests.unit.infra.clocks import FakeClock


def test_yes_at_once_does_not_wait() -> None:
    clock = FakeClock()
    assert wait_until(lambda: True, 10, clock=clock, sleep=clock.sleep)
    assert clock.now == 0


def test_waits_until_it_is_so() -> None:
    clock = FakeClock()
    assert wait_until(lambda: clock.now >= 3, 10, interval_s=0.5, clock=clock, sleep=clock.sleep)
    assert clock.now == 3


def test_gives_up_at_the_deadline_after_a_last_look() -> None:
    clock = FakeClock()
    asked: list[float] = []

    def never() -> bool:
        asked.append(clock.now)
        return False

    assert not wait_until(never, 1.0, interval_s=0.4, clock=clock, sleep=clock.sleep)
    assert clock.now == 1.0
    assert asked[-1] == 1.0


def test_asks_once_even_with_no_time_left() -> None:
    clock = FakeClock()
    assert wait_until(lambda: True, 0, clock=clock, sleep=clock.sleep)
    assert not wait_until(lambda: False, 0, clock=clock, sleep=clock.sleep)
