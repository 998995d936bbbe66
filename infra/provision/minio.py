"""The MinIO server, built by Go into the cache: its makers publish no binaries any more."""

from __future__ import annotations

from pathlib import Path

from infra.provision import building, cache
from infra.provision.progress import Reporter
from infra.versions import versions


def folder(cache_dir: Path) -> Path:
    """Where the server's program lies."""
    return cache_dir / f"minio-{versions().minio.version}" / "bin"


def recipe() -> str:
    """What decides the program."""
    return f"{versions().minio.module}@{versions().minio.version}"


def build(cache_dir: Path, go: Path, reporter: Reporter) -> Path:
    """Return the server's program, built first if need be (minutes). Raises Unavailable."""

    def compile_into(target: Path) -> None:
        packages = 0
        with reporter.step("Building MinIO (some minutes, once)") as tick:

            def on_line(line: str) -> None:
                nonlocal packages
                packages += 0 if line.startswith("go: ") else 1
                tick(line.strip() if line.startswith("go: ") else f"{packages} packages compiled")

            building.run(
                [str(go), "install", "-v", "-trimpath", "-buildvcs=false", recipe()],
                what="Building MinIO with Go",
                cwd=target,
                environment={"GOBIN": str(target), "CGO_ENABLED": "0"},
                on_line=on_line,
            )

    return cache.complete(folder(cache_dir), recipe(), compile_into) / "minio"
