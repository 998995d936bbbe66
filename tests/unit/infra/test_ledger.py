"""The chain of ids that leads from a job's name to its newest state."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpr.errors import ConfigurationError, Corrupt
from infra.ledger import JobLedger


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"


@pytest.fixture
def ledger(tmp_path: Path, checkpoints: Path) -> JobLedger:
    return JobLedger(tmp_path / "jobs", checkpoints)


def complete(checkpoints: Path, job_id: str, number: int) -> Path:
    folder = checkpoints / job_id / f"chk-{number}"
    folder.mkdir(parents=True)
    (folder / "_metadata").touch()
    return folder


def test_a_stopped_job_is_not_to_run_and_can_go_on(ledger: JobLedger, checkpoints: Path) -> None:
    ledger.record("match", "a")
    newest = complete(checkpoints, "a", 7)
    ledger.retire("match")
    assert ledger.names() == []
    assert ledger.ids("match") == []
    assert ledger.newest_checkpoint("match") == newest


def test_going_on_keeps_the_chain(ledger: JobLedger, checkpoints: Path) -> None:
    ledger.record("match", "a")
    before = complete(checkpoints, "a", 7)
    ledger.retire("match")
    ledger.record("match", "b")
    assert ledger.names() == ["match"]
    assert ledger.ids("match") == ["b", "a"]
    assert ledger.newest_checkpoint("match") == before
    after = complete(checkpoints, "b", 1)
    assert ledger.newest_checkpoint("match") == after


def test_retiring_what_never_ran_is_nothing(ledger: JobLedger) -> None:
    ledger.retire("match")
    assert ledger.newest_checkpoint("match") is None


def test_older_states_go_once_the_newest_has_its_own(ledger: JobLedger, checkpoints: Path) -> None:
    ledger.record("match", "a")
    old = complete(checkpoints, "a", 7)
    ledger.record("match", "b")
    assert ledger.prune("match") == []
    complete(checkpoints, "b", 1)
    assert ledger.prune("match") == [checkpoints / "a"]
    assert not old.exists()
    assert ledger.ids("match") == ["b"]


def test_a_damaged_ledger_is_said(ledger: JobLedger, tmp_path: Path) -> None:
    ledger.record("match", "a")
    (tmp_path / "jobs" / "match.json").write_text("{")
    with pytest.raises(Corrupt, match="start the job anew"):
        ledger.ids("match")


def test_a_name_is_no_path(ledger: JobLedger) -> None:
    with pytest.raises(ConfigurationError, match="job name"):
        ledger.record("../match", "a")
