"""Which reading of a frame belongs to which vehicle: by place and by text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from vision.port import Box, PlateReading
from vision.track import Track
from vision.voting import distance

_SAME_PLACE_IOU = 0.3
_STEP = 1.0  # plate widths: nearer than this it is the same plate whatever was read
_REACH = 4.0  # plate widths: nearer than this a similar text is the same plate
_SAME_SIZE = 1.6
_TEXTS_COMPARED = 3


@dataclass(frozen=True, slots=True)
class Match:
    """Reading number `reading` of the frame belongs to track number `track`."""

    track: int
    reading: int


def distinct(readings: Sequence[PlateReading]) -> list[PlateReading]:
    """The readings of one frame without second boxes on the same plate.

    Two readings are one plate when their texts are equal or the centre of one
    lies in the box of the other; the more confident one stays. Left to right.
    """
    kept: list[PlateReading] = []
    for reading in sorted(readings, key=_surest_first):
        if not any(_one_plate(reading, other) for other in kept):
            kept.append(reading)
    return sorted(kept, key=lambda reading: (reading.box.x, reading.box.y))


def assign(
    tracks: Sequence[Track],
    readings: Sequence[PlateReading],
    at: datetime,
    gap: timedelta,
    sure: float,
) -> list[Match]:
    """At most one reading per track and one track per reading, strongest pairs first."""
    pairs: list[tuple[float, int, int]] = []
    for t, track in enumerate(tracks):
        for r, reading in enumerate(readings):
            strength = _affinity(track, reading, at, gap, sure)
            if strength > 0:
                pairs.append((-strength, t, r))
    matches: list[Match] = []
    taken_tracks: set[int] = set()
    taken_readings: set[int] = set()
    for _, t, r in sorted(pairs):
        if t not in taken_tracks and r not in taken_readings:
            taken_tracks.add(t)
            taken_readings.add(r)
            matches.append(Match(t, r))
    return matches


def _affinity(
    track: Track, reading: PlateReading, at: datetime, gap: timedelta, sure: float
) -> float:
    """How strongly the reading belongs to the track; 0: not at all.

    The same text belongs wherever it is: vehicles may cross the picture between
    two frames. A similar text must be near. Any other text must be in the same
    place, and is another vehicle where both texts are sure and far apart, as
    when the next in a queue stops where the last one stood.
    """
    overlap, steps, alike_in_size = _place(track, reading.box, at)
    difference = _difference(track, reading)
    if difference == 0:
        return 3 + overlap
    is_open = _away(track, at) <= gap
    similar = difference <= max(1, len(reading.text) // 3)
    if similar and steps <= _REACH and (is_open or overlap >= _SAME_PLACE_IOU):
        return 2 + overlap
    both_sure = reading.confidence >= sure and track.best.confidence >= sure
    same_place = overlap >= _SAME_PLACE_IOU or (steps <= _STEP and alike_in_size)
    if is_open and same_place and (similar or not both_sure):
        return 1 + overlap
    return 0.0


def _place(track: Track, box: Box, at: datetime) -> tuple[float, float, bool]:
    """Best overlap (IoU), distance in plate widths, and whether the sizes agree."""
    expected = track.box_expected(at)
    overlap = max(box.iou(expected), box.iou(track.box))
    width = max(box.w, track.box.w)
    steps = min(math.dist(box.centre, b.centre) for b in (expected, track.box)) / width
    return overlap, steps, width <= _SAME_SIZE * min(box.w, track.box.w)


def _difference(track: Track, reading: PlateReading) -> int:
    """Least edit distance between what was read now and the texts leading the vote."""
    texts = [vote.text for vote in track.votes[:_TEXTS_COMPARED] if vote.text]
    if not reading.text or not texts:
        return 99
    return min(distance(reading.text, text) for text in texts)


def _away(track: Track, at: datetime) -> timedelta:
    """How long before or after the track's own time the frame is."""
    return max(track.first_seen - at, at - track.last_seen, timedelta())


def _one_plate(a: PlateReading, b: PlateReading) -> bool:
    return (a.text == b.text != "") or _holds(a.box, b.box) or _holds(b.box, a.box)


def _holds(outer: Box, inner: Box) -> bool:
    x, y = inner.centre
    return outer.x <= x <= outer.x + outer.w and outer.y <= y <= outer.y + outer.h


def _surest_first(reading: PlateReading) -> tuple[float, float, float, float]:
    return -reading.confidence, -reading.detection_score, reading.box.x, reading.box.y
