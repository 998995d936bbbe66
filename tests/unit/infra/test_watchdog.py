from __future__ import annotations

from pathlib import Path

import pytest

from alpr.errors import ConfigurationError, Corrupt, Unavailable
from infra.flink_rest import Job
from infra.ledger import JobLedger
from infra.watchdog import Watchdog
from tests.unit.infra.clocks import FakeClock


class Cluster:
    """A Flink that runs what it is given, and a process that can die."""

    name = "job-manager"

    def __init__(self, tmp_path: Path) -> None:
        self.clock = FakeClock(1000.0)
        self.checkpoints = tmp_path / "checkpoints"
        self.ledger = JobLedger(tmp_path / "jobs", self.checkpoints)
        self.listed: list[Job] = []
        self.answers = True
        self.dead = False
        self.broken = False
        self.submitted: list[Path | None] = []
        self.watchdog = Watchdog(
            [self], self.jobs, self.ledger, {"match": self.submit}, clock=self.clock
        )

    def jobs(self) -> list[Job]:
        if not self.answers:
            raise Unavailable("no answer")
        return self.listed

    def submit(self, checkpoint: Path | None) -> str:
        self.submitted.append(checkpoint)
        if self.broken:
            raise Unavailable("no job server")
        job = Job(f"id{len(self.submitted)}", "match", "RUNNING", self.clock())
        self.listed = [job]
        return job.id

    def stale(self) -> bool:
        return self.dead

    def start(self) -> bool:
        if self.broken:
            raise Unavailable("it does not start")
        self.dead = False
        return True

    def set_state(self, job: str, state: str) -> None:
        self.listed = [Job(job, "match", state, 0.0)]

    def add_checkpoint(self, job: str, number: int) -> Path:
        folder = self.checkpoints / job / f"chk-{number}"
        folder.mkdir(parents=True)
        (folder / "_metadata").touch()
        return folder


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


def test_all_is_well(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", "RESTARTING")
    assert cluster.watchdog.step() == []
    assert cluster.submitted == []


def test_a_job_that_a_new_job_manager_does_not_know_comes_back(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.add_checkpoint("id0", 3)
    newest = cluster.add_checkpoint("id0", 12)
    assert cluster.watchdog.step() == ["brought job match back from chk-12"]
    assert cluster.submitted == [newest]
    assert cluster.ledger.ids("match") == ["id1", "id0"]
    assert cluster.watchdog.step() == []


def test_a_failed_job_comes_back(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", "FAILED")
    assert "it has no checkpoint" in cluster.watchdog.step()[0]
    assert cluster.submitted == [None]


def test_one_that_dies_before_its_first_checkpoint_uses_the_one_before(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    old = cluster.add_checkpoint("id0", 3)
    cluster.watchdog.step()
    cluster.set_state("id1", "FAILED")
    cluster.clock.sleep(6)
    cluster.watchdog.step()
    assert cluster.submitted == [old, old]


@pytest.mark.parametrize("state", ["CANCELED", "FINISHED", "CANCELLING"])
def test_a_job_stopped_on_purpose_stays_stopped(cluster: Cluster, state: str) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", state)
    assert "was stopped" in cluster.watchdog.step()[0]
    cluster.listed = []
    assert cluster.watchdog.step() == []
    assert cluster.submitted == []


def test_a_job_not_in_the_ledger_is_left_alone(cluster: Cluster) -> None:
    cluster.set_state("id0", "FAILED")
    assert cluster.watchdog.step() == []


def test_a_job_nobody_can_submit_is_left_alone(cluster: Cluster) -> None:
    cluster.ledger.record("other", "id0")
    assert cluster.watchdog.step() == []


def test_tries_come_slower_and_start_over_once_the_job_is_steady(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.broken = True
    assert "next try in 5 s: no job server" in cluster.watchdog.step()[0]
    assert cluster.watchdog.step() == []
    cluster.clock.sleep(5)
    assert "next try in 10 s" in cluster.watchdog.step()[0]
    cluster.clock.sleep(9)
    assert cluster.watchdog.step() == []
    cluster.clock.sleep(1)
    assert "next try in 20 s" in cluster.watchdog.step()[0]
    for _ in range(10):
        cluster.clock.sleep(300)
        events = cluster.watchdog.step()
    assert "next try in 300 s" in events[0]
    cluster.broken = False
    cluster.clock.sleep(300)
    cluster.watchdog.step()
    cluster.watchdog.step()
    cluster.clock.sleep(60)
    cluster.watchdog.step()
    cluster.listed = []
    cluster.broken = True
    assert "next try in 5 s" in cluster.watchdog.step()[0]


def test_old_checkpoints_go_once_the_new_run_is_steady_and_has_its_own(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.add_checkpoint("id0", 3)
    cluster.watchdog.step()
    cluster.watchdog.step()
    cluster.clock.sleep(61)
    cluster.watchdog.step()
    assert (cluster.checkpoints / "id0").exists()  # the new run has none of its own yet
    cluster.add_checkpoint("id1", 1)
    cluster.watchdog.step()
    assert not (cluster.checkpoints / "id0").exists()
    assert (cluster.checkpoints / "id1" / "chk-1").exists()
    assert cluster.ledger.ids("match") == ["id1"]


def test_a_dead_process_comes_back_before_jobs_are_looked_at(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.dead = True
    cluster.answers = False
    assert cluster.watchdog.step() == ["restarted job-manager"]
    assert cluster.submitted == []
    cluster.answers = True
    cluster.watchdog.step()
    assert cluster.submitted == [None]


def test_a_process_that_does_not_start_is_reported_and_the_rest_goes_on(cluster: Cluster) -> None:
    cluster.dead = cluster.broken = True
    assert cluster.watchdog.step() == ["could not restart job-manager: it does not start"]


def test_run_reports_until_it_is_told_to_stop(cluster: Cluster) -> None:
    cluster.dead = True
    told: list[str] = []
    cluster.watchdog.run(lambda: cluster.clock() > 1005, told.append, cluster.clock.sleep)
    assert told == ["restarted job-manager"]


@pytest.mark.parametrize("content", ["{", '{"a": 1}', "[1]"])
def test_a_damaged_ledger_is_refused(cluster: Cluster, tmp_path: Path, content: str) -> None:
    cluster.ledger.record("match", "id0")
    (tmp_path / "jobs" / "match.json").write_text(content)
    with pytest.raises(Corrupt, match=r"match\.json"):
        cluster.ledger.ids("match")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b"])
def test_names_that_are_no_file_names_are_refused(cluster: Cluster, name: str) -> None:
    with pytest.raises(ConfigurationError, match="job name"):
        cluster.ledger.record(name, "id0")
