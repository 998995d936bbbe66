"""One camera's memory between frames, as the bytes of a Beam state cell."""

from __future__ import annotations

from datetime import datetime

import msgspec

from alpr.errors import Corrupt
from alpr.records import Frame
from vision.passes import PassState


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """Where and when a frame was taken: what a read says of its best frame beyond the picture."""

    sequence: int
    captured_at: datetime
    received_at: datetime
    latitude: float | None
    longitude: float | None
    heading: float | None


class CameraState(msgspec.Struct, frozen=True):
    """Passes in front of the camera, and the sightings of their best frames."""

    passes: PassState = PassState()
    sightings: tuple[Sighting, ...] = ()

    def seen(self, frame: Frame) -> CameraState:
        """With this frame among the sightings: it may become a pass's best."""
        sighting = Sighting(
            frame.sequence,
            frame.captured_at,
            frame.received_at,
            frame.latitude,
            frame.longitude,
            frame.heading,
        )
        return CameraState(self.passes, (*self.sightings, sighting))

    def trimmed(self) -> CameraState:
        """With no more sightings than passes still to be told will ask for."""
        asked = {
            (track.best.sequence, track.best.captured_at)
            for track in self.passes.tracks
            if not track.reported
        }
        kept = {key: s for s in self.sightings if (key := (s.sequence, s.captured_at)) in asked}
        return CameraState(self.passes, tuple(kept.values()))

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
