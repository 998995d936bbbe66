"""Tools and builds, with small programs in the place of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alpr.errors import ConfigurationError, Unavailable
from infra.provision import Provisioner, jars, tools
from infra.provision.progress import Silent
from infra.settings import load
from infra.versions import versions

MakeProgram = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeProgram:
    """Makes a shell program on a PATH that has nothing else but the basics."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return make


class Notes(Silent):
    def __init__(self) -> None:
        self.ticks: list[str] = []

    @contextmanager
    def step(self, _title: str, /) -> Iterator[Callable[[str], None]]:
        yield self.ticks.append


def java_home(folder: Path, major: str) -> Path:
    path = folder / f"java-{major}" / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{major}.0.1\" 2026-01-01' >&2\n")
    path.chmod(0o755)
    return path


def test_java_that_is_too_old_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = java_home(tmp_path, "11")
    monkeypatch.setenv("JAVA_HOME", str(old.parents[1]))
    found = tools.find_java()
    assert found is None or found.path != old


def test_java_of_java_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minimum = str(versions().java.minimum_major)
    path = java_home(tmp_path, minimum)
    monkeypatch.setenv("JAVA_HOME", str(path.parents[1]))
    found = tools.find_java()
    assert found is not None
    assert found.version.startswith(minimum)


def test_a_java_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "jdk" / "bin" / "java"
    broken.parent.mkdir(parents=True)
    broken.write_text("not a program")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    found = tools.find_java()
    assert found is None or found.path != broken


def test_maven_tells_its_version(program: MakeProgram) -> None:
    path = program("mvn", "echo 'Apache Maven 3.9.1 (abc)'")
    assert tools.find_maven() == tools.Tool(path, "3.9.1")


def test_without_the_right_to_install_the_line_to_run_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tools, "can_install", lambda: False)
    with pytest.raises(ConfigurationError, match=r"sudo apt-get install .* maven"):
        tools.install(["maven"], "Maven is required", Silent())


def test_a_failing_install_says_why(program: MakeProgram, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "can_install", lambda: True)
    program("apt-get", "echo 'no such package' >&2; exit 100")
    with pytest.raises(ConfigurationError, match="no such package"):
        tools.install(["maven"], "Maven is required", Silent())


FAKE_MAVEN = """
for argument in "$@"; do
  case $argument in -DoutputDirectory=*) target=${argument#-DoutputDirectory=};; esac
done
echo "[INFO] Downloaded from place: scheme://host/org/a-1.jar (3 kB at 1 kB/s)"
echo "[INFO] Copying a-1.jar to $target/a-1.jar"
echo "[INFO] Copying b-2.jar to $target/b-2.jar"
echo content > $target/a-1.jar
echo content > $target/b-2.jar
"""


def test_jars_are_resolved_once_with_progress(tmp_path: Path, program: MakeProgram) -> None:
    maven = program("mvn", FAKE_MAVEN)
    java = java_home(tmp_path, "17")
    notes = Notes()
    folder = jars.resolve_kafka(tmp_path / "cache", maven, java, notes)
    assert sorted(path.name for path in folder.glob("*.jar")) == ["a-1.jar", "b-2.jar"]
    assert notes.ticks[-1] == "1 jars downloaded, 2 in place"
    maven.write_text("#!/bin/sh\nexit 1\n")
    assert jars.resolve_kafka(tmp_path / "cache", maven, java, notes) == folder


def test_a_failing_maven_says_its_last_lines_and_leaves_nothing(
    tmp_path: Path, program: MakeProgram
) -> None:
    maven = program("mvn", f"{FAKE_MAVEN}\necho '[ERROR] cannot transfer'; exit 1")
    with pytest.raises(Unavailable, match="cannot transfer"):
        jars.resolve_flink(tmp_path / "cache", maven, java_home(tmp_path, "17"), Silent())
    assert not jars.flink_folder(tmp_path / "cache").exists()


def test_minio_without_go_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_go", lambda: None)
    settings = load(home=tmp_path, cache=tmp_path / "cache")
    with pytest.raises(ConfigurationError, match="Go is required"):
        _ = Provisioner(settings).minio


def test_minio_is_built_once(tmp_path: Path, program: MakeProgram) -> None:
    program(
        "go",
        'case $1 in version) echo "go version go1.26.1 linux/amd64";;'
        " install) echo built > $GOBIN/minio;; esac",
    )
    settings = load(home=tmp_path, cache=tmp_path / "cache")
    built = Provisioner(settings).minio
    assert built.read_text() == "built\n"
    program("go", "exit 1")
    assert Provisioner(settings).minio == built


def test_installing_prepares_then_updates_then_installs(
    tmp_path: Path, program: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "can_install", lambda: True)
    calls = tmp_path / "calls"
    program("apt-get", f'echo "$1 $DEBIAN_FRONTEND" >> {calls}')
    tools.install(["maven"], "Maven is required", Silent(), before=calls.touch)
    assert calls.read_text().split() == ["update", "noninteractive", "install", "noninteractive"]


def test_java_is_installed_when_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tools.Tool] = []
    monkeypatch.setattr(tools, "find_java", lambda: found[0] if found else None)
    java = tools.Tool(java_home(tmp_path, "17"), "17.0.1")
    asked: list[list[str]] = []

    def install(packages: list[str], *_: object, **__: object) -> None:
        asked.append(packages)
        found.append(java)

    monkeypatch.setattr(tools, "install", install)
    assert Provisioner(load(home=tmp_path, cache=tmp_path / "cache")).java == java.path
    assert asked == [["openjdk-17-jre-headless"]]
