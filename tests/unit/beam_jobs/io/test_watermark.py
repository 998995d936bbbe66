from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.io.watermark import SourceWatermark

LATENESS, IDLE, START = 1.0, 2.0, 1000.0
Seen = tuple[int, float, float]
"""(partition, event time, when it came)"""


def watermark_after(seen: Sequence[Seen], now: float, partitions: int = 2) -> float:
    watermark = SourceWatermark(range(partitions), LATENESS, IDLE, START)
    for partition, event_time, came in seen:
        watermark.observe(partition, event_time, came)
    return watermark.current(now)


@pytest.mark.parametrize(
    ("case", "seen", "now", "expected"),
    [
        ("nothing has come, nobody is idle yet", [], 1001, -inf),
        ("one partition has not been heard of", [(0, 1000, 1001)], 1001, -inf),
        ("the slowest partition holds it", [(0, 1000, 1001), (1, 990, 1001)], 1001, 989),
        (
            "a partition's newest counts",
            [(0, 990, 1001), (0, 980, 1001), (1, 995, 1001)],
            1001,
            989,
        ),
        ("a silent one stalls nobody", [(0, 1000, 1003)], 1003, 999),
        ("an idle one is let go", [(1, 900, 1000), (0, 1001, 1002)], 1002.5, 1000),
        ("all idle: it follows the clock", [(0, 900, 1000), (1, 900, 1000)], 1005, 1004),
        ("never heard and idle: the clock", [], 1002, 1001),
        ("a camera's clock ahead is not believed", [(0, 9999, 1001), (1, 9999, 1001)], 1001, 1000),
        ("one clock ahead does not pull", [(0, 9999, 1001), (1, 995, 1001)], 1001, 994),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_watermark(case: str, seen: list[Seen], now: float, expected: float) -> None:
    assert watermark_after(seen, now) == expected


def test_an_idle_partition_that_speaks_again_holds_the_watermark_but_not_back() -> None:
    watermark = SourceWatermark(range(2), LATENESS, IDLE, START)
    watermark.observe(0, 1000, 1000)
    watermark.observe(1, 1000, 1000)
    watermark.observe(0, 1005, 1005)
    assert watermark.current(1005) == 1004
    watermark.observe(1, 950, 1005.5)
    assert watermark.current(1005.5) == 1004
    watermark.observe(0, 1006, 1006)
    watermark.observe(1, 1005.9, 1006)
    assert watermark.current(1006.9) == 1004.9


def test_a_partition_that_is_behind_is_not_idle() -> None:
    watermark = SourceWatermark(range(2), LATENESS, IDLE, START)
    watermark.observe(0, 950, 1000)
    watermark.observe(1, 1010, 1010)
    assert watermark.current(1010, behind=[0]) == 949
    assert watermark.current(1010) == 1009


steps = st.lists(
    st.tuples(st.integers(0, 2), st.none() | st.floats(900, 1100), st.floats(0, 3)), max_size=30
)


@given(steps)
def test_it_never_goes_back_and_never_runs_ahead_of_the_clock(
    taken: list[tuple[int, float | None, float]],
) -> None:
    watermark = SourceWatermark(range(3), LATENESS, IDLE, START)
    now, last = START, -inf
    for partition, event_time, passed in taken:
        now += passed
        if event_time is not None:
            watermark.observe(partition, event_time, now)
        current = watermark.current(now)
        assert last <= current <= now - LATENESS
        last = current
