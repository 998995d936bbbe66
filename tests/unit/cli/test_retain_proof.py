"""`platelake retain verify`, `canary`, `certificate`: exit codes, and what they tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from alpr.errors import BadInput, ConfigurationError
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention import ledger
from cli.main import app
from tests.contract.lake.samples import make_reads, stage

Invoke = Callable[..., Result]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Four reads of now, four that ended ten days ago (30 days, neutral policy)."""
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
def retain(lake: Lake, tmp_path: Path) -> Invoke:
    def invoke(*arguments: object) -> Result:
        config = ["--config", str(tmp_path / "lake.toml")]
        return CliRunner().invoke(app, ["retain", *map(str, arguments), *config])

    return invoke


@pytest.fixture
def purged(retain: Invoke, tmp_path: Path) -> Path:
    """The signing key of a lake that was purged once."""
    key = tmp_path / "key"
    assert retain("run", "--key", key, "--verify", "1").exit_code == 0
    return key


class TestVerify:
    def test_before_and_after_a_purge(self, retain: Invoke, tmp_path: Path) -> None:
        before = retain("verify", "--json")
        assert before.exit_code == 1
        told = json.loads(before.stdout)
        assert not told["ok"]
        assert told["full"]
        assert sum(each["count"] for each in told["findings"]) == told["found"]
        assert retain("run", "--key", tmp_path / "key").exit_code == 0
        after = retain("verify")
        assert after.exit_code == 0
        assert "nothing that had ended" in after.stdout
        assert "rows: 1 of 1 decoded" in after.stdout
        assert "not seen: Kafka was not asked" in after.stdout

    def test_a_sample_says_so(self, retain: Invoke, purged: Path) -> None:
        done = retain("verify", "--sample", "0.5", "--seed", "3")
        assert done.exit_code == 0
        assert "A sample of 50 %" in done.stdout

    def test_usage(self, retain: Invoke) -> None:
        assert retain("verify", "--full", "--sample", "0.5").exit_code == 2
        assert retain("verify", "--kafka").exit_code == 2
        assert retain("verify", "--sample", "0").exit_code == 2

    def test_a_later_one_is_signed_about_a_purge(
        self, retain: Invoke, purged: Path, lake: Lake
    ) -> None:
        (entry,) = ledger.entries(lake)
        done = retain("verify", "--attest", entry.run_id[:8], "--key", purged)
        assert done.exit_code == 0, done.output
        assert [each.kind for each in ledger.entries(lake)] == ["purge", "attestation"]
        assert isinstance(retain("verify", "--attest", "none", "--key", purged).exception, BadInput)
        unsigned = retain("verify", "--attest", entry.run_id)
        assert isinstance(unsigned.exception, ConfigurationError)


class TestCanary:
    def test_planted_present_purged_and_gone(
        self, retain: Invoke, lake: Lake, tmp_path: Path
    ) -> None:
        file = tmp_path / "canary.json"
        planted = retain("canary", "plant", file, "--json")
        assert planted.exit_code == 0, planted.output
        assert json.loads(planted.stdout)["planted"] > 0
        assert retain("canary", "search", file, "--present").exit_code == 0
        early = retain("canary", "search", file)
        assert early.exit_code == 1
        assert "until then they may be found" in early.output
        assert "FOUND needle" in early.stdout
        verified = retain("verify", "--canary", file, "--json")
        assert {"canary"} <= {each["kind"] for each in json.loads(verified.stdout)["findings"]}
        lake.store.delete([item.uri for item in lake.store.list(lake.config.warehouse)
                           if item.uri.endswith((".parquet", ".pack"))])  # fmt: skip
        gone = retain("canary", "search", file, "--in", tmp_path / "lake", "--json")
        assert gone.exit_code == 0, gone.output
        assert json.loads(gone.stdout)["sightings"] == []
        assert retain("canary", "search", file, "--present").exit_code == 1

    def test_other_places_are_searched(self, retain: Invoke, tmp_path: Path) -> None:
        file, log = tmp_path / "canary.json", tmp_path / "logs" / "job.log"
        retain("canary", "plant", file)
        log.parent.mkdir()
        log.write_text(f"a read of {json.loads(file.read_text())['token']}0000")
        found = json.loads(retain("canary", "search", file, "--in", log.parent, "--json").stdout)
        assert any(each["where"] == str(log) for each in found["sightings"])

    def test_usage(self, retain: Invoke, tmp_path: Path) -> None:
        file = tmp_path / "canary.json"
        assert retain("canary", "plant", file, "--topic").exit_code == 2
        none = retain("canary", "search", file)
        assert isinstance(none.exception, ConfigurationError)


class TestCertificate:
    def test_listed_shown_printed_and_checked(
        self, retain: Invoke, purged: Path, lake: Lake, tmp_path: Path
    ) -> None:
        (entry,) = ledger.entries(lake)
        listed = json.loads(retain("certificate", "list", "--json").stdout)
        assert [(each["run_id"], each["rows"]) for each in listed] == [(entry.run_id, 4)]
        shown = retain("certificate", "show", entry.run_id[:6])
        assert "4 rows" in shown.stdout
        assert json.loads(retain("certificate", "show", "--json").stdout)["signature"]
        page = tmp_path / "page.html"
        assert retain("certificate", "show", "--html", page).exit_code == 0
        assert entry.run_id in page.read_text()
        checked = retain("certificate", "check")
        assert checked.exit_code == 0
        assert "stored beside them" in checked.stdout

    def test_one_that_was_changed_fails(
        self, retain: Invoke, purged: Path, lake: Lake, tmp_path: Path
    ) -> None:
        (entry,) = ledger.entries(lake)
        (pem,) = (item.uri for item in lake.store.list(f"{lake.config.warehouse}/{ledger.KEYS}"))
        key = pem.removeprefix("file://")
        copy = tmp_path / "copy.json"
        copy.write_bytes(entry.document)
        assert retain("certificate", "check", copy, "--public-key", key).exit_code == 0
        copy.write_bytes(entry.document.replace(b'"rows":4', b'"rows":3'))
        wrong = retain("certificate", "check", copy, "--public-key", key, "--json")
        assert wrong.exit_code == 1
        assert "signature" in json.loads(wrong.stdout)["problems"][0]

    def test_usage(self, retain: Invoke, purged: Path, tmp_path: Path) -> None:
        assert isinstance(retain("certificate", "show", "none").exception, BadInput)
        for arguments in (("none.json",), ("--public-key", "none.pem")):
            done = retain("certificate", "check", *arguments)
            assert isinstance(done.exception, ConfigurationError)
