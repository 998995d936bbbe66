"""The demo's cameras, as a process of their own: draws ahead, and sends each frame on its time.

`python -m cli.demo.cameras --bootstrap B --seed N --seconds S --agencies A --go FILE`

Drawing begins at once; sending begins at the moment that FILE names (ISO 8601)
when it appears. Drawing ahead keeps the pictures' cost out of what is measured
as far as memory allows.
"""

from __future__ import annotations

import argparse
import queue
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from alpr.records import Frame
from ingest.codecs import encode_frame
from ingest.producer import Producer
from ingest.simulator.cameras import frames, paced
from ingest.simulator.demo import demo_world
from ingest.simulator.plan import Plan, make_plan
from ingest.topics import FRAMES

NOMINAL = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""Start of the plan while the real start is not yet known."""

_AHEAD = 1500
"""Frames drawn before they are sent, at most; about 100 KB each."""


def plan_at(start: datetime, seed: int, agencies: int, seconds: float) -> Plan:
    """The demo's plan; only its times depend on `start`."""
    return make_plan(demo_world(seed, agencies=agencies), start, seconds)


def _draw(plan: Plan, drawn: queue.Queue[Frame | None]) -> None:
    for frame in frames(plan):
        drawn.put(frame)
    drawn.put(None)


def _await_start(go: Path) -> datetime:
    while not go.exists():
        time.sleep(0.05)
    return datetime.fromisoformat(go.read_text())


def main() -> None:
    """Draw, wait for the start, send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--agencies", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--go", type=Path, required=True)
    arguments = parser.parse_args()
    plan = plan_at(NOMINAL, arguments.seed, arguments.agencies, arguments.seconds)
    drawn: queue.Queue[Frame | None] = queue.Queue(maxsize=_AHEAD)
    threading.Thread(target=_draw, args=(plan, drawn), daemon=True).start()
    shift = _await_start(arguments.go) - NOMINAL
    with Producer(arguments.bootstrap, client_id="platelake-cameras") as producer:
        for frame in paced(
            (_shifted(frame, shift) for frame in iter(drawn.get, None)),
            clock=lambda: datetime.now(UTC),
            sleep=time.sleep,
        ):
            key, value, headers = encode_frame(
                msgspec.structs.replace(frame, received_at=datetime.now(UTC))
            )
            producer.send(FRAMES, key=key, value=value, headers=headers)


def _shifted(frame: Frame, shift: timedelta) -> Frame:
    return msgspec.structs.replace(frame, captured_at=frame.captured_at + shift)


if __name__ == "__main__":
    main()
