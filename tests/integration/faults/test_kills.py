"""`kill -9` on every part of the stack, under traffic: nothing is lost and nothing is doubled."""

from __future__ import annotations

import json
import time

import pytest

from infra.waiting import wait_until
from ingest.producer import Producer
from ingest.topics import FRAMES
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


def test_a_job_that_cannot_work_is_given_up_and_the_others_go_on(scenario: Scenario) -> None:
    """The last one: what it sends is not taken back."""
    rig = scenario.rig
    with Producer(rig.stack.bootstrap) as producer:
        for _ in range(200):
            producer.send(FRAMES, key=b"bad/camera", value=b"no picture")

    def gave_up() -> str:
        events = map(json.loads, rig.watchdog_log.read_text("utf-8").splitlines())
        return next((e["event"] for e in events if e["event"].startswith("gave up")), "")

    event = wait_for(gave_up, "the watchdog to give up", 300)
    assert "gave up on job recognise" in event
    assert "TooManyDeadLetters" in event
    jobs = rig.installation.jobs()
    assert wait_until(lambda: jobs.find("recognise") is None, 60)
    assert jobs.running("match")
    assert jobs.running("land")
    assert rig.stop_watchdog() == 1
