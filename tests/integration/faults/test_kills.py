"""`kill -9` on every part of the stack, under traffic: nothing is lost and nothing is doubled."""

from __future__ import annotations

import time

import pytest

from infra.waiting import wait_until
from tests.integration.faults.conftest import Scenario
from tests.support.faults.kills import orphans
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

BACK_S = 300.0
WHOLE_S = 180.0
DELAYING = {"kafka", "everything"}
"""Frames cannot be sent meanwhile: the rest of a pass may come too late and be told apart."""


def test_a_run_without_kills_gives_reads_of_frames(scenario: Scenario) -> None:
    assert scenario.calm, "the scene gave no reads: it would prove nothing"


@pytest.mark.parametrize(
    "what",
    [
        "python-workers",
        "task-manager",
        "kafka",
        "minio",
        "postgres",
        "job-manager-and-task-manager",
        "everything",
    ],
)
def test_nothing_is_lost_or_doubled(scenario: Scenario, what: str) -> None:
    rig, agency = scenario.rig, f"kill-{what}"
    showing = scenario.show(agency)
    # Half-way through the scene: passes are open, reads and hits under way.
    wait_for(lambda: showing.accepted >= len(scenario.scene) // 2, "half of the frames", 60)
    killed = time.time()
    rig.kill(what)
    back = wait_until(lambda: rig.running_since(killed), BACK_S, interval_s=0.5)
    assert back, f"not all runs {BACK_S:.0f} s after killing {what}"
    showing.join(60)
    assert showing.accepted == len(scenario.scene)
    scenario.reads.pause()
    accepted = scenario.reads.accepted | scenario.expected(showing)
    balance = rig.settle(accepted, WHOLE_S)
    emitted = {a.record.read_id for a in rig.look()[0].reads}
    assert accepted <= emitted, f"{len(accepted - emitted)} accepted reads are not on the topic"
    assert balance.sound, balance
    if what not in DELAYING:
        told = {read for _, _, read in scenario.reads_of(agency)}
        assert told == scenario.expected(showing), "other reads than without the kill"
    assert balance.hits_expected > 0
    assert orphans(rig.stack) == []
    scenario.reads.resume()
