"""`platelake agency list | set | policies`: output, JSON, exit codes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from alpr.errors import ConfigurationError
from catalog.config import LakeConfig
from catalog.policies import load_policies, write_first
from cli.main import app

RUN = CliRunner()


class Agency:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "retention.toml"
        self._config = folder / "lake.toml"
        write_first(self.file)
        LakeConfig(
            f"sqlite:///{folder}/catalog.db", f"file://{folder}/lake", retention_file=self.file
        ).save(self._config)

    def __call__(self, *arguments: str) -> Result:
        return RUN.invoke(app, ["agency", *arguments, "--config", str(self._config)])

    def told(self, *arguments: str) -> Any:
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def agency(tmp_path: Path) -> Agency:
    return Agency(tmp_path)


def test_nobody_has_chosen_yet(agency: Agency) -> None:
    result = agency("list")
    assert result.exit_code == 0
    assert result.stdout == "every other agency: neutral, hits and reads 30 days (PL)\n"
    told = agency.told("list")
    assert (told["default"], told["agencies"], told["changed"]) == ("neutral", {}, [])


def test_a_change_is_told_with_what_must_be_run(agency: Agency) -> None:
    told = agency.told(
        "set", "northfield-pd", "--policy", "us-me", "--reason", "law", "--by", "hall"
    )
    assert (told["before"], told["policy"], told["changed"]) == ("neutral", "us-me", True)
    assert [(c["from"], c["to"], c["period"]) for c in told["classes"]] == [
        ("default", "us-me", "shorter")
    ]
    assert told["to_do"][1].startswith("platelake retain move --agency northfield-pd ")
    (change,) = load_policies(agency.file).choices.changed
    assert (change.by, change.reason, change.before) == ("hall", "law", "")
    assert timedelta(0) <= datetime.now(UTC) - change.at < timedelta(minutes=1)

    result = agency(
        "set", "northfield-pd", "--policy", "barstow", "--reason", "moved", "--by", "hall"
    )
    assert result.exit_code == 0
    assert "reads of class us-me (21 days) belong to barstow-flock now (30 days): longer" in (
        result.stdout
    )
    assert "platelake retain run" in result.stdout
    listed = agency("list").stdout
    assert "northfield-pd: barstow, reads of source flock, flock-*" in listed
    assert "hall put northfield-pd under barstow (before: us-me): moved" in listed


def test_what_is_so_already_is_not_written_again(agency: Agency) -> None:
    agency("set", "northfield-pd", "--policy", "us-me", "--reason", "law")
    before = agency.file.read_bytes()
    told = agency.told("set", "northfield-pd", "--policy", "us-me", "--reason", "again")
    assert told == {"agency": "northfield-pd", "policy": "us-me", "changed": False, "to_do": []}
    assert agency.file.read_bytes() == before


def test_the_default_made_explicit_changes_no_class(agency: Agency) -> None:
    told = agency.told("set", "northfield-pd", "--policy", "neutral", "--reason", "said so")
    assert (told["changed"], told["classes"], told["to_do"]) == (True, [], [])


def test_a_policy_that_nobody_knows_is_refused(agency: Agency) -> None:
    before = agency.file.read_bytes()
    result = agency("set", "northfield-pd", "--policy", "nobody", "--reason", "law")
    assert isinstance(result.exception, ConfigurationError)
    assert "there are barstow, billerica" in str(result.exception)
    assert agency.file.read_bytes() == before
    assert agency("set", "northfield-pd", "--policy", "us-me").exit_code == 2


def test_what_a_policy_says(agency: Agency) -> None:
    told = agency("policies", "dcjis").stdout
    assert "class dcjis, reads" in told
    assert "kept 1 year (S1-CP7b); at least 1 year (S1-CP7b); at most 1 year (S1-CP7b)" in told
    assert "hold disposition (S1-CP7b.i), ends: disposition" in told
    assert "S1: Massachusetts Department of Criminal Justice" in told
    assert "at most none stated (S2-V)" in agency("policies", "leicester").stdout
    (policy,) = agency.told("policies", "us-nc")
    assert policy["classes"][0]["minimum"] is None
    assert policy["holds"][0] == {
        "kind": "preservation",
        "ends": "renewable",
        "lasts": "1 year",
        "clause": "NCGS 20-183.32(c)",
        "why": policy["holds"][0]["why"],
    }
    assert len(agency.told("policies")) == 16


def test_a_lake_without_a_retention_file_says_so(tmp_path: Path) -> None:
    config = tmp_path / "lake.toml"
    LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake").save(config)
    result = RUN.invoke(app, ["agency", "list", "--config", str(config)])
    assert isinstance(result.exception, ConfigurationError)
    assert "names no retention_file" in str(result.exception)
