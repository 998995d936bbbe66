from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpr.errors import ConfigurationError
from alpr.records import HotlistEntry
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.slices import HOUR, floor_hour
from cli.main import app
from infra.scrape import scrape
from ingest.hotlists.snapshot import write_snapshot
from tests.contract.lake.samples import NOW, make_reads, no_sleep, stage
from tests.support.traffic import land_reads, reads_of

AGENCY = r"agency is of the form ^[a-z0-9][a-z0-9._-]{0,63}(?!\n)$"


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
    assert re.search(r"BROKEN retention_class is one of .*\bdefault\b.*: 3 of 3 rows", told)


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


def quality_of(config: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(
        app, ["quality", arguments[0], "--config", str(config), *arguments[1:]]
    )
    return result.exit_code, result.stdout


def test_an_hour_and_its_history(config: Path) -> None:
    code, told = quality(config, "--hour", "2026-11-20T12", "--table", "reads")
    assert code == 1
    assert "reads 2026-11-20T12-1: 3 rows" in told
    assert "  not judged: agency + camera is in the registry of cameras: no registry" in told
    code, told = quality_of(config, "history", "--broken", "--json")
    assert code == 0
    (result,) = json.loads(told)["results"]
    assert (result["table"], result["part"], result["unexpected"]) == (
        "reads",
        "2026-11-20T12-1",
        3,
    )
    assert result["hour"] == "2026-11-20T12:00:00+00:00"
    code, told = quality_of(config, "history", "--rule", "retention_class is one")
    broken = r"reads 2026-11-20T12-1: BROKEN retention_class is one of .*\bdefault\b.*: 3 of 3"
    assert re.search(broken, told)
    assert quality_of(config, "history", "--since", "2999-01-01") == (0, "nothing was checked\n")


def test_what_changed_and_its_alerts(config: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    # Months ago: of a lake never looked at that is the past, and is only measured.
    assert quality(config, "--changed", "--docs", str(docs))[0] == 0
    assert quality_of(config, "alerts") == (0, "0 alerts open\n")
    lake = Lake(LakeConfig.load(config))
    now = floor_hour(datetime.now(UTC))
    land_reads(lake, reads_of("Upper", now - 2 * HOUR, 5), now)
    code, told = quality(config, "--changed", "--docs", str(docs), "--json")
    assert code == 1
    done = json.loads(told)
    assert {"table": "reads", "rule": AGENCY, "subject": ""} in done["raised"]
    code, told = quality_of(config, "alerts", "--json")
    assert code == 1
    assert AGENCY in {alert["rule"] for alert in json.loads(told)["alerts"]}
    index = (docs / "index.html").read_text()
    assert "Alerts open" in index
    (page,) = {found for found in re.findall(r'href="([^"]+)"', index) if "/reads/" in found}
    assert (docs / page).exists()
    assert quality(config, "--changed", "--docs", str(docs))[0] == 0  # nothing new


def test_the_hot_list_in_force(config: Path, tmp_path: Path) -> None:
    store = tmp_path / "hotlist"
    assert quality(config, "--table", "hotlist", "--hotlist", str(store)) == (
        0,
        "no rows to check\n",
    )
    write_snapshot(store, [], datetime.now(UTC) - timedelta(days=2), 0)
    assert quality(config, "--table", "hotlist", "--hotlist", str(store))[0] == 0
    entry = HotlistEntry(
        entry_id="e" * 32, source="police", plate="ABC123", category="bolo", valid_from=NOW
    )
    write_snapshot(store, [entry], datetime.now(UTC) - timedelta(days=2), 0)
    code, told = quality(config, "--table", "hotlist", "--hotlist", str(store))
    assert code == 1
    assert "BROKEN hours since the list was built are at most 24: 1 of 1: police" in told


def test_as_a_service_it_outlives_a_catalogue_that_is_gone_and_ends_on_sigterm(
    config: Path, tmp_path: Path
) -> None:
    lost, there = tmp_path / "gone", tmp_path / "lake"
    there.rename(lost)
    command = [sys.executable, "-m", "cli.main", "quality", "run", "--config", str(config)]
    service = subprocess.Popen(
        [*command, "--every", "1", "--json", "--metrics", str(tmp_path / "metrics")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert service.stdout is not None
    assert service.stderr is not None
    try:
        assert service.stderr.readline().startswith("quality: ")
        lost.rename(there)
        assert json.loads(service.stdout.readline())["raised"] == []
        scraped = scrape(tmp_path / "metrics")
        assert scraped.total("platelake_quality_rounds_failed_total") >= 1
        service.send_signal(signal.SIGTERM)
        assert service.wait(timeout=60) == 0
        assert not list((tmp_path / "metrics").glob("*.json"))
    finally:
        service.kill()
        service.wait()
        service.stdout.close()
        service.stderr.close()


def test_other_commands_do_not_wait_for_great_expectations() -> None:
    code = "import sys, cli.main; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    code = (
        "import sys\n"
        "import catalog.quality, catalog.hours, expectations.rounds, expectations.health\n"
        "sys.exit('great_expectations' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_nothing_to_check(config: Path) -> None:
    assert quality(config, "--table", "hits") == (0, "no rows to check\n")


def test_wrong_usage(config: Path) -> None:
    assert quality(config, "--table", "plates")[0] == 2
    assert quality(config, "--day", "2026-11-19", "--all")[0] == 2
    assert quality(config, "--hour", "2026-11-19T12", "--every", "60")[0] == 2
    assert quality(config, "--changed", "--table", "reads")[0] == 2
    assert quality(config, "--hour", "2026-11-19T12:30")[0] == 2


def test_wrong_settings(config: Path, tmp_path: Path) -> None:
    for wrong in (["--registry", str(tmp_path / "none.csv")], ["--zone", "Mars"]):
        result = CliRunner().invoke(app, ["quality", "run", "--config", str(config), *wrong])
        assert isinstance(result.exception, ConfigurationError)
