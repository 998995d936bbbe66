"""What is known of one vehicle in front of one camera, and what its frames say together."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime

import msgspec
from msgspec.structs import replace

from vision.port import Box, PlateReading
from vision.voting import Consensus, consensus

Images = Callable[[Box], tuple[bytes, bytes]]
"""Makes the evidence of a frame when it is needed: box -> (crop JPEG, overview JPEG)."""

_MOST_VOTES = 48
_MOST_CANDIDATES = 5
_LEAST_CHANCE = 0.001
_UNLISTED = math.log(1 / _LEAST_CHANCE)  # log of how many texts share what no candidate got
_BETTER_BY = 0.02  # encoding pictures for every tiny gain would cost more than reading


class Vote(msgspec.Struct, frozen=True, array_like=True):
    """A text and what the frames say for it.

    `weight` is the sum of its probabilities, `evidence` the sum of its log
    odds against any text not listed, `sure` the number of frames that surely
    read just this.
    """

    text: str
    weight: float
    evidence: float
    sure: int


class Best(msgspec.Struct, frozen=True, array_like=True):
    """The frame with the most confident reading so far."""

    captured_at: datetime
    sequence: int
    text: str
    confidence: float
    box: Box
    crop: bytes | None
    overview: bytes | None


class Track(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle in front of one camera.

    `first_seen`, `first_sequence` and `index` are its identity and never
    change, even where an older frame arrives late. `box` and `velocity`
    (pixels per second) are those of `box_at`.
    """

    first_seen: datetime
    last_seen: datetime
    first_sequence: int
    index: int
    box: Box
    box_at: datetime
    velocity: tuple[float, float] = (0.0, 0.0)
    frames: int = 1
    heard: float
    """How many frames' worth of reading there is: each counts with what it could read."""
    votes: tuple[Vote, ...] = ()
    states: tuple[tuple[str, float], ...] = ()
    best: Best
    reported: bool = False

    def box_expected(self, at: datetime) -> Box:
        """Where the plate should be at that time if it keeps its velocity."""
        seconds = (at - self.box_at).total_seconds()
        dx, dy = self.velocity[0] * seconds, self.velocity[1] * seconds
        return Box(self.box.x + dx, self.box.y + dy, self.box.w, self.box.h)

    def consensus(self) -> Consensus:
        """The voted text of all frames so far."""
        return consensus({vote.text: vote.weight for vote in self.votes})


def begin(
    reading: PlateReading,
    at: datetime,
    sequence: int,
    index: int,
    sure: float,
    images: Images | None,
) -> Track:
    """A new track from its first frame; `index` tells plates of one frame apart."""
    return Track(
        first_seen=at,
        last_seen=at,
        first_sequence=sequence,
        index=index,
        box=reading.box,
        box_at=at,
        heard=_heard(reading),
        votes=_voted((), reading, sure),
        states=_state_voted((), reading),
        best=_best(reading, at, sequence, images),
    )


def extend(
    track: Track,
    reading: PlateReading,
    at: datetime,
    sequence: int,
    sure: float,
    images: Images | None,
) -> Track:
    """The track with one more frame. A late frame votes but does not move the box."""
    best = track.best
    if not track.reported and reading.confidence > best.confidence + _BETTER_BY:
        best = _best(reading, at, sequence, images)
    moved = at > track.box_at
    return replace(
        track,
        last_seen=max(track.last_seen, at),
        box=reading.box if moved else track.box,
        box_at=at if moved else track.box_at,
        velocity=_velocity(track, reading.box, at) if moved else track.velocity,
        frames=track.frames + 1,
        heard=track.heard + _heard(reading),
        votes=_voted(track.votes, reading, sure),
        states=_state_voted(track.states, reading),
        best=best,
    )


def reported(track: Track) -> Track:
    """The track once its read is out: it only absorbs now and needs no pictures."""
    return replace(track, reported=True, best=replace(track.best, crop=None, overview=None))


def candidates(track: Track, agreed: Consensus) -> tuple[tuple[str, float], ...]:
    """The agreed text, then the likeliest other texts, with chances from 0 to 1.

    Frames are multiplied like independent witnesses, but with the root of
    their number: frames of one pass share light, dirt and angle, and so their
    errors. An agreed text that no frame read whole gets its weakest
    character's share of the best frame's confidence.
    """
    damping = max(1.0, track.heard) ** -0.5
    logs = [vote.evidence * damping for vote in track.votes]
    top = max([_UNLISTED, *logs])
    total = math.exp(_UNLISTED - top) + sum(math.exp(log - top) for log in logs)
    chances = {
        vote.text: math.exp(log - top) / total
        for vote, log in zip(track.votes, logs, strict=True)
        if vote.text
    }
    first = chances.pop(agreed.text, agreed.share * track.best.confidence)
    others = sorted(chances.items(), key=lambda item: (-item[1], item[0]))
    return ((agreed.text, first), *others[: _MOST_CANDIDATES - 1])


def issuing_state(track: Track) -> tuple[str | None, float | None]:
    """The state most frames tell, with its share of the state votes."""
    if not track.states:
        return None, None
    total = sum(weight for _, weight in track.states)
    state, weight = track.states[0]
    return state, min(1.0, weight / total)


def _best(reading: PlateReading, at: datetime, sequence: int, images: Images | None) -> Best:
    crop, overview = images(reading.box) if images else (None, None)
    return Best(at, sequence, reading.text, reading.confidence, reading.box, crop, overview)


def _velocity(track: Track, box: Box, at: datetime) -> tuple[float, float]:
    seconds = (at - track.box_at).total_seconds()
    (x0, y0), (x1, y1) = track.box.centre, box.centre
    return (x1 - x0) / seconds, (y1 - y0) / seconds


def _heard(reading: PlateReading) -> float:
    return min(1.0, sum(chance for _, chance in _chances(reading)))


def _voted(votes: tuple[Vote, ...], reading: PlateReading, sure: float) -> tuple[Vote, ...]:
    """Every candidate counts with its chance; heaviest first, light ones fall off."""
    known = {vote.text: vote for vote in votes}
    unlisted = max(_LEAST_CHANCE, 1 - _heard(reading))
    for text, chance in _chances(reading):
        vote = known.get(text, Vote(text, 0.0, 0.0, 0))
        known[text] = Vote(
            text,
            vote.weight + chance,
            vote.evidence + math.log(max(chance, _LEAST_CHANCE) / unlisted) + _UNLISTED,
            vote.sure + (text == reading.text and reading.confidence >= sure),
        )
    ranked = sorted(known.values(), key=lambda vote: (-vote.weight, vote.text))
    return tuple(ranked[:_MOST_VOTES])


def _chances(reading: PlateReading) -> list[tuple[str, float]]:
    """The candidates with their scores brought to the scale of the reading's confidence."""
    if not reading.candidates or reading.candidates[0][1] <= 0:
        return []
    scale = reading.confidence / reading.candidates[0][1]
    return [(text, score * scale) for text, score in reading.candidates if text]


def _state_voted(
    states: tuple[tuple[str, float], ...], reading: PlateReading
) -> tuple[tuple[str, float], ...]:
    """Votes for issuing states; what a frame leaves open is a vote for none of them."""
    if reading.state is None or reading.state_confidence is None:
        return states
    known = dict(states)
    known[reading.state] = known.get(reading.state, 0.0) + (
        reading.state_confidence * reading.detection_score
    )
    return tuple(sorted(known.items(), key=lambda item: (-item[1], item[0])))
