"""Old state, logs and temporary files go; whatever a job can go on from never does."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from alpr.errors import Unavailable
from infra.ledger import JobLedger
from infra.leftovers import LOG_DAYS, STATE_DAYS, TEMP_DAYS, Places, sweep

DAY_S = 24 * 3600.0
A, B, C = (letter * 32 for letter in "abc")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    checkpoints = tmp_path / "checkpoints"
    folders = [tmp_path / name for name in ("savepoints", "logs", "tmp")]
    for folder in (checkpoints, *folders):
        folder.mkdir()
    return Places(JobLedger(tmp_path / "jobs", checkpoints), checkpoints, *folders)


def state(folder: Path, *, written: float = 0.0, complete: bool = True) -> Path:
    """A checkpoint or savepoint whose metadata was written so many seconds from now."""
    folder.mkdir(parents=True)
    (folder / "part").write_bytes(b"passes under way")
    if complete:
        (folder / "_metadata").touch()
        moment = time.time() + written
        os.utime(folder / "_metadata", (moment, moment))
    return folder


def checkpoint(places: Places, job: str, number: int, **how: float | bool) -> Path:
    return state(places.checkpoints / job / f"chk-{number}", **how)  # type: ignore[arg-type]


def savepoint(places: Places, job: str, end: str, **how: float | bool) -> Path:
    folder = places.savepoints / f"savepoint-{job[:6]}-{end}"
    return state(folder, **how)  # type: ignore[arg-type]


def after(places: Places, days: float, live: Collection[str] | None = ()) -> set[Path]:
    """What goes so many days from now, while no Flink runs."""
    gone = sweep(places, time.time() + days * DAY_S, live, temp_in_use=False)
    assert not any(path.exists() for path in gone)
    return set(gone)


def test_a_stopped_job_keeps_its_newest_complete_checkpoint_and_no_other(places: Places) -> None:
    places.ledger.record("match", A)
    before = checkpoint(places, A, 7)
    places.ledger.record("match", B)
    older, newest = checkpoint(places, B, 1), checkpoint(places, B, 2)
    broken = checkpoint(places, B, 3, complete=False)
    places.ledger.retire("match")
    assert after(places, STATE_DAYS - 0.1) == set()
    assert after(places, STATE_DAYS + 0.1) == {before.parent, older, broken}
    assert places.ledger.newest_checkpoint("match") == newest


def test_a_job_that_never_came_to_a_checkpoint_again_keeps_its_earlier_one(places: Places) -> None:
    places.ledger.record("match", A)
    before = checkpoint(places, A, 7)
    places.ledger.record("match", B)
    checkpoint(places, B, 1, complete=False)
    places.ledger.retire("match")
    after(places, 99)
    assert places.ledger.newest_checkpoint("match") == before


def test_what_flink_itself_keeps_of_a_job_that_should_run_is_left_alone(places: Places) -> None:
    """It may be failing since a fortnight, and go on from any of its three."""
    places.ledger.record("land", A)
    kept = [checkpoint(places, A, number) for number in (1, 2, 3)]
    foreign = checkpoint(places, C, 1)
    assert after(places, 14, {C}) == set()
    assert after(places, 14) == {foreign.parent}
    assert all(path.exists() for path in kept)


def test_nothing_goes_until_a_job_has_a_checkpoint_of_its_own(places: Places) -> None:
    """Until then Flink goes back to what it was started from, which may be any of them."""
    source, stray = savepoint(places, A, "01"), checkpoint(places, C, 1)
    places.ledger.record("match", B)
    assert after(places, 99) == set()
    checkpoint(places, B, 1, written=60)
    assert after(places, 99) == {source, stray.parent}


def test_nothing_goes_while_flink_does_not_say_what_runs(places: Places) -> None:
    checkpoint(places, C, 1)
    savepoint(places, C, "01")
    assert after(places, 99, None) == set()


def test_a_savepoint_goes_once_its_job_has_gone_further(places: Places) -> None:
    places.ledger.record("match", A)
    checkpoint(places, A, 1, written=-60)
    first, last = (savepoint(places, A, end, written=n) for n, end in enumerate(("01", "02")))
    broken = savepoint(places, A, "03", complete=False)
    places.ledger.retire("match")
    assert after(places, STATE_DAYS - 0.1) == set()
    assert after(places, STATE_DAYS + 0.1) == {first, broken}
    places.ledger.record("match", B)
    checkpoint(places, B, 1, written=60)
    assert after(places, STATE_DAYS + 0.1) >= {last}


def test_old_logs_go_but_none_that_is_written_to(places: Places) -> None:
    current, rotated = places.logs / "kafka.log", places.logs / "kafka.log.1"
    current.touch()
    rotated.touch()
    assert after(places, LOG_DAYS - 0.1) == set()
    assert after(places, LOG_DAYS + 0.1) == {rotated}
    assert current.exists()


def test_temporary_files_go_unless_a_flink_runs(places: Places) -> None:
    jar = places.temp / "artifacts" / "job.jar"
    jar.parent.mkdir()
    jar.touch()
    late = time.time() + 99 * DAY_S
    assert sweep(places, late, frozenset(), temp_in_use=True) == []
    assert after(places, TEMP_DAYS - 0.1) == set()
    assert after(places, TEMP_DAYS + 0.1) == {jar.parent}


def test_a_link_is_taken_away_and_not_what_it_leads_to(places: Places, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = places.temp / "link"
    link.symlink_to(tmp_path / "elsewhere")
    assert after(places, 2) == {link}
    assert (tmp_path / "elsewhere").exists()


def test_what_cannot_be_deleted_is_told(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (places.temp / "of-another-user").mkdir()
    ours = places.logs / "kafka.log.1"
    ours.touch()
    monkeypatch.setattr("shutil.rmtree", refuse)
    with pytest.raises(Unavailable, match="of-another-user"):
        after(places, 99)
    assert not ours.exists(), "the others go nevertheless"
