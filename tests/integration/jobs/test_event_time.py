"""Event time on Flink: frames that come late, out of order and twice; partitions that are silent.

The same scene is shown by one agency after the other, each in its own disorder; what the
first, in good order, gives is what all must give. Most partitions are silent most of the time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from alpr.records import Frame, Read
from cli.installation import Installation
from infra.waiting import wait_until
from ingest.codecs import decode_read
from ingest.consumer import snapshot
from ingest.topics import READS, ensure_topics
from tests.stacks import make_settings
from tests.support.faults.traffic import FrameScene, FrameShowing

pytestmark = pytest.mark.integration

SEED, SCENE_S = 7, 8.0
TOLD_S = 90.0
QUIET_S = 6.0
"""Longer than a pass is waited for, by event time or by the clock."""


@dataclass
class Cameras:
    """The recognise job on the embedded Flink, and a scene to show it."""

    bootstrap: str
    scene: FrameScene

    def show(self, frames: Sequence[Frame]) -> None:
        """Send frames in this order, each no sooner than it is taken."""
        showing = FrameShowing(self.bootstrap, frames, threading.Event())
        showing.start()
        showing.join()

    def reads(self, agency: str) -> list[Read]:
        """The agency's reads so far, as messages on the topic."""
        decoded = (decode_read(message.value) for message in snapshot(self.bootstrap, READS))
        return [read for read in decoded if read.agency == agency]

    def told(self, agency: str, expected: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
        """(camera, plate) of the agency's reads once they are as expected, or at the deadline."""
        wait_until(lambda: seen(self.reads(agency)) == expected, TOLD_S, interval_s=1.0)
        return seen(self.reads(agency))


def seen(reads: Sequence[Read]) -> Counter[tuple[str, str]]:
    return Counter((read.camera, read.plate) for read in reads)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cameras]:
    installation = Installation(make_settings(tmp_path_factory.mktemp("event-time")))
    jobs = installation.jobs()
    try:
        installation.stack.up(after_kafka=ensure_topics)
        jobs.start("recognise")
        yield Cameras(installation.stack.bootstrap, FrameScene(SEED, SCENE_S))
    finally:
        jobs.process("recognise").stop()
        installation.stack.down()


@pytest.fixture(scope="module")
def orderly(cameras: Cameras) -> Counter[tuple[str, str]]:
    """What the scene gives when its frames come in order, each at once."""
    cameras.show(cameras.scene.taken("orderly", datetime.now(UTC)))
    counts: list[int] = []

    def steady() -> bool:
        counts.append(len(cameras.reads("orderly")))
        rounds = round(QUIET_S)
        return counts[-1] > 0 and len(counts) > rounds and counts[-1] == counts[-1 - rounds]

    assert wait_until(steady, TOLD_S, interval_s=1.0), counts
    return seen(cameras.reads("orderly"))


def test_silent_partitions_do_not_stall_a_pass(
    cameras: Cameras, orderly: Counter[tuple[str, str]]
) -> None:
    """One camera alone: its partition brings frames for a moment, all the others nothing."""
    camera = max(orderly)[0]
    frames = cameras.scene.taken("alone", datetime.now(UTC))
    cameras.show([frame for frame in frames if frame.camera == camera])
    expected = Counter({key: n for key, n in orderly.items() if key[0] == camera})
    assert cameras.told("alone", expected) == expected


def swapped(frames: list[Frame]) -> list[Frame]:
    """Each camera's frames in pairs, the second of a pair before the first."""
    turned: list[Frame] = []
    for camera in sorted({frame.camera for frame in frames}):
        own = [frame for frame in frames if frame.camera == camera]
        for first in range(0, len(own), 2):
            turned += reversed(own[first : first + 2])
    # As they reach the broker: a pair when its second is taken.
    return sorted(turned, key=lambda frame: frame.captured_at.timestamp() // 0.7)


def twice(frames: list[Frame]) -> list[Frame]:
    """Every frame, and at once again."""
    return [frame for frame in frames for _ in range(2)]


@pytest.mark.parametrize(
    ("agency", "arrange", "ago"),
    [
        ("twice", twice, timedelta()),
        ("late", list, timedelta(hours=1)),
        ("late-and-twice", twice, timedelta(hours=2)),
        ("out-of-order", swapped, timedelta()),
    ],
)
def test_disorder_changes_nothing(
    cameras: Cameras,
    orderly: Counter[tuple[str, str]],
    agency: str,
    arrange: Callable[[list[Frame]], list[Frame]],
    ago: timedelta,
) -> None:
    cameras.show(arrange(cameras.scene.taken(agency, datetime.now(UTC) - ago)))
    assert cameras.told(agency, orderly) == orderly
    reads = cameras.reads(agency)
    assert len({read.read_id for read in reads}) == len(reads)
