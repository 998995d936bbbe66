"""The restriction of the Kafka source: a vector of next offsets, and its tracker and coder."""

from __future__ import annotations

import json
from typing import NamedTuple

import apache_beam as beam
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker


class OffsetVector(NamedTuple):
    """Next offset of each partition; `done` marks the part that a deferral split off."""

    offsets: tuple[tuple[int, int], ...]
    done: bool = False


class OffsetVectorCoder(beam.coders.Coder):
    """JSON, so that checkpoints outlive changes of this code."""

    def encode(self, value: OffsetVector) -> bytes:
        """As `[[[partition, offset], …], done]`."""
        return json.dumps([value.offsets, value.done]).encode()

    def decode(self, encoded: bytes) -> OffsetVector:
        """The inverse of `encode`."""
        offsets, done = json.loads(encoded)
        return OffsetVector(tuple((p, o) for p, o in offsets), done)

    def is_deterministic(self) -> bool:
        """Equal vectors have equal bytes."""
        return True


class OffsetVectorTracker(RestrictionTracker):
    """Tracks claimed offsets; only the split at the current position (a deferral) is granted.

    The runner must not split a shard by fractions: it would tear one
    consumer's work in two for nothing. Shards give the parallelism.
    """

    def __init__(self, restriction: OffsetVector) -> None:
        self._offsets = dict(restriction.offsets)
        self._done = restriction.done

    def current_restriction(self) -> OffsetVector:
        """What is still to be read, seen from now."""
        return OffsetVector(tuple(sorted(self._offsets.items())), self._done)

    def try_claim(self, position: tuple[int, int]) -> bool:
        """Claim the messages of (partition, next offset) below that offset.

        False once the remainder has been deferred. Raises ValueError if the
        partition went backwards, which would read messages twice.
        """
        partition, following = position
        if following < self._offsets[partition]:
            raise ValueError(
                f"partition {partition}: claimed up to {following}, "
                f"after {self._offsets[partition]} was reached"
            )
        if self._done:
            return False
        self._offsets[partition] = following
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[OffsetVector, OffsetVector] | None:
        """(what was read, what remains) for a deferral; None for any other split."""
        if fraction_of_remainder or self._done:
            return None
        self._done = True
        offsets = tuple(sorted(self._offsets.items()))
        return OffsetVector(offsets, done=True), OffsetVector(offsets)

    def check_done(self) -> None:
        """A topic has no end: leaving without a deferral would stop the shard for ever."""
        if not self._done:
            raise ValueError("process() left a shard without deferring its remainder")

    def current_progress(self) -> RestrictionProgress:
        """Half way, always: a topic has no end, and 0 or 1 give the runner a division by zero."""
        return RestrictionProgress(fraction=0.5)

    def is_bounded(self) -> bool:
        """Never."""
        return False
