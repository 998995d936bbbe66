from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from alpr.errors import ConfigurationError
from infra.services.stack import Stack
from infra.waiting import wait_until
from tests.integration.infra.pipelines import noted, squares
from tests.stacks import make_settings

pytestmark = pytest.mark.integration


def test_up_is_idempotent_and_everything_answers(embedded_stack: Stack) -> None:
    assert embedded_stack.up() == []
    assert embedded_stack.healthy()
    states = {status.name: status.state for status in embedded_stack.status()}
    assert states == {"kafka": "up", "job-server": "up"}


def test_a_pipeline_runs_in_this_process(embedded_stack: Stack, tmp_path: Path) -> None:
    result = squares(
        tmp_path / "out",
        f"--job_endpoint={embedded_stack.job_endpoint}",
        "--environment_type=LOOPBACK",
        "--parallelism=1",
    )
    assert result.wait_until_finish() == "DONE"
    assert sorted(noted(tmp_path / "out")) == [(n * n, os.getpid()) for n in (1, 2, 3)]


def test_a_pipeline_runs_in_a_worker_of_its_own(embedded_stack: Stack, tmp_path: Path) -> None:
    result = squares(
        tmp_path / "out",
        f"--job_endpoint={embedded_stack.job_endpoint}",
        "--environment_type=PROCESS",
        f'--environment_config={{"command": "{embedded_stack.flink.worker_command}"}}',
        "--parallelism=1",
    )
    assert result.wait_until_finish() == "DONE"
    written = noted(tmp_path / "out")
    assert sorted(value for value, _ in written) == [1, 4, 9]
    worker = written[0][1]
    assert worker != os.getpid()
    assert wait_until(lambda: not psutil.pid_exists(worker), 60)


def test_a_second_stack_on_the_same_ports_is_refused(embedded_stack: Stack, tmp_path: Path) -> None:
    other = Stack(
        make_settings(tmp_path).model_copy(update={"ports": embedded_stack.settings.ports})
    )
    with pytest.raises(ConfigurationError, match=r"ports\.kafka"):
        other.up()
    assert all(status.state == "down" for status in other.status())
    assert embedded_stack.healthy()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_up_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    settings = make_settings(tmp_path)
    environment = {
        **os.environ,
        **{
            f"PLATELAKE_PORTS__{name.upper()}": str(port)
            for name, port in settings.ports.model_dump().items()
        },
    }
    command = [sys.executable, "-m", "cli.main", "up", "--home", str(tmp_path)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as up:
        # Kafka runs, Flink does not yet: the middle of it.
        pid_file = settings.run_dir / "kafka.pid"
        assert wait_until(lambda: pid_file.exists() or up.poll() is not None, 120)
        assert up.poll() is None
        up.send_signal(number)
        _, errors = up.communicate(timeout=120)
    assert up.returncode != 0, errors
    assert all(status.state == "down" for status in Stack(settings).status())
    assert not list(settings.run_dir.glob("*.pid"))
