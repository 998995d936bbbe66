"""Frames to reads: per camera, in order, with everything a replay needs in the engine's state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import apache_beam as beam
import msgspec
from apache_beam.coders import BytesCoder
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import TimestampedValue

from alpr.errors import BadInput
from alpr.ids import read_id
from alpr.plates import is_canonical
from alpr.records import Candidate, DeadLetter, Frame, Read
from beam_jobs.dead_letters import DeadLetterBudget, dead_letter
from beam_jobs.decode import DEAD
from beam_jobs.io.sink import Outgoing
from beam_jobs.io.source import Batch
from beam_jobs.metrics import job_metrics
from beam_jobs.recognise.camera import CameraState, dump, load
from ingest.codecs import Headers, decode_frame, encode, encode_frame, message_key
from vision.decode import check_jpeg, decode, encode_crop, encode_overview
from vision.motion import MotionGate, thumbnail_from_jpeg
from vision.passes import FinishedPass, PassRules, flush, observe, still
from vision.port import Box, Recogniser, open_recogniser

JOB: Final = "recognise"
MAX_CANDIDATES: Final = 5
LATE: Final = timedelta(seconds=10)
"""A frame older than this on arrival is an upload, not live: its pass waits by the wall clock."""


class FrameMessage(msgspec.Struct, frozen=True):
    """A frame and where its message lies, so that a picture found damaged later can be traced."""

    frame: Frame
    topic: str
    partition: int
    offset: int
    arrived_ms: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(FrameMessage)


def frame_time(timestamp_ms: int, headers: Headers) -> float | None:
    """Event time of a frame's message: its captured_at header, None if that cannot be used."""
    for name, raw in headers:
        if name == "captured_at" and raw is not None:
            try:
                stated = datetime.fromisoformat(raw.decode()).timestamp()
            except (ValueError, UnicodeDecodeError, OverflowError):
                return None
            # A clock ahead of the broker's would push the watermark past other cameras' frames.
            return min(stated, timestamp_ms / 1000)
    return None


class ParseFrames(beam.DoFn):
    """Batch in; (camera, FrameMessage) out, stamped with the capture time; DeadLetters aside."""

    def __init__(
        self, limit: float, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._limit = limit
        self._now = now
        self._budget: DeadLetterBudget | None = None

    def setup(self) -> None:
        """One budget per worker."""
        self._budget = DeadLetterBudget(self._limit)

    def process(self, element: Batch) -> Iterator[Any]:
        """Check every message: headers, place, time, size, and that it is a whole JPEG."""
        bad: list[str] = []
        for index, (value, headers) in enumerate(zip(element.values, element.headers, strict=True)):
            try:
                frame = decode_frame(value, headers)
                check_jpeg(frame.jpeg)
            except BadInput as error:
                letter = dead_letter(JOB, element, index, error, self._now())
                bad.append(letter.reason)
                yield TaggedOutput(DEAD, letter)
                continue
            message = FrameMessage(
                frame,
                element.topic,
                element.partition,
                element.offsets[index],
                element.timestamps_ms[index],
            )
            key = message_key(frame.agency, frame.camera).decode()
            yield TimestampedValue((key, _encoder.encode(message)), frame.captured_at.timestamp())
        if self._budget is not None:
            self._budget.spend(len(element.values), bad)


@dataclass(frozen=True)
class RecogniseConfig:
    """What a worker needs to recognise."""

    recogniser: str = "platelake"
    threads: int = 1
    retention_class: str = "default"
    rules: PassRules = field(default_factory=PassRules)
    gate: MotionGate = field(default_factory=MotionGate)
    quiet_s: float = 2.0
    """An upload's pass is over when no frame of its camera has arrived for this long."""


class RecognisePasses(beam.DoFn):
    """(camera, FrameMessage) in, one Read for each vehicle pass out, DeadLetters aside.

    The motion gate's last picture and the open passes are the camera's state,
    kept by the engine with the source's offsets: after a crash the same frames
    meet the same state and give the same reads.

    Frames from before everything that is still remembered are a backlog: a
    camera that was cut off sends what it stored behind, or between, what it
    sees now. They have passes of their own; among those of now each of them
    would be over at once, and one car many reads.
    """

    PASSES = ReadModifyWriteStateSpec("passes", BytesCoder())
    BACKLOG = ReadModifyWriteStateSpec("backlog", BytesCoder())
    PICTURE = ReadModifyWriteStateSpec("picture", BytesCoder())
    OVER = TimerSpec("over", TimeDomain.WATERMARK)
    QUIET = TimerSpec("quiet", TimeDomain.REAL_TIME)

    def __init__(
        self,
        config: RecogniseConfig,
        open_port: Callable[[str, int], Recogniser] = open_recogniser,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._open_port = open_port
        self._clock = clock
        self._port: Recogniser | None = None

    def setup(self) -> None:
        """Load the models; the port shares one session per process."""
        self._port = self._open_port(self._config.recogniser, self._config.threads)

    def process(
        self,
        element: tuple[str, bytes],
        passes: Any = beam.DoFn.StateParam(PASSES),
        backlog: Any = beam.DoFn.StateParam(BACKLOG),
        picture: Any = beam.DoFn.StateParam(PICTURE),
        over: Any = beam.DoFn.TimerParam(OVER),
        quiet: Any = beam.DoFn.TimerParam(QUIET),
    ) -> Iterator[Any]:
        """One frame of one camera."""
        key, data = element
        message = _decoder.decode(data)
        frame = message.frame
        cell, state = passes, load(passes.read())
        stored = self._is_before(frame, state)
        if stored:
            cell, state = backlog, load(backlog.read())
            if self._is_before(frame, state):  # an older backlog still
                yield from self._flush(key, backlog)
                state = CameraState()
        try:
            state, finished = self._look(frame, state.seen(frame), picture)
        except BadInput as error:
            yield TaggedOutput(DEAD, self._dead(message, error))
            return
        cell.write(dump(state.trimmed()))
        yield from self._reads(key, state, finished, message.arrived_ms)
        if state.passes.tracks and state.passes.newest is not None:
            # By the broker's clock: what we ourselves are late with, after an outage, is live.
            delay = message.arrived_ms / 1000 - frame.captured_at.timestamp()
            if stored or delay > LATE.total_seconds():
                quiet.set(self._clock() + self._config.quiet_s)
            else:
                over.set(_over(state.passes.newest, self._config.rules).timestamp())

    def _is_before(self, frame: Frame, state: CameraState) -> bool:
        newest = state.passes.newest
        return newest is not None and frame.captured_at < newest - self._config.rules.linger

    def _look(
        self, frame: Frame, state: CameraState, picture: Any
    ) -> tuple[CameraState, list[FinishedPass]]:
        started = self._clock()
        rules, metrics = self._config.rules, job_metrics(JOB)
        if frame.camera_kind == "fixed":
            thumbnail = thumbnail_from_jpeg(frame.jpeg)
            if not self._config.gate.changed(picture.read(), thumbnail):
                metrics.count("frames_still")
                metrics.observe("frame_seconds", self._clock() - started, outcome="still")
                tracked, finished = still(state.passes, frame.captured_at, rules)
                return CameraState(tracked, state.sightings), finished
            picture.write(thumbnail)
        if self._port is None:
            raise ValueError("process() came before setup()")
        image = decode(frame.jpeg)
        readings = self._port.read(image)

        def images(box: Box) -> tuple[bytes, bytes]:
            return encode_crop(image, box), encode_overview(image)

        tracked, finished = observe(
            state.passes, frame.captured_at, frame.sequence, readings, images, rules
        )
        metrics.observe("frame_seconds", self._clock() - started, outcome="read")
        return CameraState(tracked, state.sightings), finished

    @on_timer(OVER)
    def over(
        self,
        key: str = beam.DoFn.KeyParam,
        passes: Any = beam.DoFn.StateParam(PASSES),
        over: Any = beam.DoFn.TimerParam(OVER),
    ) -> Iterator[Any]:
        """No frame of this camera will come that is older than its newest plus the gap."""
        yield from self._flush(key, passes)

    @on_timer(QUIET)
    def quiet(
        self,
        key: str = beam.DoFn.KeyParam,
        passes: Any = beam.DoFn.StateParam(PASSES),
        backlog: Any = beam.DoFn.StateParam(BACKLOG),
    ) -> Iterator[Any]:
        """An upload or a backlog has come to its end."""
        yield from self._flush(key, backlog)
        yield from self._flush(key, passes)

    def _flush(self, key: str, passes: Any) -> Iterator[Any]:
        state = load(passes.read())
        if state.passes.newest is None:
            return
        tracked, finished = flush(
            state.passes, _over(state.passes.newest, self._config.rules), self._config.rules
        )
        passes.write(dump(CameraState(tracked, state.sightings).trimmed()))
        yield from self._reads(key, state, finished, None)

    def _reads(
        self, key: str, state: CameraState, finished: list[FinishedPass], arrived_ms: int | None
    ) -> Iterator[Read]:
        metrics = job_metrics(JOB)
        for done in finished:
            read = self._read(key, state, done)
            if read is None:
                metrics.count("passes_unread")
                continue
            metrics.count("passes_read")
            now = self._clock()
            metrics.observe(
                "stage_latency_seconds", now - read.captured_at.timestamp(), stage="frame_to_read"
            )
            if arrived_ms is not None:
                metrics.observe("stage_latency_seconds", now - arrived_ms / 1000, stage="recognise")
            yield read

    def _read(self, key: str, state: CameraState, done: FinishedPass) -> Read | None:
        if done.kind == "unread" or not is_canonical(done.plate) or self._port is None:
            return None
        agency, camera = key.split("/", 1)
        at = state.sighting(done.sequence, done.captured_at)
        return Read(
            # Not by plate: a replay whose vote settles otherwise must not make a second read.
            read_id=read_id(agency, camera, done.first_seen, "", done.source_id),
            agency=agency,
            camera=camera,
            captured_at=done.captured_at,
            received_at=at.received_at,
            plate=done.plate,
            plate_raw=done.plate_raw[:32],
            confidence=done.confidence,
            state=done.state,
            state_confidence=done.state_confidence,
            candidates=tuple(
                Candidate(text, score) for text, score in done.candidates if is_canonical(text)
            )[:MAX_CANDIDATES],
            latitude=at.latitude,
            longitude=at.longitude,
            heading=at.heading,
            source=self._config.recogniser,
            source_version=self._port.version,
            source_id=done.source_id,
            frames=done.frames,
            retention_class=self._config.retention_class,
            crop=done.crop,
            overview=done.overview,
        )

    def _dead(self, message: FrameMessage, error: BadInput) -> DeadLetter:
        key, value, headers = encode_frame(message.frame)
        batch = Batch(
            topic=message.topic,
            partition=message.partition,
            first=message.offset,
            next=message.offset + 1,
            offsets=[message.offset],
            timestamps_ms=[message.arrived_ms],
            keys=[key],
            values=[value],
            headers=[headers],
        )
        return dead_letter(JOB, batch, 0, error, datetime.fromtimestamp(self._clock(), UTC))


def _over(newest: datetime, rules: PassRules) -> datetime:
    """The first moment at which a pass last seen at `newest` is over."""
    return newest + rules.gap + timedelta(milliseconds=1)


def encode_read(read: Read) -> Outgoing:
    """A read as a message, keyed by its camera."""
    return Outgoing(message_key(read.agency, read.camera), encode(read))
