"""What becomes of a message that cannot be used: out of the way, never out of sight.

It goes to the topic `dead-letters` with its reason and origin, is counted, and
when too large a share of what comes is bad the job fails loudly: then not the
messages are wrong but the job, a schema or a sender, and going on would move
everything into the dead letters.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any, Final

import apache_beam as beam

from alpr.errors import BadInput, ConfigurationError, PlatelakeError, Refused
from alpr.records import DeadLetter
from beam_jobs.io.sink import Outgoing, WriteToKafka
from beam_jobs.io.source import Batch
from beam_jobs.metrics import job_metrics
from ingest.codecs import MAX_FRAME_BYTES, encode
from ingest.dead_letters import letter_id
from ingest.topics import DEAD_LETTERS

MAX_KEPT_BYTES: Final = MAX_FRAME_BYTES
"""A larger message is not kept in its dead letter; its size and origin are."""


class TooManyDeadLetters(PlatelakeError):
    """More messages are bad than the job's limit allows: stop and look at the dead letters."""


class DeadLetterBudget:
    """The share of bad messages among the last `window`; judged once `minimum` have been seen."""

    def __init__(self, max_share: float, window: int = 1000, minimum: int = 50) -> None:
        if not 0 < max_share <= 1:
            raise ConfigurationError(
                f"the dead-letter limit must be a share above 0 and up to 1, not {max_share}"
            )
        self._max_share = max_share
        self._minimum = minimum
        self._window = window
        self._recent: deque[tuple[int, int]] = deque()
        self._seen = self._bad = 0

    def spend(self, seen: int, reasons: list[str]) -> None:
        """Of the next `seen` messages these were bad. Raises TooManyDeadLetters above the limit."""
        self._recent.append((seen, len(reasons)))
        self._seen += seen
        self._bad += len(reasons)
        while self._recent and self._seen - self._recent[0][0] >= self._window:
            old_seen, old_bad = self._recent.popleft()
            self._seen -= old_seen
            self._bad -= old_bad
        if reasons and self._seen >= self._minimum and self._bad > self._max_share * self._seen:
            raise TooManyDeadLetters(
                f"{self._bad} of the last {self._seen} messages could not be used, the limit is "
                f"{self._max_share:.1%}; the latest reasons: {', '.join(sorted(set(reasons)))}. "
                "Look at them with `platelake dead-letters list`; raise --dead_letter_limit only "
                "if they are what you expect"
            )


def dead_letter(job: str, batch: Batch, index: int, error: BadInput, at: datetime) -> DeadLetter:
    """The dead letter of the batch's message at `index`."""
    value, key = batch.values[index], batch.keys[index]
    fits = value is not None and len(value) <= MAX_KEPT_BYTES
    kept = value if fits and not isinstance(error, Refused) else None
    return DeadLetter(
        reason=error.reason,
        detail=error.detail[:1000],
        job=job,
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.offsets[index],
        at=at,
        key=key,
        value=kept,
        value_size=len(value) if value is not None else 0,
        headers=tuple((name, raw) for name, raw in batch.headers[index] if raw is not None),
    )


def letter_key(letter: DeadLetter) -> bytes:
    """Identity of a dead letter: where the message lies. A replay sends the same one again."""
    return letter_id(letter).encode()


class EncodeDeadLetters(beam.DoFn):
    """DeadLetter in, Outgoing out, counted by reason."""

    def __init__(self, job: str) -> None:
        self._job = job

    def process(self, element: DeadLetter) -> list[Outgoing]:
        """One message a letter."""
        job_metrics(self._job).count("dead_letters", reason=element.reason)
        return [Outgoing(letter_key(element), encode(element))]


def send_dead_letters(letters: Any, bootstrap: str, job: str) -> None:
    """The end of every job's PCollection of DeadLetters: encoded, counted, sent."""
    _ = (
        letters
        | "EncodeDead" >> beam.ParDo(EncodeDeadLetters(job))
        | "DeadLetters" >> beam.ParDo(WriteToKafka(bootstrap, DEAD_LETTERS, job))
    )
