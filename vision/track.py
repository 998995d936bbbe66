"""What is known of one vehicle in front of one camera, and what its frames say together."""

from __future__ import annotations

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
_SHARPENING = 0.4
_BETTER_BY = 0.02  # encoding pictures for every tiny gain would cost more than reading


class Vote(msgspec.Struct, frozen=True, array_like=True):
    """A text, the weight it got over all frames, and how many frames surely read just it."""

    text: str
    weight: float
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
    """Sum of the frames' confidences: how many frames' worth of reading there is."""
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
        heard=reading.confidence,
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
        heard=track.heard + reading.confidence,
        votes=_voted(track.votes, reading, sure),
        states=_state_voted(track.states, reading),
        best=best,
    )


def reported(track: Track) -> Track:
    """The track once its read is out: it only absorbs now and needs no pictures."""
    return replace(track, reported=True, best=replace(track.best, crop=None, overview=None))


def candidates(track: Track, agreed: Consensus) -> tuple[tuple[str, float], ...]:
    """The agreed text, then the likeliest other texts, with chances from 0 to 1.

    A text's chance is its share of the weight, sharpened the more was heard:
    frames that agree are worth more than one, but less than independent
    witnesses, for they share light, dirt and angle. For a single frame it is
    the frame's own. An agreed text that no frame read whole gets its weakest
    character's share of the best frame's confidence.
    """
    sharpness = max(1.0, track.heard) ** _SHARPENING
    listed = sum(vote.weight for vote in track.votes)
    powers = {vote.text: vote.weight**sharpness for vote in track.votes}
    total = sum(powers.values()) + max(0.0, track.heard - listed) ** sharpness
    chances = {text: power / total for text, power in powers.items()} if total > 0 else {}
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


def _voted(votes: tuple[Vote, ...], reading: PlateReading, sure: float) -> tuple[Vote, ...]:
    """Every candidate counts with its chance, every frame with its confidence.

    Scores are brought to the scale of the reading's confidence. Heaviest first;
    light ones fall off.
    """
    if not reading.text or reading.candidates[0][1] <= 0:
        return votes
    scale = reading.confidence / reading.candidates[0][1]
    known = {vote.text: vote for vote in votes}
    for text, score in reading.candidates:
        if text:
            vote = known.get(text, Vote(text, 0.0, 0))
            surely = text == reading.text and reading.confidence >= sure
            weight = vote.weight + score * scale * reading.confidence
            known[text] = Vote(text, weight, vote.sure + surely)
    ranked = sorted(known.values(), key=lambda vote: (-vote.weight, vote.text))
    return tuple(ranked[:_MOST_VOTES])


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
