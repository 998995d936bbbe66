"""`platelake simulate` into folders: no service needed."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from alpr.records import HotlistEntry
from cli.main import app
from ingest.simulator.truth import read_truth

START = "2026-03-01T12:00:00+00:00"


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_frames_are_the_same_for_the_same_seed_and_start(tmp_path: Path) -> None:
    command = ("simulate", "frames", "--seconds", "5", "--agencies", "1", "--start", START)
    answer = run(*command, "--out", str(tmp_path / "a"))
    run(*command, "--out", str(tmp_path / "b"))
    run(*command, "--out", str(tmp_path / "c"), "--seed", "2")
    first = contents(tmp_path / "a")
    assert first == contents(tmp_path / "b")
    assert first != contents(tmp_path / "c")
    index = [json.loads(line) for line in first["frames.jsonl"].splitlines()]
    assert len(index) == answer["written"]
    assert {line["path"] for line in index} == {name for name in first if name.endswith(".jpg")}
    assert len(list(read_truth(tmp_path / "a" / "truth.jsonl"))) == answer["passes_shown"]
    entries = [
        msgspec.json.decode(line, type=HotlistEntry) for line in first["hotlist.jsonl"].splitlines()
    ]
    assert len(entries) >= 500


def test_reads_are_the_same_for_the_same_seed_and_start(tmp_path: Path) -> None:
    command = ("simulate", "reads", "--count", "500", "--start", START)
    answer = run(*command, "--out", str(tmp_path / "a"))
    run(*command, "--out", str(tmp_path / "b"))
    lines = (tmp_path / "a" / "reads.jsonl").read_bytes()
    assert lines == (tmp_path / "b" / "reads.jsonl").read_bytes()
    assert lines.count(b"\n") == answer["written"]


@pytest.mark.parametrize("start", ["yesterday", "2026-03-01T12:00:00"])
def test_a_start_that_is_no_instant_is_wrong_usage(tmp_path: Path, start: str) -> None:
    command = ["simulate", "reads", "--count", "5", "--out", str(tmp_path), "--start", start]
    assert CliRunner().invoke(app, command).exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_share_above_one_is_refused(tmp_path: Path) -> None:
    command = ["simulate", "reads", "--count", "5", "--out", str(tmp_path), "--late", "1.5"]
    result = CliRunner().invoke(app, command)
    assert "late is a share" in str(result.exception)
    assert not list(tmp_path.iterdir())
