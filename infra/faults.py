"""Whose fault a job's failure is: the job's own, or of a machine or service that went away.

Flink restarts a job after either. After a crash that is right; a job that cannot work by
itself (a schema nobody agreed on, a table made by another version) would fail for ever.
"""

from __future__ import annotations

import re

_TRACEBACK = "Traceback (most recent call last):"
_ERROR = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(?:: (?P<words>.*))?$")
# What a process that lost a service, a peer or its own table to a successor raises.
_PASSING = (
    "alpr.errors.Unavailable",
    "alpr.errors.Fenced",
    "kafka.",
    "grpc.",
    "urllib3.",
    "sqlalchemy.",
    "psycopg2.",
    "OSError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "BrokenPipeError",
    "TimeoutError",
    "FileNotFoundError",
)


def own_fault(trace: str) -> str | None:
    """The Python error of the job's code that ended it, one line; None if something else did.

    `trace` is Flink's stack trace, in which Beam quotes the worker's traceback.
    """
    _, quoted, python = trace.partition(_TRACEBACK)
    if not quoted:
        return None  # Flink's own account: a task manager or a worker is gone
    error: str | None = None
    for line in python.splitlines():
        if line.startswith(("Caused by:", "\tat ")):
            break  # back in Java
        found = _ERROR.match(line)
        if found:
            error = None if found["name"].startswith(_PASSING) else line
    return error[:300] if error else None
