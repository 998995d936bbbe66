"""The coder of micro-batches, for the one thing a fused stage uses it for: their size.

A worker keeps the mean size of what passes between its steps, from a sample
that begins with every element and thins out with their number. Micro-batches
are few and large, so nearly each is sampled, and Beam's own coder would pickle
it whole, record by record, to know its length: measured, a third of a job's time.
"""

from __future__ import annotations

from typing import Any, Protocol

import apache_beam as beam
from apache_beam.coders import PickleCoder


class Sized(Protocol):
    """What can tell its size without being encoded."""

    def estimated_bytes(self) -> int:
        """About how many bytes it holds."""


class BatchCoder(beam.coders.Coder):
    """Pickle, if it must be; sizes are the element's own estimate."""

    def __init__(self) -> None:
        self._pickle = PickleCoder()

    def encode(self, value: Sized) -> bytes:
        """As pickle has it: batches stay in their stage, nothing stored hangs on this."""
        return bytes(self._pickle.encode(value))

    def decode(self, encoded: bytes) -> Any:
        """The inverse of `encode`."""
        return self._pickle.decode(encoded)

    def estimate_size(self, value: Sized) -> int:
        """Bytes, about."""
        return value.estimated_bytes()
