from __future__ import annotations

from pathlib import Path

import pytest

from infra.provision import cache


def build_two(folder: Path) -> None:
    (folder / "a.jar").write_text("aaa")
    (folder / "sub").mkdir()
    (folder / "sub" / "b.jar").write_text("bb")


def never(folder: Path) -> None:
    raise AssertionError(f"built again in {folder}")


def test_built_once(tmp_path: Path) -> None:
    folder = tmp_path / "kafka" / "lib"
    assert not cache.is_complete(folder, "1")
    assert cache.complete(folder, "1", build_two) == folder
    assert cache.is_complete(folder, "1")
    assert (folder / "sub" / "b.jar").read_text() == "bb"
    cache.complete(folder, "1", never)


def test_another_recipe_replaces_everything(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    cache.complete(folder, "1", build_two)
    cache.complete(folder, "2", lambda made: (made / "c.jar").touch())
    assert not (folder / "a.jar").exists()
    assert cache.is_complete(folder, "2")
    assert not cache.is_complete(folder, "1")


@pytest.mark.parametrize("damage", ["cut", "missing", "marker", "no marker"])
def test_what_is_damaged_is_built_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "lib"
    cache.complete(folder, "1", build_two)
    match damage:
        case "cut":
            (folder / "a.jar").write_text("a")
        case "missing":
            (folder / "sub" / "b.jar").unlink()
        case "marker":
            (folder / ".complete.json").write_text('{"recipe": ')
        case "no marker":
            (folder / ".complete.json").unlink()
    assert not cache.is_complete(folder, "1")
    cache.complete(folder, "1", build_two)
    assert cache.is_complete(folder, "1")
    assert (folder / "a.jar").read_text() == "aaa"


def test_an_interrupted_build_keeps_nothing_and_the_old_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "lib"
    cache.complete(folder, "1", build_two)

    def interrupted(made: Path) -> None:
        (made / "half.jar").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.complete(folder, "2", interrupted)
    assert cache.is_complete(folder, "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lib.lock", "lib"]


def test_a_build_that_makes_nothing_is_not_complete(tmp_path: Path) -> None:
    cache.complete(tmp_path / "lib", "1", lambda made: None)
    assert not cache.is_complete(tmp_path / "lib", "1")
