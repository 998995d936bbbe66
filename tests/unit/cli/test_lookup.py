"""`platelake lookup …` on a lake in a folder: what is shown, written and said, and exit codes."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.cutoffs import as_properties
from catalog.lake import Lake
from cli.main import app
from tests.contract.lake.samples import DAY, NOW, make_reads, stage

runner = CliRunner()
READS = make_reads(30, image=True)
PLATE = READS[4].plate


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lake.toml"
    LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake").save(path)
    lake = Lake(LakeConfig.load(path))
    lake.init()
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, READS)])
    lake.close()
    return path


def lookup(config: Path, *words: str, input_: str | None = None, code: int = 0) -> str:
    done = runner.invoke(app, ["lookup", *words, "--config", str(config)], input=input_)
    assert done.exit_code == code, done.output
    return done.stdout


def as_json(config: Path, *words: str, input_: str | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(lookup(config, *words, "--json", input_=input_))
    return answer


def test_a_plate_on_the_command_line_or_standard_input(config: Path) -> None:
    for answer in (
        as_json(config, "plate", PLATE),
        as_json(config, "plate", "-", input_=f"{PLATE}\n"),
    ):
        (row,) = answer["results"]
        assert row["read_id"] == READS[4].read_id
        assert row["plate_raw"] == READS[4].plate_raw
        assert answer["searched"] == {"days": 1, "files": 1, "reads": 30}
    table = lookup(config, "plate", PLATE)
    assert "1 rows; searched 30 reads of 1 days in 1 files" in table
    assert "compare it with its picture" in table


def test_more_than_the_limit_is_said(config: Path) -> None:
    answer = as_json(config, "plate", "*AAAA", "--limit", "3")
    assert (answer["rows"], answer["more"]) == (3, True)
    assert "raise --limit" in lookup(config, "plate", "*AAAA", "--limit", "3")
    every = as_json(config, "plate", "*AAAA", "--limit", "30")
    assert (every["rows"], every["more"]) == (30, False)


def test_what_has_been_deleted_is_not_called_unseen(config: Path) -> None:
    lake = Lake(LakeConfig.load(config))
    with lake.table("reads").transaction() as transaction:
        transaction.set_properties(as_properties({"default": DAY.date()}))
    lake.close()
    said = lookup(config, "plate", "NEVER1")
    assert f"default: reads before {DAY.date()} have been deleted" in said
    assert as_json(config, "plate", "NEVER1")["kept_since"] == {"default": str(DAY.date())}


def test_csv_has_every_read_and_no_half_file(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "out.csv"
    answer = as_json(config, "plate", "*AAAA", "--csv", str(file))
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = sorted(read.read_id for read in READS if read.plate.endswith("AAAA"))
    assert sorted(row["read_id"] for row in rows) == expected
    assert answer["rows"] == len(rows)
    none = tmp_path / "none.csv"
    as_json(config, "plate", "NEVER1", "--csv", str(none))
    assert none.read_text().count("\n") == 1
    assert [path.name for path in tmp_path.glob(".*part")] == []


def test_pictures_are_fetched_as_they_came(config: Path, tmp_path: Path) -> None:
    read = READS[5]
    lookup(config, "plate", read.plate, "--images", str(tmp_path / "pictures"))
    names = {file.name: file.read_bytes() for file in (tmp_path / "pictures").iterdir()}
    assert names == {
        f"{read.read_id}-crop.jpg": read.crop,
        f"{read.read_id}-overview.jpg": read.overview,
    }


def test_canvass_by_place_and_time(config: Path) -> None:
    span = ("--from", f"{DAY:%Y-%m-%dT%H:%M}", "--to", f"{NOW:%Y-%m-%dT%H:%M}")
    answer = as_json(config, "canvass", *span, "--camera", "agency-1/camera-1")
    expected = [r.read_id for r in READS if (r.agency, r.camera) == ("agency-1", "camera-1")]
    assert [row["read_id"] for row in answer["results"]] == expected
    placed = as_json(config, "canvass", *span, "--area", "38.5,-121.5,500")
    assert placed["rows"] == sum(read.latitude is not None for read in READS)


def test_common_plates_and_their_places(config: Path) -> None:
    day = f"{DAY.date()}@{DAY.date() + timedelta(days=1)}"
    answer = as_json(
        config, "common", "--place", f"agency-1/camera-1@{day}", "--place", f"38.5,-121.5,500@{day}"
    )
    expected = {
        r.plate
        for r in READS
        if (r.agency, r.camera) == ("agency-1", "camera-1") and r.latitude is not None
    }
    assert {row["plate"] for row in answer["results"]} == expected
    lookup(config, "common", "--place", "agency-1/camera-1", code=2)


def test_seen_together(config: Path) -> None:
    assert as_json(config, "together", PLATE)["rows"] == 0


def test_sql(config: Path, tmp_path: Path) -> None:
    query = "SELECT plate, candidates FROM reads WHERE plate = $plate"
    answer = as_json(config, "sql", query, "--value", f"plate={PLATE}")
    assert [row["plate"] for row in answer["results"]] == [PLATE]
    assert answer["more"] is False
    from_input = as_json(config, "sql", "-", input_="SELECT count(*) AS n FROM reads")
    assert from_input["results"] == [{"n": 30}]
    file = tmp_path / "out.csv"
    lookup(config, "sql", "SELECT * FROM reads ORDER BY read_id", "--csv", str(file))
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    reads = sorted(READS, key=lambda read: read.read_id)
    assert [row["read_id"] for row in rows] == [read.read_id for read in reads]
    for row, read in zip(rows, reads, strict=True):
        texts = [each["plate"] for each in json.loads(row["candidates"])]
        assert texts == [each.plate for each in read.candidates]
    shown = lookup(config, "sql", "SELECT plate FROM reads", "--limit", "2")
    assert "2 rows, and there are more" in shown


def test_sql_is_for_questions_only(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "stolen.csv"
    done = runner.invoke(app, ["lookup", "sql", f"COPY reads TO '{file}'", "--config", str(config)])
    assert done.exit_code == 1
    assert "refused-sql" in str(done.exception)
    assert not file.exists()
    query = "SELECT error('no') FROM reads"
    halfway = runner.invoke(
        app, ["lookup", "sql", query, "--csv", str(file), "--config", str(config)]
    )
    assert halfway.exit_code == 1
    assert list(tmp_path.glob("*csv*")) == []
    lookup(config, "sql", "SELECT 1", "--value", "nothing", code=2)


@pytest.mark.parametrize(
    "words",
    [
        ("plate", "??A*"),
        ("plate", ""),
        ("plate", "A", "--area", "95,0,10"),
        ("plate", "A", "--camera", "gate"),
        ("canvass", "--from", "2026-01-02", "--to", "2026-01-01"),
    ],
)
def test_what_cannot_be_meant_is_refused(config: Path, words: tuple[str, ...]) -> None:
    done = runner.invoke(app, ["lookup", *words, "--config", str(config)])
    assert done.exit_code == 1
    assert type(done.exception).__name__ == "BadInput"
