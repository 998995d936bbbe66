"""`platelake retain run`: exit codes, the certificate it leaves, what it tells."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention import ledger
from cli.main import app
from tests.contract.lake.samples import make_reads, stage, stored_ids

RUN = CliRunner()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    config = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    config.save(tmp_path / "lake.toml")
    lake = Lake(config)
    lake.init()
    now = datetime.now(UTC)
    reads = [
        msgspec.structs.replace(read, captured_at=now - timedelta(days=ago))
        for ago in (0, 40)
        for read in make_reads(4, first=ago, image=True)
    ]
    Committer(lake, "reads", now=lambda: now).commit([stage(lake, reads, now=now)])
    return lake


@pytest.fixture
def arguments(lake: Lake, tmp_path: Path) -> list[str]:
    return [
        "retain", "run", "--config", str(tmp_path / "lake.toml"), "--key", str(tmp_path / "key"),
        "--verify", "1", "--json",
    ]  # fmt: skip


def test_it_purges_verifies_and_certifies(lake: Lake, arguments: list[str]) -> None:
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["ok"]
    assert [(each["rows"], each["packs"]) for each in told["ended"]] == [(4, 1)]
    assert told["verification"]["ok"]
    assert told["verification"]["full"]
    assert len(stored_ids(lake)) == 4
    (entry,) = ledger.entries(lake)
    assert entry.run_id == told["run_id"]


def test_a_dry_run_says_what_would_go_and_changes_nothing(lake: Lake, arguments: list[str]) -> None:
    before = sorted(item.uri for item in lake.store.list(lake.config.warehouse))
    done = RUN.invoke(app, [*arguments, "--dry-run"])
    assert done.exit_code == 0
    assert [each["rows"] for each in json.loads(done.stdout)["due"]] == [4]
    assert sorted(item.uri for item in lake.store.list(lake.config.warehouse)) == before


def test_something_that_no_policy_knows_makes_it_exit_1(lake: Lake, arguments: list[str]) -> None:
    now = datetime.now(UTC)
    reads = [
        msgspec.structs.replace(read, captured_at=now)
        for read in make_reads(2, first=900, retention_class="toll")
    ]
    Committer(lake, "reads", now=lambda: now).commit([stage(lake, reads, first=8, now=now)])
    done = RUN.invoke(app, arguments)
    assert done.exit_code == 1
    assert json.loads(done.stdout)["unknown_classes"] == ["toll"]


def test_a_lake_named_by_its_file_needs_the_key_to_be_named_too(
    lake: Lake, arguments: list[str]
) -> None:
    done = RUN.invoke(app, arguments[:4])
    assert "--key must name" in str(done.exception)
