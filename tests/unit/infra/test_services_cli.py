from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from tests.stacks import free_ports


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLATELAKE_HOME", str(tmp_path))
    for name, port in free_ports().model_dump().items():
        monkeypatch.setenv(f"PLATELAKE_PORTS__{name.upper()}", str(port))


def test_status_of_a_stack_that_is_down() -> None:
    result = CliRunner().invoke(app, ["status", "--json"])
    assert result.exit_code == 1
    processes = json.loads(result.stdout)["processes"]
    assert {process["name"]: process["state"] for process in processes} == {
        "kafka": "down",
        "job-server": "down",
    }


def test_status_as_a_table() -> None:
    result = CliRunner().invoke(app, ["status", "--profile", "full"])
    assert result.exit_code == 1
    assert "task-manager-1" in result.stdout


def test_down_when_nothing_runs() -> None:
    result = CliRunner().invoke(app, ["down", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"stopped": []}


def test_down_can_delete_everything(tmp_path: Path) -> None:
    kept = tmp_path / "full" / "data" / "kafka" / "00.log"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert CliRunner().invoke(app, ["down"]).exit_code == 0
    assert kept.exists()
    assert CliRunner().invoke(app, ["down", "--delete-data"]).exit_code == 0
    assert not (tmp_path / "full").exists()


def test_doctor_as_json_has_a_verdict_for_each_thing() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    findings = json.loads(result.stdout)["findings"]
    assert {"Python", "Java", "Maven", "disk", "memory"} <= {item["what"] for item in findings}
    wrong = any(item["verdict"] == "wrong" for item in findings)
    assert result.exit_code == (1 if wrong else 0)


def test_a_wrong_profile_is_a_configuration_error() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cli.main", "up", "--profile", "huge"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert "profile" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["up", "down", "status", "doctor"])
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert f"Example: platelake {command}" in result.stdout
