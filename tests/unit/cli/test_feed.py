"""What `platelake feed` refuses before it reaches for a broker."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alpr.errors import ConfigurationError
from cli.main import app

NOWHERE = ("--bootstrap", "127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("frames", "missing", "--camera", "a-pd/gate"), "folder, picture, video or address"),
        (("frames", ".", "--camera", "gate"), 'named "agency/camera"'),
        (("frames", "empty", "--camera", "a-pd/gate"), "none is there"),
        (("reads", "missing.jsonl"), "a file of reads was required"),
    ],
)
def test_missing_input_says_what_was_required(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(app, ["feed", *arguments, *NOWHERE])
    assert isinstance(result.exception, ConfigurationError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    "option", [("--kind", "orbital"), ("--captured", "then"), ("--zone", "Mars/Olympus"),
               ("--rate", "0"), ("--heading", "360")],
)  # fmt: skip
def test_wrong_options_are_wrong_usage(option: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    command = ["feed", "frames", str(tmp_path), "--camera", "a-pd/gate", *NOWHERE, *option]
    assert CliRunner().invoke(app, command).exit_code == 2
