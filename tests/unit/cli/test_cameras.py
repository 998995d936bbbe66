from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.slices import HOUR, floor_hour
from cli.main import app
from tests.support.traffic import land_reads, reads_of


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A lake with two cameras of two agencies: one sent in the last hour, one long before."""
    made = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    made.save(tmp_path / "lake.toml")
    lake = Lake(made)
    lake.init()
    now = floor_hour(datetime.now(UTC))
    land_reads(lake, reads_of("police/one", now - HOUR, 30), now)
    land_reads(lake, reads_of("sheriff/two", now - timedelta(days=2), 30), now)
    lake.close()
    return tmp_path / "lake.toml"


def health(config: Path, *arguments: str) -> tuple[int, str]:
    told = CliRunner().invoke(app, ["camera", "health", "--config", str(config), *arguments])
    return told.exit_code, told.stdout


def test_the_report(config: Path, tmp_path: Path) -> None:
    code, told = health(config, "--html", str(tmp_path / "cameras.html"))
    assert code == 1
    assert told.startswith("sheriff/two: silent; last read ")
    assert "  no read for 4" in told
    assert "police/one: new; last read " in told
    assert ", 30 reads in 24 h" in told
    assert "sheriff/two" in (tmp_path / "cameras.html").read_text()


def test_as_json_and_one_agency(config: Path) -> None:
    code, told = health(config, "--json", "--agency", "police")
    assert code == 0
    (camera,) = json.loads(told)["cameras"]
    assert (camera["camera"], camera["verdict"], camera["reads_hour"]) == ("police/one", "new", 30)
    assert health(config, "--agency", "nobody") == (0, "no cameras\n")


def test_a_registry_knows_who_never_sent(config: Path, tmp_path: Path) -> None:
    cameras = tmp_path / "cameras.csv"
    cameras.write_text(
        "agency,camera,state,kind,latitude,longitude,service\n"
        "police,three,MA,mobile,,,in\nsheriff,two,MA,mobile,,,out\n"
    )
    code, told = health(config, "--registry", str(cameras))
    assert code == 1
    assert told.startswith("police/three: silent; last read never")
    assert "sheriff/two: out of service" in told
