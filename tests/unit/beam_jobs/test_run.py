import json
import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.run import JsonLines


def record(message: str, **more: object) -> logging.LogRecord:
    made = {"name": "job", "levelname": "INFO", "msg": message, "created": 1_800_000_000.25}
    return logging.makeLogRecord(made | {"msecs": 250.0} | more)


@given(st.text())
def test_every_message_is_one_line_of_json(message: str) -> None:
    """Quotes and line feeds in a message once made lines that were no JSON."""
    line = JsonLines().format(record(message))
    assert "\n" not in line
    assert json.loads(line) == {
        "at": "2027-01-15T08:00:00.250Z",
        "level": "INFO",
        "logger": "job",
        "message": message,
    }


def test_an_exception_is_told() -> None:
    try:
        raise ValueError('a "quoted" reason')
    except ValueError:
        line = JsonLines().format(record("failed", exc_info=sys.exc_info()))
    assert "quoted" in json.loads(line)["trace"]
