"""Tools of the system: found, checked for their version, installed where that is allowed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from alpr.errors import ConfigurationError
from infra.provision.progress import Reporter
from infra.versions import versions

_VERSION_DEADLINE_S = 30
_APT_DEADLINE_S = 900


@dataclass(frozen=True, slots=True)
class Tool:
    """A program with the version it told; `path` is a file, or a folder for PostgreSQL."""

    path: Path
    version: str


def find_java(minimum: int | None = None) -> Tool | None:
    """Return a Java of at least this major version (default: the one all engines run on), the
    lowest such: the engines are older than the newest Javas.
    """
    minimum = versions().java.minimum_major if minimum is None else minimum
    candidates = {
        Path(path).resolve()
        for path in (
            f"{os.environ.get('JAVA_HOME', '')}/bin/java",
            shutil.which("java") or "",
            *map(str, Path("/usr/lib/jvm").glob("*/bin/java")),
            *map(str, Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home/bin/java")),
        )
        if path and Path(path).is_file()
    }
    found = [
        (int(match[1]), path, match[0])
        for path in sorted(candidates)
        if (match := re.search(r'(?<=version ")(\d+)[^"]*', _output([str(path), "-version"])))
    ]
    usable = [entry for entry in found if entry[0] >= minimum]
    return Tool(min(usable)[1], min(usable)[2]) if usable else None


def find_maven() -> Tool | None:
    """Return Maven when it is on the PATH."""
    return _on_path("mvn", ["-version"], r"(?<=Apache Maven )[\d.]+")


def find_go() -> Tool | None:
    """Return Go when it is on the PATH or in its usual place."""
    return _on_path("go", ["version"], r"(?<=go version go)[\d.]+", ("/usr/local/go/bin",))


def find_postgres() -> Tool | None:
    """Return the folder of PostgreSQL's programs, the newest of those that are new enough."""
    folders = {
        Path(path).resolve()
        for path in (
            _output(["pg_config", "--bindir"]).strip(),
            str(Path(shutil.which("initdb") or "/nowhere/initdb").parent),
            *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
            *map(str, Path("/opt/homebrew/opt").glob("postgresql@*/bin")),
        )
        if path and (Path(path) / "initdb").is_file() and (Path(path) / "postgres").is_file()
    }
    found = [
        (int(match[1]), folder, match[0])
        for folder in sorted(folders)
        if (match := re.search(r"(\d+)(\.\d+)*", _output([str(folder / "postgres"), "--version"])))
    ]
    usable = [entry for entry in found if entry[0] >= versions().postgres.minimum_major]
    return Tool(max(usable)[1], max(usable)[2]) if usable else None


def can_install() -> bool:
    """Whether missing tools may be installed: on Debian and its kin, as root."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(
    packages: Iterable[str],
    why: str,
    reporter: Reporter,
    before: Callable[[], object] | None = None,
) -> None:
    """Install Debian packages and say so; ConfigurationError with the line to run elsewhere.

    `before` prepares the system once it is certain that they may be installed.
    """
    names = tuple(packages)
    line = f"apt-get install -y --no-install-recommends {' '.join(names)}"
    if not can_install():
        raise ConfigurationError(
            f"{why}. On Debian or Ubuntu run: sudo {line}; "
            "elsewhere install the same with the system's own package manager"
        )
    reporter.note(f"{why}: installing with `{line}`")
    if before:
        before()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with reporter.step(f"Installing {', '.join(names)}"):
        for command in (["apt-get", "update", "-qq"], [*line.split(), "-qq"]):
            try:
                done = subprocess.run(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=_APT_DEADLINE_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as error:
                raise ConfigurationError(
                    f"`{' '.join(command)}` did not end in {_APT_DEADLINE_S} s. Run it by hand"
                ) from error
            if done.returncode:
                raise ConfigurationError(
                    f"`{' '.join(command)}` failed ({done.returncode}): "
                    f"{done.stderr.strip()[-500:]}. Run it by hand to see why"
                )


def _on_path(
    name: str, arguments: list[str], pattern: str, more: tuple[str, ...] = ()
) -> Tool | None:
    path = shutil.which(name) or next(
        (found for folder in more if (found := shutil.which(name, path=folder))), None
    )
    if path is None:
        return None
    match = re.search(pattern, _output([path, *arguments]))
    return Tool(Path(path), match[0]) if match else None


def _output(command: list[str]) -> str:
    """What the program prints; empty when there is no such program or it does not answer."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_VERSION_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
