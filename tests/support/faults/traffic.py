"""What the fault tests and the soak send: plain reads all the time, and bursts of frames.

A sender here is what a sender must be: it keeps what the broker has not acknowledged and
sends it again. Only what was acknowledged counts as accepted.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from msgspec.structs import replace

from alpr.errors import Unavailable
from alpr.ids import entry_id, read_id
from alpr.records import Frame, HotlistEntry, Read
from ingest.codecs import decode_read, encode, encode_frame, message_key
from ingest.producer import Producer
from ingest.simulator.cameras import frames
from ingest.simulator.demo import demo_world
from ingest.simulator.plan import make_plan
from ingest.simulator.reads import Traffic, draw_reads, lines
from ingest.topics import FRAMES, READS

_FLUSH_S = 30.0
_TICK_S = 0.25
_WANTED = 60
_VEHICLES = 2000


def simulated_reads(seed: int, start: datetime, count: int, rate: float) -> Iterator[Read]:
    """`count` reads and their repeats, late ones among them, in the order in which they come."""
    traffic = Traffic(seed, start, count, rate, cameras=24, vehicles=_VEHICLES)
    for chunk in lines(traffic, draw_reads(traffic)):
        for line in chunk:
            yield decode_read(line.as_py())


def wanted(seed: int, now: datetime) -> list[HotlistEntry]:
    """Entries for vehicles that pass often: in force, over already, and with another state."""
    reads = islice(simulated_reads(seed, now, 1000, 100.0), 1000)
    plates = sorted({(read.plate, read.state) for read in reads})[:_WANTED]
    return [
        HotlistEntry(
            entry_id=entry_id("faults", str(number)),
            source="faults",
            plate=plate,
            state=state if number % 3 else "ZZ" if number % 2 else None,
            category="stolen-vehicle",
            valid_from=now - timedelta(days=2),
            valid_to=now - timedelta(days=1) if number % 7 == 0 else None,
        )
        for number, (plate, state) in enumerate(plates)
    ]


class ReadStream(threading.Thread):
    """Sends reads at `rate` a second until it is stopped."""

    def __init__(self, bootstrap: str, seed: int, rate: float, seconds: float) -> None:
        super().__init__(daemon=True, name="reads")
        self.accepted: set[str] = set()
        """Ids of the reads that the broker has acknowledged."""
        self.twice = 0
        """Messages of reads that were accepted before: senders do that."""
        self._address = bootstrap
        self._rate = rate
        self._reads = simulated_reads(seed, datetime.now(UTC), round(rate * seconds), rate)
        self._running = threading.Event()
        self._idle = threading.Event()
        self._ended = threading.Event()
        self._running.set()

    def run(self) -> None:
        """Send a tick's reads, wait for the acknowledgements, go on; a failed tick is repeated."""
        producer: Producer | None = None
        count = max(1, round(self._rate * _TICK_S))
        while not self._ended.is_set():
            if not self._running.is_set():
                self._idle.set()
                self._ended.wait(0.05)
                continue
            self._idle.clear()
            due = time.monotonic() + _TICK_S
            tick = list(islice(self._reads, count))
            while tick and not self._ended.is_set():
                try:
                    producer = producer or Producer(self._address, client_id="faults-reads")
                    _send_reads(producer, tick)
                except Unavailable:
                    if producer is not None:
                        producer.close()
                    producer = None
                    self._ended.wait(0.5)
                    continue
                before = len(self.accepted)
                self.accepted.update(read.read_id for read in tick)
                self.twice += len(tick) - (len(self.accepted) - before)
                break
            self._ended.wait(max(0.0, due - time.monotonic()))
        self._idle.set()
        if producer is not None:
            producer.close()

    def pause(self, deadline_s: float = 120.0) -> None:
        """Return when everything begun is acknowledged. Raises TimeoutError."""
        self._running.clear()
        if not self._idle.wait(deadline_s):
            raise TimeoutError(f"reads were not acknowledged in {deadline_s:.0f} s")

    def resume(self) -> None:
        """Go on."""
        self._idle.clear()
        self._running.set()

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self.join(_FLUSH_S)


def _send_reads(producer: Producer, reads: Sequence[Read]) -> None:
    for read in reads:
        producer.send(READS, key=message_key(read.agency, read.camera), value=encode(read))
    producer.flush(_FLUSH_S)


class FrameScene:
    """A few seconds of three cameras, drawn once and shown again as often as wanted.

    Each showing is by cameras of an agency of its own, so that no two share any state.
    """

    def __init__(self, seed: int, seconds: float) -> None:
        start = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self._start = start
        plan = make_plan(demo_world(seed, agencies=1), start, seconds)
        self._frames = list(frames(plan))

    def __len__(self) -> int:
        return len(self._frames)

    def taken(self, agency: str, start: datetime) -> list[Frame]:
        """The frames as cameras of this agency take them, from `start` on."""
        shift = start - self._start
        return [
            replace(frame, agency=agency, captured_at=frame.captured_at + shift)
            for frame in self._frames
        ]

    def show(self, bootstrap: str, agency: str, ended: threading.Event) -> FrameShowing:
        """Begin to send the frames in real time."""
        showing = FrameShowing(bootstrap, self.taken(agency, datetime.now(UTC)), ended)
        showing.start()
        return showing


class FrameShowing(threading.Thread):
    """Sends frames, each no sooner than it is taken, and again until it is acknowledged."""

    def __init__(self, bootstrap: str, shown: Sequence[Frame], ended: threading.Event) -> None:
        super().__init__(daemon=True, name="frames")
        self._address = bootstrap
        self._shown = shown
        self._ended = ended
        self.accepted = 0

    def run(self) -> None:
        """One frame after the other: a camera keeps its order."""
        producer: Producer | None = None
        for frame in self._shown:
            self._ended.wait(max(0.0, (frame.captured_at - datetime.now(UTC)).total_seconds()))
            while not self._ended.is_set():
                try:
                    producer = producer or Producer(self._address, client_id="faults-frames")
                    key, value, headers = encode_frame(
                        replace(frame, received_at=datetime.now(UTC))
                    )
                    producer.send(FRAMES, key=key, value=value, headers=headers)
                    producer.flush(_FLUSH_S)
                except Unavailable:
                    if producer is not None:
                        producer.close()
                    producer = None
                    self._ended.wait(0.5)
                    continue
                self.accepted += 1
                break
        if producer is not None:
            producer.close()

    def id_of(self, camera: str, source_id: str) -> str:
        """The id of this camera's read that begins with the frame `source_id` names."""
        sequence = int(source_id.split(".")[0])
        first = next(f for f in self._shown if f.camera == camera and f.sequence == sequence)
        return read_id(first.agency, camera, first.captured_at, "", source_id)
