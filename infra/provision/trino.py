"""Trino's server, fetched by Maven into the cache, without the connectors that nobody here uses.

The published archive holds some fifty plug-ins; a server loads every one it finds. With those
below it takes half the disk and starts in a third of the time.
"""

from __future__ import annotations

import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alpr.errors import Unavailable
from infra.provision import building, cache
from infra.provision.progress import Reporter, Tick
from infra.versions import versions

PLUGINS = (
    "iceberg",
    "password-authenticators",
    "resource-group-managers",  # these two for a gateway: limits by purpose, an audit trail
    "http-event-listener",
)
_ARTIFACT = "io.trino:trino-server"
_LOOK_EVERY_S = 1.0
_COPY_BYTES = 1 << 20


def folder(cache_dir: Path) -> Path:
    """Where the server's `lib` and `plugin` lie."""
    return cache_dir / f"trino-{versions().trino.version}" / "server"


def recipe() -> str:
    """What decides the server."""
    return f"{_ARTIFACT}:{versions().trino.version} with {', '.join(PLUGINS)}"


def fetch(cache_dir: Path, maven: Path, java: Path, reporter: Reporter) -> Path:
    """Return the server's folder, fetched first if need be (0.8 GB). Raises Unavailable."""
    version = versions().trino.version

    def build(target: Path) -> None:
        # A repository of its own: the archive is needed once, and must not stay in the user's.
        work = target / ".work"
        with reporter.step(f"Fetching Trino {version} (0.8 GB, once)") as tick:
            with _growth(work, tick):
                archive = _download(work, maven, java)
            tick("unpacking")
            _unpack(archive, target)
        shutil.rmtree(work)

    return cache.complete(folder(cache_dir), recipe(), build)


def _download(work: Path, maven: Path, java: Path) -> Path:
    """Return the archive, in a repository of Maven's under `work`."""
    work.mkdir()
    group, name = _ARTIFACT.split(":")
    version = versions().trino.version
    plugin = versions().maven.dependency_plugin
    building.run(
        [
            str(maven),
            "--batch-mode",
            "-Dstyle.color=never",
            f"-Dmaven.repo.local={work}",
            f"org.apache.maven.plugins:maven-dependency-plugin:{plugin}:get",
            f"-Dartifact={_ARTIFACT}:{version}:tar.gz",
            "-Dtransitive=false",
        ],
        what="Fetching Trino with Maven",
        cwd=work,
        environment={"JAVA_HOME": str(java.parents[1])},
        on_line=lambda _line: None,  # it says nothing while it downloads
    )
    return work.joinpath(*group.split("."), name, version, f"{name}-{version}.tar.gz")


@contextmanager
def _growth(work: Path, tick: Tick) -> Iterator[None]:
    """Tell how much lies in the folder, until the block ends."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(_LOOK_EVERY_S):
            tick(f"{sum(_sizes(work)) >> 20} MiB")

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _sizes(work: Path) -> Iterator[int]:
    for path in work.rglob("*"):
        try:
            yield path.stat().st_size
        except OSError:  # Maven renames what has come
            continue


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the server and the chosen plug-ins.

    The archive holds each jar once, under any plug-in that has it, and hard links elsewhere:
    what is wanted may hang on a file that is not. Raises Unavailable if it is damaged.
    """
    wanted = ("lib/", *(f"plugin/{name}/" for name in PLUGINS))
    places: dict[str, list[Path]] = {}
    try:
        with tarfile.open(archive) as listed:
            for member in listed:
                _, _, name = member.name.partition("/")
                if name.startswith(wanted) and (member.isfile() or member.islnk()):
                    held = member.linkname if member.islnk() else member.name
                    places.setdefault(held, []).append(_inside(target, name))
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                content = stream.extractfile(member) if member.name in places else None
                if content is None:
                    continue
                first, *others = places.pop(member.name)
                first.parent.mkdir(parents=True, exist_ok=True)
                with first.open("wb") as file:
                    shutil.copyfileobj(content, file, _COPY_BYTES)
                for other in others:
                    other.parent.mkdir(parents=True, exist_ok=True)
                    other.hardlink_to(first)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Unavailable(f"{archive.name} cannot be unpacked: {error}. Run it again") from error
    missing = [
        name
        for name in ("lib", *(f"plugin/{name}" for name in PLUGINS))
        if not (target / name).is_dir()
    ]
    if places or missing:
        raise Unavailable(
            f"{archive.name} is not what was expected: it lacks "
            f"{', '.join([*missing, *sorted(places)][:5])}"
        )


def _inside(target: Path, name: str) -> Path:
    path = (target / name).resolve()
    if not path.is_relative_to(target.resolve()):
        raise Unavailable(f"the archive of Trino names a file outside its folder: {name}")
    return path
