"""The standalone Flink: workers, crashes, and what the watchdog brings back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from infra.services.flink import StandaloneFlink
from infra.services.stack import Stack
from infra.settings import Profile
from infra.waiting import wait_until
from infra.watchdog import Watchdog
from tests.integration.infra.pipelines import counting, noted
from tests.stacks import make_settings

pytestmark = pytest.mark.integration

# Generous: each step takes seconds on an idle machine, minutes on a busy one.
_DEADLINE_S = 240.0


@pytest.fixture(scope="module")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneFlink]:
    stack = Stack(make_settings(tmp_path_factory.mktemp("standalone"), Profile.FULL))
    flink = stack.flink
    assert isinstance(flink, StandaloneFlink)
    try:
        flink.start()
        yield flink
    finally:
        flink.stop()


def submit(flink: StandaloneFlink, name: str, out: Path, *flags: str) -> str:
    known = [job.id for _, job in flink.jobs()]
    counting(
        out,
        f"--job_endpoint={flink.job_endpoint}",
        f"--job_name={name}",
        "--environment_type=PROCESS",
        f'--environment_config={{"command": "{flink.worker_command}"}}',
        "--parallelism=1",
        *flags,
    )
    return flink.wait_for_job(name, known)


def checkpointed(flink: StandaloneFlink, job: str) -> bool:
    return any(
        rest.checkpoints(job).completed > 0 for rest, listed in flink.jobs() if listed.id == job
    )


def ended(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_a_killed_task_manager_takes_its_worker_along_and_the_job_goes_on(
    flink: StandaloneFlink, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    job = submit(flink, "survivor", out)
    assert wait_until(lambda: checkpointed(flink, job) and len(noted(out)) > 10, _DEADLINE_S)
    worker = noted(out)[-1][1]
    (task_manager,) = flink.task_managers
    assert task_manager.kill()
    assert wait_until(lambda: ended(worker), 60), "the Python worker outlived its task manager"
    before = len(noted(out))
    assert flink.start()
    assert wait_until(lambda: any(pid != worker for _, pid in noted(out)[before:]), _DEADLINE_S)
    # State came back: the count goes on near where the last checkpoint was, not at one.
    first = next(value for value, pid in noted(out) if pid != worker)
    assert first > 1
    rest = flink.jobs()[0][0]
    rest.cancel(job)
    assert wait_until(lambda: not any(listed.live for _, listed in flink.jobs()), _DEADLINE_S)


def test_the_watchdog_brings_a_job_back_after_everything_was_killed(
    flink: StandaloneFlink, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def resubmit(checkpoint: Path | None) -> str:
        flags = [f"--savepoint_path={checkpoint.as_uri()}"] if checkpoint else []
        return submit(flink, "phoenix", out, *flags)

    flink.ledger.record("phoenix", submit(flink, "phoenix", out))
    (first,) = flink.ledger.ids("phoenix")
    assert wait_until(lambda: checkpointed(flink, first) and len(noted(out)) > 10, _DEADLINE_S)
    watchdog = Watchdog(
        flink.processes,
        lambda: [job for _, job in flink.jobs()],
        flink.ledger,
        {"phoenix": resubmit},
    )
    assert list(watchdog.step()) == []
    assert flink.kill()
    killed = len(noted(out))
    seen: list[str] = []

    def back() -> bool:
        seen.extend(event.text for event in watchdog.step())
        return len(flink.ledger.ids("phoenix")) == 2

    assert wait_until(back, _DEADLINE_S, interval_s=0.5), seen
    assert any("brought job phoenix back from chk-" in event for event in seen), seen
    assert wait_until(lambda: len(noted(out)) > killed + 5, _DEADLINE_S)
    resumed = noted(out)[killed][0]
    assert resumed > 1
    rest, _ = flink.jobs()[0]
    savepoint = rest.savepoint(flink.ledger.ids("phoenix")[0], flink.savepoints_dir, cancel=True)
    assert (savepoint / "_metadata").is_file()
    assert wait_until(lambda: any(watchdog.step()), _DEADLINE_S)
    assert flink.ledger.names() == []
