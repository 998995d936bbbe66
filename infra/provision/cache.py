"""A cache folder that is complete or absent, whatever was interrupted."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_MARKER = ".complete.json"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time work on `path`; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_complete(folder: Path, recipe: str) -> bool:
    """Whether the folder was made by this recipe and every file has the size it had then."""
    try:
        marker = json.loads((folder / _MARKER).read_text("utf-8"))
        files: dict[str, int] = marker["files"]
        return bool(
            marker["recipe"] == _digest(recipe)
            and files
            and all((folder / name).stat().st_size == size for name, size in files.items())
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def complete(folder: Path, recipe: str, build: Callable[[Path], None]) -> Path:
    """Return the folder, first built by `build(temporary folder)` unless it is complete.

    `recipe` is the text that decides the content (versions, a pom): another recipe, a missing
    or a cut-off file means building again. What `build` raises is passed on, with nothing kept.
    """
    if is_complete(folder, recipe):
        return folder
    with locked(folder):
        if is_complete(folder, recipe):  # made by another process while we waited
            return folder
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as made:
            fresh = Path(made) / "content"
            fresh.mkdir()
            build(fresh)
            sizes = {
                str(path.relative_to(fresh)): path.stat().st_size
                for path in sorted(fresh.rglob("*"))
                if path.is_file()
            }
            marker = {"recipe": _digest(recipe), "files": sizes}
            (fresh / _MARKER).write_text(json.dumps(marker, indent=1), "utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
    return folder


def _digest(recipe: str) -> str:
    return hashlib.sha256(recipe.encode()).hexdigest()
