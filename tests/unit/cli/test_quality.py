from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from cli.main import app
from tests.contract.lake.samples import NOW, make_reads, no_sleep, stage


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A lake with a day of good reads and, a day later, reads of a class no policy knows."""
    made = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    made.save(tmp_path / "lake.toml")
    lake = Lake(made)
    lake.init()
    committer = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    committer.commit([stage(lake, make_reads(4, days_ago=1))])
    committer.commit([stage(lake, make_reads(3, first=4, retention_class="evidence"), first=4)])
    lake.close()
    return tmp_path / "lake.toml"


def quality(config: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["quality", "run", "--config", str(config), *arguments])
    return result.exit_code, result.stdout


def test_the_newest_commit_breaks_a_rule(config: Path) -> None:
    code, told = quality(config)
    assert code == 1
    assert "BROKEN retention_class is one of default: 3 of 3 rows" in told


def test_a_class_that_is_known_is_no_fault(config: Path) -> None:
    code, told = quality(config, "--class", "evidence", "--json")
    assert code == 0
    (check,) = json.loads(told)["checks"]
    assert (check["table"], check["rows"], check["ok"]) == ("reads", 3, True)


def test_one_day_or_all(config: Path) -> None:
    assert quality(config, "--day", "2026-11-19")[0] == 0
    code, told = quality(config, "--all")
    assert code == 1
    assert "reads 2026-11-19-1: 4 rows" in told
    assert "reads 2026-11-20-1: 3 rows" in told


def test_nothing_to_check(config: Path) -> None:
    assert quality(config, "--table", "hits") == (0, "no rows to check\n")


def test_wrong_usage(config: Path) -> None:
    assert quality(config, "--table", "plates")[0] == 2
    assert quality(config, "--day", "2026-11-19", "--all")[0] == 2
