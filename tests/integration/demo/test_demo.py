"""The whole platform by its one command: what it promises, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from infra.waiting import wait_until
from tests.stacks import free_ports

pytestmark = pytest.mark.integration

_KEYS = {
    "passes_shown", "passes_unread", "reads_emitted", "reads_landed", "reads_missing",
    "reads_doubled", "reads_exact_share", "hits_planned", "hits_expected", "hits_emitted",
    "hits_missing", "hits_doubled", "dead_letters", "latency_ms", "engine", "wall_s",
}  # fmt: skip


def _environment(home: Path) -> Mapping[str, str]:
    ports = {f"PLATELAKE_PORTS__{n.upper()}": str(p) for n, p in free_ports().model_dump().items()}
    return os.environ | ports | {"PLATELAKE_HOME": str(home)}


def _demo(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with (home / "stderr").open("wb") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", "demo", *arguments],
            env=_environment(home),
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )


def _left_behind(home: Path) -> list[str]:
    """Processes that still name this home: every one the demo starts does."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or ())
        if str(home) in command and process.pid != os.getpid():
            found.append(command[:200])
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert _left_behind(tmp_path) == []


def test_everything_shown_and_read_comes_out_once(home: Path) -> None:
    summary_file = home / "summary.json"
    demo = _demo(home, "--seconds", "15", "--agencies", "2", "--json", str(summary_file))
    code = demo.wait(timeout=600)
    assert code == 0, (home / "stderr").read_text()[-3000:]
    summary = json.loads(summary_file.read_text())
    assert summary.keys() >= _KEYS
    assert summary["reads_emitted"] > 0
    assert summary["reads_landed"] == summary["reads_emitted"]
    assert summary["hits_emitted"] == summary["hits_expected"] > 0
    for name in ("reads_missing", "reads_doubled", "hits_missing", "hits_doubled", "dead_letters"):
        assert summary[name] == 0, name
    assert summary["reads_exact_share"] > 0.5
    assert summary["latency_ms"]["read_to_hit"]["p50"] > 0
    assert summary["engine"].keys() >= {"runner", "flink_version", "beam_sdk", "beam_runner"}


@pytest.mark.parametrize("moment", ["kafka.pid", "job-match.pid"])
def test_an_interrupt_leaves_no_process_behind(home: Path, moment: str) -> None:
    demo = _demo(home, "--seconds", "30")
    run_dir = home / "demo" / "embedded" / "run"
    wait_until(lambda: (run_dir / moment).exists() or demo.poll() is not None, 300)
    assert demo.poll() is None, (home / "stderr").read_text()[-3000:]
    demo.send_signal(signal.SIGINT)
    assert demo.wait(timeout=120) != 0
