"""Progress on the standard output."""

from __future__ import annotations

import sys
import time


def say(text: str) -> None:
    """One line with the time."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()
