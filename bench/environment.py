"""An environment of its own for a contender, made once from its pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from alpr.errors import Unavailable

_INSTALL_S = 600


def python_of(requirements: Path, cache: Path) -> Path:
    """The Python of that environment; made now if these requirements have none yet.

    Raises Unavailable if they cannot be installed.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / "bench" / f"{requirements.stem}-{digest}"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    for command in (
        [sys.executable, "-m", "venv", str(partial)],
        [str(partial / "bin" / "python"), "-m", "pip", "install", "--quiet",
         "--disable-pip-version-check", "--requirement", str(requirements)],
    ):  # fmt: skip
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_INSTALL_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise Unavailable(f"{requirements.name} cannot be installed: {error}") from error
        if done.returncode != 0:
            shutil.rmtree(partial, ignore_errors=True)
            last = "; ".join((done.stderr or done.stdout).strip().splitlines()[-2:])
            raise Unavailable(f"{requirements.name} cannot be installed: {last}")
    partial.replace(folder)
    return python
