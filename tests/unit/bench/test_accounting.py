from __future__ import annotations

import os
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.accounting import Cost, Family, Latency, Machine, Meter, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (1.0, 100)]
)
def test_percentiles_are_values_that_occurred(share: float, expected: int) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0, 1))
def test_at_least_the_share_does_not_exceed_it(values: list[float], share: float) -> None:
    bound = percentile(values, share)
    assert bound in values
    assert sum(value <= bound for value in values) >= share * len(values)


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        Latency.of([])


def test_latency_of_values() -> None:
    assert asdict(Latency.of([3.0, 1.0, 2.0])) == {"count": 3, "p50": 2.0, "p99": 3.0, "most": 3.0}


def test_cost_per_million() -> None:
    assert Cost(cpu_s=3.0, rss_mib=1).per_million(200_000) == pytest.approx(15.0)


class Scripted(Family):
    """A process whose figures are given: CPU doubles at each look, memory rises and falls."""

    def __init__(self, pid: int) -> None:
        self._cpu = iter([10.0, 12.5])
        self._rss = iter([100.0 * pid, 300.0 * pid] + [200.0 * pid] * 100)

    def cpu_s(self) -> float:
        return next(self._cpu)

    def rss_mib(self) -> float:
        return next(self._rss)


def test_a_meter_tells_differences_and_peaks_apart_by_name() -> None:
    meter = Meter({"a": 1, "b": 2}, sample_s=60.0, family=Scripted)
    meter.start()
    assert meter.stop() == {"a": Cost(2.5, 300.0), "b": Cost(2.5, 600.0)}


def test_a_family_counts_this_process() -> None:
    me = Family(os.getpid())
    before = me.cpu_s()
    sum(n * n for n in range(3_000_000))
    assert me.cpu_s() > before
    assert me.rss_mib() > 1


def test_the_machine_is_described() -> None:
    machine = Machine.here()
    assert machine.cores >= 1
    assert machine.processor
    assert machine.memory_gib > 0
