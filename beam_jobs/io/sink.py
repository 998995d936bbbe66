"""Beam into Kafka: messages go out at once, and a bundle ends only when all are acknowledged.

At least once: a bundle that fails after sending is replayed and sends again.
What is sent has a deterministic id, so consumers drop the second copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import apache_beam as beam

from alpr.errors import BadInput
from beam_jobs.metrics import job_metrics
from ingest.producer import Producer

_LINGER_MS: Final = 1
"""A hit waits no longer for company: hits are few, and waited for."""


class Outgoing(NamedTuple):
    """One message to be sent."""

    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class WriteToKafka(beam.DoFn):
    """Outgoing in, nothing out."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        job: str,
        connect: Callable[..., Any] = Producer,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._job = job
        self._connect = connect
        self._producer: Any = None
        self._sent = 0

    def setup(self) -> None:
        """Connect once per worker."""
        self._producer = self._connect(
            self._bootstrap, client_id=f"platelake-{self._job}", linger_ms=_LINGER_MS
        )

    def start_bundle(self) -> None:
        """Nothing is counted until it is acknowledged."""
        self._sent = 0

    def process(self, element: Outgoing) -> None:
        """Hand the message to the client, which sends it in the background."""
        try:
            self._producer.send(
                self._topic, key=element.key, value=element.value, headers=element.headers
            )
        except BadInput as error:
            # Records are bounded before they get here: a fault of the job, not of its input.
            raise ValueError(f"a {self._topic} message cannot be sent: {error}") from error
        self._sent += 1

    def finish_bundle(self) -> None:
        """Wait for all acknowledgements; raises Unavailable, which fails the bundle."""
        if self._sent:
            self._producer.flush()
            job_metrics(self._job).count("records_out", self._sent)

    def teardown(self) -> None:
        """Disconnect."""
        if self._producer is not None:
            self._producer.close()
