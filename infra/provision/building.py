"""Runs a build tool and shows its lines as progress."""

from __future__ import annotations

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from alpr.errors import Unavailable

_TAIL_LINES = 12


def run(
    command: Sequence[str],
    *,
    what: str,
    cwd: Path,
    environment: Mapping[str, str],
    on_line: Callable[[str], None],
) -> None:
    """Run the command to its end, giving each line of its output to `on_line`.

    Raises Unavailable with the last lines when it fails: what usually fails is the network.
    The command ends with us, also when we are interrupted.
    """
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with subprocess.Popen(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                on_line(line)
        except BaseException:  # an interrupt: do not leave the build running behind us
            process.kill()
            raise
    if process.returncode:
        last = "\n".join(f"    {line}" for line in tail)
        raise Unavailable(
            f"{what} failed (exit code {process.returncode} of {command[0]}). Check the network "
            f"and the tool's own settings, then run the same command again. Its last lines:\n{last}"
        )
