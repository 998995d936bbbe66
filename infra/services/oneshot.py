"""Programs that prepare a service's data and end: run to their end or fail with their words."""

from __future__ import annotations

import pwd
import subprocess
from collections.abc import Sequence

from alpr.errors import Unavailable

_DEADLINE_S = 120
_LAST_CHARACTERS = 1000


def run_once(argv: Sequence[str], what: str, account: pwd.struct_passwd | None = None) -> None:
    """Run the program, as `account` if given. Raises Unavailable when it fails or hangs."""
    try:
        done = subprocess.run(
            argv,
            cwd="/",  # an account may not be able to read where we are
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_DEADLINE_S,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{what} did not end in {_DEADLINE_S} s. Is the machine busy?") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-_LAST_CHARACTERS:]
        raise Unavailable(f"{what} failed (exit code {done.returncode}): {words}")
