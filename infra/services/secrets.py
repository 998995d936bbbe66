"""Generated credentials: one file each, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def read_or_make(folder: Path, name: str, *, make: str | None = None) -> str:
    """Return the secret of that name, made at the first call: `make`, or 32 random bytes as hex.

    A second process that makes the same secret at the same time gets the first one's.
    """
    path = folder / name
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = folder / f".{name}.{secrets.token_hex(8)}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(make or secrets.token_hex(32))
    try:
        path.hardlink_to(part)  # unlike a rename, this fails when another was faster
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return path.read_text("ascii")
