"""What `platelake feed` refuses before it reaches for a broker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from alpr.errors import ConfigurationError, Refused
from catalog.policies import write_first
from cli.feed import _admission
from cli.main import app
from tests.contract.lake.samples import make_read

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


def test_late_reads_are_refused_by_the_installations_policies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "embedded" / "retention.toml"
    write_first(file)
    monkeypatch.setenv("PLATELAKE_HOME", str(tmp_path))
    admit = _admission(None, None)
    assert admit is not None
    now = datetime.now(UTC)
    admit(msgspec.structs.replace(make_read(1), captured_at=now - timedelta(days=30)))
    late = msgspec.structs.replace(make_read(1), captured_at=now - timedelta(days=32))
    with pytest.raises(Refused, match="past-retention"):
        admit(late)
    file.write_text('default = "dcjis"')
    admit_longer = _admission(None, None)
    assert admit_longer is not None
    admit_longer(late)


def test_without_policies_nobody_says_what_is_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATELAKE_HOME", str(tmp_path))
    assert _admission(None, None) is None
    write_first(tmp_path / "embedded" / "retention.toml")
    assert _admission(None, "elsewhere:9092") is None
    with pytest.raises(ConfigurationError, match="put it back"):
        _admission(tmp_path / "missing.toml", "elsewhere:9092")
