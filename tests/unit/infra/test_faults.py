from __future__ import annotations

import pytest

from infra.faults import own_fault

HEAD = "java.lang.RuntimeException: Error received from SDK harness for instruction 41: "


def harness(*lines: str) -> str:
    """As Flink tells it: Beam quotes the worker's traceback, then Java goes on."""
    quoted = "\n".join(
        ("Traceback (most recent call last):", '  File "x.py", line 1, in y', *lines)
    )
    return f"{HEAD}{quoted}\n\n\tat org.apache.beam.sdk.X(X.java:1)\nCaused by: java.Error: no"


@pytest.mark.parametrize(
    ("trace", "fault"),
    [
        ("", None),
        ("java.util.concurrent.TimeoutException: Heartbeat of TaskManager timed out\n\tat a", None),
        (harness("ValueError: no"), "ValueError: no"),
        (harness("AssertionError"), "AssertionError"),
        (harness("alpr.errors.Corrupt: gone [while running 'Read']"), "alpr.errors.Corrupt: gone"),
        (harness("alpr.errors.Unavailable: no broker [while running 'Read']"), None),
        (harness("alpr.errors.Fenced: another"), None),
        (harness("ConnectionRefusedError: [Errno 111]"), None),
        (harness("kafka.errors.NodeNotReadyError: x"), None),
        (
            harness(
                "kafka.errors.KafkaTimeoutError: x",
                "",
                "The above exception was the direct cause of the following exception:",
                "",
                "Traceback (most recent call last):",
                '  File "x.py", line 9, in z',
                "alpr.errors.Unavailable: x",
            ),
            None,
        ),
    ],
)
def test_whose_fault(trace: str, fault: str | None) -> None:
    found = own_fault(trace)
    assert (found is None) if fault is None else (found or "").startswith(fault)
