"""Real but tiny processes: a supervisor is only as good as what the system does."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from alpr.errors import ConfigurationError, Unavailable
from infra.preflight import PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.waiting import wait_until

SLEEPER = "import time; print('here', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('here', flush=True); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time;"
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]);"
    "print(child.pid, flush=True); time.sleep(600)"
)


class Box:
    """A process with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def process(self, code: str, **changes: object) -> ManagedProcess:
        spec = ProcessSpec(
            name="thing",
            command=lambda: Command((sys.executable, "-u", "-c", code)),
            ready=lambda: bool(self.output().strip()),
            start_deadline_s=20.0,
            stop_grace_s=5.0,
        )
        return ManagedProcess(
            replace(spec, **changes),  # type: ignore[arg-type]  # fields by name
            run_dir=self.folder / "run",
            logs_dir=self.folder / "logs",
        )

    @property
    def pid_file(self) -> Path:
        return self.folder / "run" / "thing.pid"

    def output(self) -> str:
        with suppress(FileNotFoundError):
            return (self.folder / "logs" / "thing.log").read_text()
        return ""


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.process(SLEEPER).stop()


def gone(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def test_start_status_stop(box: Box) -> None:
    process = box.process(SLEEPER)
    assert process.status().state == "down"
    assert process.start()
    assert process.healthy()
    status = process.status()
    assert status.state == "up"
    assert status.pid == process.pid
    assert status.rss_mib is not None
    assert status.rss_mib > 1
    assert status.uptime_s is not None
    assert 0 <= status.uptime_s < 60
    pid = process.pid
    assert pid is not None
    assert os.getpgid(pid) == pid  # a group of its own: Ctrl-C does not reach it
    assert process.stop()
    assert gone(pid)
    assert not box.pid_file.exists()
    assert not process.stop()


def test_starting_twice_starts_once_also_from_another_program(box: Box) -> None:
    process = box.process(SLEEPER)
    assert process.start()
    pid = process.pid
    other = box.process(SLEEPER)
    assert not other.start()
    assert other.pid == pid
    assert other.stop()
    assert process.pid is None


def test_stop_ends_the_whole_group(box: Box) -> None:
    process = box.process(PARENT)
    process.start()
    child = int(box.output().split()[0])
    assert psutil.pid_exists(child)
    process.stop()
    assert wait_until(lambda: gone(child), 5)


def test_kill_ends_only_the_process_and_stop_then_clears_its_children(box: Box) -> None:
    process = box.process(PARENT)
    process.start()
    child = int(box.output().split()[0])
    assert process.kill()
    assert not process.alive()
    assert process.stale()
    assert process.status().state == "dead"
    assert not gone(child)
    assert process.stop()
    assert wait_until(lambda: gone(child), 5)
    assert not process.kill()


def test_one_that_ignores_term_is_killed_after_the_grace(box: Box) -> None:
    process = box.process(STUBBORN, stop_grace_s=0.3)
    process.start()
    pid = process.pid
    assert pid is not None
    assert process.stop()
    assert gone(pid)


def test_one_that_ends_at_once_is_reported_with_its_last_words(box: Box) -> None:
    process = box.process("print('cannot open the flux'); raise SystemExit(3)", ready=lambda: False)
    with pytest.raises(Unavailable, match=r"ended while starting.*\n.*cannot open the flux"):
        process.start()
    assert not box.pid_file.exists()


def test_one_that_never_gets_well_is_stopped_again(box: Box) -> None:
    process = box.process(PARENT, ready=lambda: False, start_deadline_s=1.0)
    with pytest.raises(Unavailable, match="not become ready in 1 s"):
        process.start()
    assert not box.pid_file.exists()
    assert not process.alive()
    child = int(box.output().split()[0])
    assert wait_until(lambda: gone(child), 5)


def test_an_interrupt_during_the_start_leaves_nothing(box: Box) -> None:
    pids: list[int | None] = []

    def interrupted() -> bool:
        pids.append(process.pid)
        raise KeyboardInterrupt

    process = box.process(SLEEPER, ready=interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.start()
    assert pids[0] is not None
    assert gone(pids[0])
    assert not box.pid_file.exists()


def test_a_missing_program_is_a_configuration_error(box: Box) -> None:
    process = box.process(SLEEPER, command=lambda: Command(("/no/such/program",)))
    with pytest.raises(ConfigurationError, match="/no/such/program"):
        process.start()
    assert not box.pid_file.exists()


def test_a_pid_that_was_used_again_is_never_touched(box: Box) -> None:
    # The pid file names this very test program, but another start time.
    box.pid_file.parent.mkdir(parents=True)
    started = psutil.Process().create_time() - 3600
    box.pid_file.write_text(json.dumps({"pid": os.getpid(), "started": started}))
    process = box.process(SLEEPER)
    assert not process.alive()
    assert process.stale()
    assert not process.kill()
    assert not process.stop()  # had it signalled the pid, this test would have ended here
    assert not box.pid_file.exists()


def test_a_group_whose_leader_pid_was_used_again_is_never_touched(box: Box) -> None:
    box.pid_file.parent.mkdir(parents=True)
    group = os.getpgid(0)
    started = psutil.Process(group).create_time() - 3600 if psutil.pid_exists(group) else 0.0
    box.pid_file.write_text(json.dumps({"pid": group, "started": started}))
    assert not box.process(SLEEPER).stop()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_damaged_pid_file_counts_as_not_running(box: Box, content: str) -> None:
    box.pid_file.parent.mkdir(parents=True)
    box.pid_file.write_text(content)
    process = box.process(SLEEPER)
    assert not process.alive()
    assert process.start()


def test_after_a_crash_it_starts_anew_and_keeps_the_last_log(box: Box) -> None:
    process = box.process(SLEEPER)
    process.start()
    first = process.pid
    process.kill()
    assert process.start()
    assert process.pid != first
    assert (box.folder / "logs" / "thing.log.1").read_text().strip() == "here"


def test_a_taken_port_is_named_with_its_setting_and_owner(box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = box.process(SLEEPER, ports=(PortClaim("kafka", port),))
        with pytest.raises(ConfigurationError) as raised:
            process.start()
    message = str(raised.value)
    assert f"port {port}" in message
    assert "ports.kafka" in message
    assert f"process {os.getpid()}" in message
    assert not box.pid_file.exists()


def test_a_full_disk_is_named_before_anything_starts(box: Box) -> None:
    process = box.process(SLEEPER, disk_free_min_mib=2**40)
    with pytest.raises(ConfigurationError, match="MiB free"):
        process.start()
    assert not process.alive()


def test_another_stop_signal(box: Box) -> None:
    code = (
        "import signal, sys, time;"
        "signal.signal(signal.SIGINT, lambda *_: (print('fast', flush=True), sys.exit()));"
        "print('here', flush=True); time.sleep(600)"
    )
    process = box.process(code, stop_signal=signal.SIGINT)
    process.start()
    process.stop()
    assert "fast" in box.output()


def test_environment_reaches_the_process_and_stays_out_of_sight(box: Box) -> None:
    command = Command(
        (
            sys.executable,
            "-c",
            "import os, time; print(os.environ['WORD'], flush=True);time.sleep(600)",
        ),
        env={"WORD": "sesame"},
    )
    process = box.process(SLEEPER, command=lambda: command)
    process.start()
    assert box.output().strip() == "sesame"
    assert process.pid is not None
    assert "sesame" not in " ".join(psutil.Process(process.pid).cmdline())
    assert "sesame" not in repr(command)
