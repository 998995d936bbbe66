from __future__ import annotations

import threading
from pathlib import Path

from infra.services.secrets import read_or_make


def test_made_once_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first = read_or_make(folder, "key")
    assert len(first) == 64
    assert read_or_make(folder, "key") == first
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["key"]


def test_two_names_two_secrets(tmp_path: Path) -> None:
    assert read_or_make(tmp_path, "a") != read_or_make(tmp_path, "b")


def test_a_given_value_is_kept(tmp_path: Path) -> None:
    assert read_or_make(tmp_path, "user", make="platelake") == "platelake"
    assert read_or_make(tmp_path, "user", make="other") == "platelake"


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    got: list[str] = []

    def ask() -> None:
        barrier.wait()
        got.append(read_or_make(tmp_path, "key"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1
