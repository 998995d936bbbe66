"""What the cameras really showed, to hold against what the platform read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from alpr.records import Name, Plate, State
from ingest.simulator.looks import Light


class Showing(msgspec.Struct, frozen=True):
    """One vehicle's plate in one picture."""

    sequence: int
    """The picture's number at its camera."""
    captured_at: datetime
    corners: tuple[tuple[float, float], ...]
    """Pixels of the plate's corners, from top left, clockwise."""
    width: float
    """Pixels from the plate's left to its right edge."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One pass: a vehicle whose whole plate was in at least one picture of one camera."""

    pass_id: str
    """agency/camera/number, the number counting the vehicles at that camera."""
    agency: Name
    camera: Name
    plate: Plate
    state: State
    light: Light
    first_seen: datetime
    last_seen: datetime
    first_sequence: int
    last_sequence: int
    frames: int
    plate_width: float
    """Pixels, where the plate is widest."""
    showings: tuple[Showing, ...]


def write_truth(path: Path, passes: Iterable[Shown]) -> int:
    """Write one JSON line a pass; return how many."""
    encoder = msgspec.json.Encoder()
    count = 0
    with path.open("wb") as file:
        for shown in passes:
            file.write(encoder.encode(shown) + b"\n")
            count += 1
    return count


def read_truth(path: Path) -> Iterator[Shown]:
    """The passes of a file that `write_truth` wrote."""
    decoder = msgspec.json.Decoder(Shown)
    with path.open("rb") as file:
        for line in file:
            yield decoder.decode(line)
