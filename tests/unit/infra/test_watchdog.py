from __future__ import annotations

from pathlib import Path

import pytest

from alpr.errors import ConfigurationError, Corrupt, Unavailable
from infra.flink_rest import Failure, Job
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
        self.failures: list[Failure] = []
        self.watchdog = Watchdog(
            [self],
            self.jobs,
            self.ledger,
            {"match": self.submit},
            failures=lambda _: self.failures,
            cancel=lambda job: self.set_state(job.id, "CANCELED"),
            clock=self.clock,
            now=self.clock,
        )

    def step(self) -> list[str]:
        return [event.text for event in self.watchdog.step()]

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
    assert cluster.step() == []
    assert cluster.submitted == []


def test_a_job_that_a_new_job_manager_does_not_know_comes_back(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.add_checkpoint("id0", 3)
    newest = cluster.add_checkpoint("id0", 12)
    assert cluster.step() == ["brought job match back from chk-12"]
    assert cluster.submitted == [newest]
    assert cluster.ledger.ids("match") == ["id1", "id0"]
    assert cluster.step() == []


def test_a_failed_job_comes_back(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", "FAILED")
    assert "it has no checkpoint" in cluster.step()[0]
    assert cluster.submitted == [None]


def test_one_that_dies_before_its_first_checkpoint_uses_the_one_before(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    old = cluster.add_checkpoint("id0", 3)
    cluster.step()
    cluster.set_state("id1", "FAILED")
    cluster.clock.sleep(6)
    cluster.step()
    assert cluster.submitted == [old, old]


@pytest.mark.parametrize("state", ["CANCELED", "FINISHED", "CANCELLING"])
def test_a_job_stopped_on_purpose_stays_stopped(cluster: Cluster, state: str) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", state)
    assert "was stopped" in cluster.step()[0]
    cluster.listed = []
    assert cluster.step() == []
    assert cluster.submitted == []


def test_a_job_not_in_the_ledger_is_left_alone(cluster: Cluster) -> None:
    cluster.set_state("id0", "FAILED")
    assert cluster.step() == []


def test_a_job_nobody_can_submit_is_left_alone(cluster: Cluster) -> None:
    cluster.ledger.record("other", "id0")
    assert cluster.step() == []


def test_tries_come_slower_and_start_over_once_the_job_is_steady(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.broken = True
    assert "next try in 5 s: no job server" in cluster.step()[0]
    assert cluster.step() == []
    cluster.clock.sleep(5)
    assert "next try in 10 s" in cluster.step()[0]
    cluster.clock.sleep(9)
    assert cluster.step() == []
    cluster.clock.sleep(1)
    assert "next try in 20 s" in cluster.step()[0]
    for _ in range(10):
        cluster.clock.sleep(300)
        events = cluster.step()
    assert "next try in 300 s" in events[0]
    cluster.broken = False
    cluster.clock.sleep(300)
    cluster.step()
    cluster.step()
    cluster.clock.sleep(60)
    cluster.step()
    cluster.listed = []
    cluster.broken = True
    assert "next try in 5 s" in cluster.step()[0]


def test_old_checkpoints_go_once_the_new_run_is_steady_and_has_its_own(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.add_checkpoint("id0", 3)
    cluster.step()
    cluster.step()
    cluster.clock.sleep(61)
    cluster.step()
    assert (cluster.checkpoints / "id0").exists()  # the new run has none of its own yet
    cluster.add_checkpoint("id1", 1)
    cluster.step()
    assert not (cluster.checkpoints / "id0").exists()
    assert (cluster.checkpoints / "id1" / "chk-1").exists()
    assert cluster.ledger.ids("match") == ["id1"]


def test_a_dead_process_comes_back_before_jobs_are_looked_at(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.dead = True
    cluster.answers = False
    assert cluster.step() == ["restarted job-manager"]
    assert cluster.submitted == []
    cluster.answers = True
    cluster.step()
    assert cluster.submitted == [None]


def test_a_process_that_does_not_start_is_reported_and_the_rest_goes_on(cluster: Cluster) -> None:
    cluster.dead = cluster.broken = True
    assert cluster.step() == ["could not restart job-manager: it does not start"]


def test_run_reports_until_it_is_told_to_stop(cluster: Cluster) -> None:
    cluster.dead = True
    told: list[str] = []
    cluster.watchdog.run(
        lambda: cluster.clock() > 1005, lambda event: told.append(event.text), cluster.clock.sleep
    )
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


OWN = """java.lang.RuntimeException: Error received from SDK harness for instruction 7: \
Traceback (most recent call last):
  File "decode.py", line 1, in process
beam_jobs.dead_letters.TooManyDeadLetters: 60 of the last 100 [while running 'Decode']

\tat org.apache.beam.runners.Fused"""


def test_a_job_that_fails_for_its_own_reason_is_given_up_and_stays_so(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", "RESTARTING")
    cluster.failures = [Failure(cluster.clock() - 5 * n, OWN) for n in range(4)]
    assert cluster.step() == []
    cluster.failures.append(Failure(cluster.clock() - 30, OWN))
    (event,) = list(cluster.watchdog.step())
    assert event.bad
    assert "gave up on job match" in event.text
    assert "TooManyDeadLetters" in cluster.watchdog.given_up["match"]
    assert cluster.listed[0].state == "CANCELED"
    assert cluster.step() == []
    assert cluster.submitted == []
    assert cluster.ledger.ids("match") == ["id0"]  # a start goes on from its checkpoint


def test_old_failures_and_those_of_others_count_for_nothing(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.set_state("id0", "RESTARTING")
    gone = "org.apache.flink.runtime.jobmaster.JobMasterException: TaskManager is gone\n\tat x"
    cluster.failures = [Failure(cluster.clock(), gone) for _ in range(16)]
    cluster.failures += [Failure(cluster.clock() - 700, OWN) for _ in range(16)]
    assert cluster.step() == []


def test_a_job_that_flink_gives_up_again_and_again_is_given_up(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    for number in range(5):
        cluster.set_state(f"id{number}", "FAILED")
        assert "brought job match back" in cluster.step()[0]
        cluster.clock.sleep(300)
    cluster.set_state("id5", "FAILED")
    assert "gave up on job match" in cluster.step()[0]


def test_a_job_that_somebody_started_again_is_watched_again(cluster: Cluster) -> None:
    cluster.ledger.record("match", "id0")
    cluster.watchdog.given_up["match"] = "a reason"
    cluster.set_state("id9", "RUNNING")
    assert cluster.step() == []
    assert cluster.ledger.ids("match") == ["id9", "id0"]
    assert cluster.watchdog.given_up == {}
