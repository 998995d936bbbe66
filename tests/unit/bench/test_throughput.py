from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from bench.accounting import Cost, Latency, Machine
from bench.report import markdown
from bench.throughput import Job, Loop, Plan, Result, Together, goals

FAST = Together(
    reads=400_000,
    wall_s=10.0,
    reads_per_s=40_000.0,
    jobs={"match": Job(50_000.0, 11.0, 300.0), "land": Job(40_000.0, 19.0, 400.0)},
    services={"jvm": Cost(4.0, 800.0), "broker": Cost(1.0, 400.0)},
    cpu_s_per_million=42.5,
)
SLOW = replace(FAST, reads_per_s=4_000.0)
BARE = Loop(400_000, 2000, 60_000.0, 15.0, 170.0)
LOW, HALF = Latency(1200, 12.0, 210.0, 220.0), Latency(2000, 30.0, 900.0, 950.0)


def result(bytewax: Loop | str) -> Result:
    return Result(
        machine=Machine("Linux", "some processor", 2, 24.0, "3.11", 1.0),
        plan=Plan(),
        message_bytes=497.0,
        bare=BARE,
        bytewax=bytewax,
        ours=FAST,
        per_record=SLOW,
        latency_low=LOW,
        latency_half=HALF,
        half_rate=20_000.0,
        load_after=2.0,
        goals=goals(FAST, SLOW, BARE, LOW, HALF),
    )


def test_goals_met() -> None:
    assert all(goals(FAST, SLOW, BARE, LOW, HALF).values())


@pytest.mark.parametrize(
    ("ours", "per_record", "bare", "low", "half"),
    [
        (replace(FAST, reads_per_s=29_999.0), SLOW, replace(BARE, reads_per_s=1.0), LOW, HALF),
        (FAST, replace(SLOW, reads_per_s=8_001.0), BARE, LOW, HALF),
        (FAST, SLOW, replace(BARE, reads_per_s=80_001.0), LOW, HALF),
        (FAST, SLOW, BARE, replace(LOW, p50=51.0), HALF),
        (FAST, SLOW, BARE, replace(LOW, p99=401.0), HALF),
        (FAST, SLOW, BARE, LOW, replace(HALF, p99=2001.0)),
    ],
)
def test_each_goal_can_be_missed_alone(
    ours: Together, per_record: Together, bare: Loop, low: Latency, half: Latency
) -> None:
    assert list(goals(ours, per_record, bare, low, half).values()).count(False) == 1


def test_the_table_tells_rates_ratios_and_latencies() -> None:
    table = markdown(asdict(result(Loop(400_000, 2000, 80_000.0, 10.0, 180.0))))
    assert "| **match + land** | **40,000** | **42.5** | |" in table
    assert "| … jvm | | 10.0 | 800 |" in table
    assert "| (b) | 10.00 |" in table
    assert "| (c) | 0.50 |" in table
    assert "| 200 reads/s | 1200 | 12 | 210 | 220 |" in table
    assert "| at least 5 times (b) | yes |" in table


def test_a_contender_that_could_not_be_run_is_said_with_its_reason() -> None:
    table = markdown(asdict(result("cannot be installed: no network")))
    assert "not run, cannot be installed: no network" in table
    assert "| (c) | not run |" in table
