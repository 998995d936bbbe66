"""Batches of messages to batches of records, bad ones aside. Shared by match and land."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from alpr.errors import BadInput, Refused
from alpr.records import DeadLetter
from beam_jobs.dead_letters import DeadLetterBudget, dead_letter
from beam_jobs.io.coder import BatchCoder
from beam_jobs.io.source import Batch

DEAD: Final = "dead"
"""Tag of the output that holds DeadLetters."""

RecordT = TypeVar("RecordT")


@dataclass(frozen=True)
class Records(Generic[RecordT]):
    """The usable records of one Batch, with their offsets; covers [first, next) all the same."""

    topic: str
    partition: int
    first: int
    next: int
    offsets: list[int]
    timestamps_ms: list[int]
    records: list[RecordT]
    size: int = 0
    """Bytes of the messages that gave it."""

    def estimated_bytes(self) -> int:
        """The size of its messages."""
        return self.size


beam.coders.registry.register_coder(Records, BatchCoder)


class DecodeRecords(beam.DoFn):
    """Batch in; Records out, even when empty, since their offsets count as done; DeadLetters aside.

    Raises TooManyDeadLetters above `limit`, a share.
    """

    def __init__(
        self,
        job: str,
        decode: Callable[[bytes | None], Any],
        limit: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._job = job
        self._decode = decode
        self._limit = limit
        self._now = now
        self._budget: DeadLetterBudget | None = None

    def setup(self) -> None:
        """One budget per worker."""
        self._budget = DeadLetterBudget(self._limit)

    def process(self, element: Batch) -> Iterator[Any]:
        """Decode every message of the batch."""
        decode = self._decode
        good: list[int] = []
        records: list[Any] = []
        dead: list[DeadLetter] = []
        faults: list[str] = []
        for index, value in enumerate(element.values):
            try:
                records.append(decode(value))
            except BadInput as error:
                dead.append(dead_letter(self._job, element, index, error, self._now()))
                if not isinstance(error, Refused):
                    faults.append(error.reason)
            else:
                good.append(index)
        for letter in dead:
            yield TaggedOutput(DEAD, letter)
        if self._budget is not None:
            self._budget.spend(len(element.values), faults)
        whole = not dead
        yield Records(
            topic=element.topic,
            partition=element.partition,
            first=element.first,
            next=element.next,
            offsets=element.offsets if whole else [element.offsets[i] for i in good],
            timestamps_ms=element.timestamps_ms
            if whole
            else [element.timestamps_ms[i] for i in good],
            records=records,
            size=element.estimated_bytes(),
        )


def decode_records(job: str, decode: Callable[[bytes | None], Any], limit: float) -> Any:
    """DecodeRecords as a transform with outputs `records` and DEAD, both of known types."""
    step = beam.ParDo(DecodeRecords(job, decode, limit))
    return step.with_output_types(Records, **{DEAD: DeadLetter}).with_outputs(DEAD, main="records")
