"""One camera's memory between frames, as the bytes of a Beam state cell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from alpr.errors import Corrupt
from alpr.records import Frame
from vision.passes import PassState

_REMEMBERED: Final = timedelta(seconds=60)
"""Longer than any pass stays untold (`PassRules.patience`), so its best frame is known."""


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """Where and when a frame was taken: what a read says of its best frame beyond the picture."""

    sequence: int
    captured_at: datetime
    received_at: datetime
    latitude: float | None
    longitude: float | None
    heading: float | None


class CameraState(msgspec.Struct, frozen=True):
    """Passes in front of the camera, and its latest frames."""

    passes: PassState = PassState()
    sightings: tuple[Sighting, ...] = ()

    def seen(self, frame: Frame) -> CameraState:
        """With this frame among the latest; those older than a minute are let go."""
        sighting = Sighting(
            frame.sequence,
            frame.captured_at,
            frame.received_at,
            frame.latitude,
            frame.longitude,
            frame.heading,
        )
        oldest = frame.captured_at - _REMEMBERED
        kept = tuple(s for s in self.sightings if s.captured_at >= oldest)
        return CameraState(self.passes, (*kept, sighting))

    def sighting(self, sequence: int, captured_at: datetime) -> Sighting:
        """The frame with this sequence number and time. Raises Corrupt if it was let go."""
        for sighting in reversed(self.sightings):
            if (sighting.sequence, sighting.captured_at) == (sequence, captured_at):
                return sighting
        raise Corrupt(f"frame {sequence} of {captured_at} belongs to a pass and is not remembered")


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CameraState)


def dump(state: CameraState) -> bytes:
    """The state as MessagePack."""
    return _encoder.encode(state)


def load(data: bytes | None) -> CameraState:
    """The state from the bytes of `dump`; None is a camera never seen. Raises Corrupt."""
    if data is None:
        return CameraState()
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise Corrupt(f"{len(data)} bytes are not a camera's state: {error}") from error
