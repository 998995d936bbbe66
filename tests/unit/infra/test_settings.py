from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from alpr.errors import ConfigurationError
from infra.settings import Ports, Profile, Settings, load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PLATELAKE_HOME", "PLATELAKE_CACHE", "PLATELAKE_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_lie_in_the_current_directory_and_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    settings = load()
    assert settings.home == tmp_path / ".platelake"
    assert settings.cache == tmp_path / "xdg" / "platelake"
    assert settings.profile is Profile.EMBEDDED
    assert settings.secrets_dir == tmp_path / ".platelake" / "embedded" / "secrets"


def test_flag_beats_environment_beats_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "platelake.toml").write_text(
        "task_managers = 2\ntask_slots = 2\ndisk_free_min_mib = 2\n[ports]\nkafka = 29092\n"
    )
    monkeypatch.setenv("PLATELAKE_HOME", str(home))
    monkeypatch.setenv("PLATELAKE_TASK_SLOTS", "3")
    monkeypatch.setenv("PLATELAKE_DISK_FREE_MIN_MIB", "3")
    settings = load(disk_free_min_mib=4, profile=None)
    assert (settings.task_managers, settings.task_slots, settings.disk_free_min_mib) == (2, 3, 4)
    assert settings.ports.kafka == 29092
    assert settings.ports.minio == Ports().minio


def test_one_port_by_environment_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLATELAKE_PORTS__KAFKA", "29092")
    assert load().ports == Ports(kafka=29092)


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ({"profile": "huge"}, "profile"),
        ({"ports": {"kafka": 0}}, "kafka"),
        ({"ports": {"kafka": 65536}}, "kafka"),
        ({"ports": {"kafka": 19093}}, "kafka_controller"),
        ({"ports": {"kafak": 19092}}, "kafak"),
        ({"task_managers": 0}, "task_managers"),
        ({"memory": {"kafka": 1}}, "memory.kafka"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_wrong_values_are_named(flags: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        load(**flags)


def test_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "platelake.toml").write_text("ports = [")
    with pytest.raises(ConfigurationError, match=r"platelake\.toml"):
        load(home=tmp_path)


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Settings().profile = Profile.FULL
