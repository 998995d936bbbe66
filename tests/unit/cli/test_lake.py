"""`platelake lake …` on a lake in a folder: output, JSON, exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from cli.main import app
from tests.contract.lake.samples import NOW, make_reads, stage, stored_ids

runner = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lake.toml"
    LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake").save(path)
    assert runner.invoke(app, ["lake", "init", "--config", str(path)]).exit_code == 0
    return path


def land(config: Path, files: int) -> Lake:
    lake = Lake(LakeConfig.load(config))
    owner = Committer(lake, "reads", now=lambda: NOW)
    for number in range(files):
        reads = make_reads(5, first=number * 5, image=True)
        owner.commit([stage(lake, reads, first=number * 5)])
    return lake


def test_check_counts_and_agrees(config: Path) -> None:
    land(config, 2)
    done = runner.invoke(app, ["lake", "check", "--config", str(config), "--json", "--all-images"])
    assert done.exit_code == 0
    report = json.loads(done.stdout)["reads"]
    assert (report["rows"], report["distinct_ids"], report["problems"]) == (10, 10, [])
    assert report["images"] == report["images_read"] == 15
    assert report["offsets"] == {"reads/0": 10}


def test_check_fails_on_a_lost_pack(config: Path) -> None:
    lake = land(config, 1)
    lake.store.delete([i.uri for i in lake.store.list(f"{lake.config.warehouse}/images")])
    done = runner.invoke(app, ["lake", "check", "--config", str(config)])
    assert done.exit_code == 1
    assert "PROBLEM" in done.stdout


def test_compact_merges(config: Path) -> None:
    lake = land(config, 16)
    done = runner.invoke(
        app, ["lake", "compact", "--config", str(config), "--table", "reads", "--json"]
    )
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["merges"], report["files"], report["rows"]) == (1, 16, 80)
    assert report["blocks_indexed"] == 1
    assert len(stored_ids(lake)) == 80


def test_compact_as_a_service_ends_on_sigterm(config: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "lake", "compact", "--config", str(config)]
    service = subprocess.Popen([*command, "--every", "1"], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    try:
        assert service.stdout.readline().startswith("reads: 0 files")
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=60) == 0
    finally:
        service.kill()
        service.wait()
        service.stdout.close()


@pytest.mark.parametrize("command", ["check", "compact", "init"])
def test_a_missing_configuration_is_exit_code_3(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "lake", command, "--config", tmp_path / "none.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "no lake configuration" in done.stderr


def test_an_unknown_table_is_wrong_usage(config: Path) -> None:
    done = runner.invoke(app, ["lake", "check", "--config", str(config), "--table", "plates"])
    assert done.exit_code == 2
