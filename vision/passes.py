"""One read per vehicle: the readings of one camera's frames, gathered into passes.

A pure state machine in event time. The state is a frozen struct that goes into
bytes and back; the functions take it and return the next one. What comes out
depends on the frames' own times and contents alone: a replay of the same
frames in the same order gives the same passes.

    state, finished = observe(state, frame_time, sequence, readings)
    state, finished = still(state, frame_time)      # the motion gate saw no change
    state, finished = flush(state, watermark)       # no older frame will come

A pass is open while its vehicle was seen within `gap`. It is reported once:
early, when enough frames agree for sure or it waits too long, else when it
closes. A reported pass lingers, so that its vehicle seen again is no second read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from msgspec.structs import replace

from alpr.errors import ConfigurationError, Corrupt
from vision.association import assign, distinct
from vision.port import Box, PlateReading
from vision.track import Images, Track, begin, candidates, extend, issuing_state, reported


@dataclass(frozen=True, slots=True)
class PassRules:
    """When frames are one pass and when a pass is told.

    Attributes:
        gap: a pass closes when its vehicle was not seen for longer than this.
        linger: after its last sighting a reported pass absorbs its vehicle for so long.
        patience: an open pass that can be read is told after this long.
        agreeing: a pass is told as soon as this many frames surely read the same text.
        sure: confidence from which a frame is sure, 0 to 1.
        floor: a pass with no reading of this confidence is counted as unread.
        detection_floor: a plate less surely detected than this, and not read with
            `floor` either, begins no pass: it is more likely no plate at all.
    """

    gap: timedelta = timedelta(seconds=1)
    linger: timedelta = timedelta(seconds=30)
    patience: timedelta = timedelta(seconds=3)
    agreeing: int = 2
    sure: float = 0.8
    floor: float = 0.3
    detection_floor: float = 0.5

    def __post_init__(self) -> None:
        if not timedelta() < self.gap <= self.linger:
            raise ConfigurationError(
                f"gap must be more than 0 and at most linger; got {self.gap} and {self.linger}"
            )
        if self.agreeing < 1:
            raise ConfigurationError(f"agreeing must be 1 or more; got {self.agreeing}")
        for name in ("sure", "floor", "detection_floor"):
            value: float = getattr(self, name)
            if not 0 <= value <= 1:
                raise ConfigurationError(f"{name} must be from 0 to 1; got {value}")


class PassState(msgspec.Struct, frozen=True):
    """All passes in front of one camera, oldest first; `newest` is its latest picture's time."""

    newest: datetime | None = None
    tracks: tuple[Track, ...] = ()


class FinishedPass(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle's pass, told once.

    `source_id` and `first_seen` are its identity: they come from its first
    frame and stay the same however the vote settles. `captured_at`, `sequence`,
    `plate_raw`, `box`, `crop` and `overview` are those of the best frame.
    `plate` is the voted text ("" when `kind` is "unread").
    """

    kind: Literal["read", "unread"]
    source_id: str
    first_seen: datetime
    last_seen: datetime
    captured_at: datetime
    sequence: int
    plate: str
    plate_raw: str
    confidence: float
    candidates: tuple[tuple[str, float], ...]
    state: str | None
    state_confidence: float | None
    frames: int
    box: Box
    crop: bytes | None
    overview: bytes | None


Step = tuple[PassState, list[FinishedPass]]
"""The next state, and the passes told on the way there."""

_DEFAULT = PassRules()


def observe(
    state: PassState,
    frame_time: datetime,
    sequence: int,
    readings: Sequence[PlateReading],
    images: Images | None = None,
    rules: PassRules = _DEFAULT,
) -> Step:
    """Take in what was read in one frame.

    A frame older than the newest one still votes for the pass it belongs to,
    and begins one if it belongs to none; it moves no box and no clock.
    `images` makes crop and overview; it is called only for a new best frame.
    """
    newest = max(frame_time, state.newest or frame_time)
    tracks, finished = _close(state.tracks, newest, rules)
    readings = distinct(readings)
    matches = assign(tracks, readings, frame_time, rules.gap, rules.sure)
    for match in matches:
        tracks[match.track] = extend(
            tracks[match.track], readings[match.reading], frame_time, sequence, rules.sure, images
        )
    matched = {match.reading for match in matches}
    index = 0
    for number, reading in enumerate(readings):
        if number not in matched and _begins(reading, rules):
            tracks.append(begin(reading, frame_time, sequence, index, rules.sure, images))
            index += 1
    for number, track in enumerate(tracks):
        waited = track.last_seen - track.first_seen
        if _agreed(track, rules) or (waited >= rules.patience and _readable(track, rules)):
            tracks[number] = _tell(track, finished)
    return PassState(newest, tuple(tracks)), finished


def still(state: PassState, frame_time: datetime, rules: PassRules = _DEFAULT) -> Step:
    """Take in a frame that shows what the last one showed: nobody left, nobody votes.

    A vehicle that stands in an unchanged picture is told after `gap`: no better
    frame is to be expected.
    """
    newest = state.newest
    if newest is None or frame_time <= newest:
        return state, []
    present = [
        replace(track, last_seen=frame_time, box_at=frame_time, velocity=(0.0, 0.0))
        if track.last_seen == newest
        else track
        for track in state.tracks
    ]
    tracks, finished = _close(present, frame_time, rules)
    for number, track in enumerate(tracks):
        stands = track.last_seen == frame_time and frame_time - track.first_seen >= rules.gap
        if stands and _readable(track, rules):
            tracks[number] = _tell(track, finished)
    return PassState(frame_time, tuple(tracks)), finished


def flush(state: PassState, watermark: datetime, rules: PassRules = _DEFAULT) -> Step:
    """Close what `watermark` shows to be over: no frame older than it will come."""
    tracks, finished = _close(state.tracks, watermark, rules)
    return PassState(state.newest, tuple(tracks)), finished


def dump(state: PassState) -> bytes:
    """The state as bytes (MessagePack)."""
    return msgspec.msgpack.encode(state)


def load(data: bytes) -> PassState:
    """The state from bytes of `dump`.

    Raises:
        Corrupt: the bytes are not such a state.
    """
    try:
        return msgspec.msgpack.decode(data, type=PassState)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{len(data)} bytes are not the state of passes: {error}") from error


def _close(
    tracks: Sequence[Track], now: datetime, rules: PassRules
) -> tuple[list[Track], list[FinishedPass]]:
    """Tell the passes whose gap is over, in the order of their ends, and drop what is past."""
    kept: list[Track] = []
    told: list[FinishedPass] = []
    for track in tracks:
        age = now - track.last_seen
        if track.reported:
            if age <= rules.linger:
                kept.append(track)
        elif age <= rules.gap:
            kept.append(track)
        elif _readable(track, rules):
            kept.append(_tell(track, told))
        else:
            told.append(_finish(track, "unread"))
    return kept, sorted(told, key=lambda done: (done.last_seen, done.first_seen))


def _begins(reading: PlateReading, rules: PassRules) -> bool:
    return reading.detection_score >= rules.detection_floor or (
        reading.text != "" and reading.confidence >= rules.floor
    )


def _readable(track: Track, rules: PassRules) -> bool:
    return not track.reported and track.best.text != "" and track.best.confidence >= rules.floor


def _agreed(track: Track, rules: PassRules) -> bool:
    """Whether enough frames surely read the very text that the vote gives."""
    if not _readable(track, rules):
        return False
    sure = [vote.text for vote in track.votes if vote.sure >= rules.agreeing]
    return bool(sure) and track.consensus().text in sure


def _tell(track: Track, finished: list[FinishedPass]) -> Track:
    finished.append(_finish(track, "read"))
    return reported(track)


def _finish(track: Track, kind: Literal["read", "unread"]) -> FinishedPass:
    agreed = track.consensus()
    texts = candidates(track, agreed)
    state, state_confidence = issuing_state(track)
    return FinishedPass(
        kind=kind,
        source_id=f"{track.first_sequence}.{track.index}",
        first_seen=track.first_seen,
        last_seen=track.last_seen,
        captured_at=track.best.captured_at,
        sequence=track.best.sequence,
        plate=agreed.text if kind == "read" else "",
        plate_raw=track.best.text,
        confidence=texts[0][1],
        candidates=texts if kind == "read" else (),
        state=state,
        state_confidence=state_confidence,
        frames=track.frames,
        box=track.best.box,
        crop=track.best.crop,
        overview=track.best.overview,
    )
