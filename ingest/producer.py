"""The one way into Kafka: acknowledged by all replicas, idempotent, and loud when it fails.

librdkafka sends, in threads of its own outside Python: a message costs a quarter of the
processor time that the pure Python client takes (docs/performance.md), and does not wait
for this process's other threads.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Protocol

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from alpr.errors import BadInput, PlatelakeError, Unavailable
from ingest.codecs import MAX_FRAME_BYTES

CLIENT_LOG: Final = logging.getLogger("librdkafka")
"""What the client has to say; heard where logging is set up, as in the jobs."""
CLIENT_LOG.addHandler(logging.NullHandler())

_MAX_REQUEST: Final = 2 * MAX_FRAME_BYTES + 1024 * 1024
_TOO_LARGE: Final = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_CONNECT_S: Final = 10.0
_ROOM_S: Final = 0.01
_CLOSE_S: Final = 10.0


class Sender(Protocol):
    """The part of Producer that those who send use; tests give their own."""

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        """Queue one message."""

    def flush(self, timeout_s: float = 120.0) -> None:
        """Wait for all acknowledgements."""


class Producer:
    """Sends messages; `flush` returns only when every one of them is acknowledged.

    Acknowledged means written by all in-sync replicas (`acks=all`), in order,
    once per producer session (`enable.idempotence`). A key goes to the partition
    that Kafka's own clients choose for it.

    Raises Unavailable if no broker answers.
    """

    def __init__(self, bootstrap: str, *, client_id: str = "platelake", linger_ms: int = 5) -> None:
        self._failure: PlatelakeError | None = None
        self._kafka = confluent_kafka.Producer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": client_id,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "batch.size": 256 * 1024,
                "message.max.bytes": _MAX_REQUEST,
                "queue.buffering.max.kbytes": 4 * _MAX_REQUEST // 1024,
                "delivery.timeout.ms": 120_000,
                "reconnect.backoff.max.ms": 1000,
                "enable.metrics.push": False,
                "on_delivery": self._delivered,
                "delivery.report.only.error": True,
            },
            logger=CLIENT_LOG,
        )
        try:
            self._kafka.list_topics(timeout=_CONNECT_S)
        except KafkaException as error:
            raise Unavailable(
                f"a Kafka broker was required at {bootstrap}, none answered ({error}): "
                "start it with `platelake up`"
            ) from error

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        """Queue one message; waits while the queue is full.

        Raises BadInput at once if it is too large to be sent; what became of earlier
        messages is raised here too, as by `flush`.
        """
        while True:
            self._raise_failure()
            try:
                self._kafka.produce(
                    topic,
                    value,
                    key,
                    -1 if partition is None else partition,
                    headers=list(headers),
                )
            except BufferError:
                self._kafka.poll(_ROOM_S)  # at the latest when messages time out there is room
            except KafkaException as error:
                raise _failure(error.args[0]) from error
            else:
                self._kafka.poll(0)
                return

    def flush(self, timeout_s: float = 120.0) -> None:
        """Wait for all acknowledgements.

        Raises BadInput if the broker refused a message as too large, Unavailable
        if one could not be delivered.
        """
        waiting = self._kafka.flush(timeout_s)
        self._raise_failure()
        if waiting:
            raise Unavailable(f"{waiting} messages were not acknowledged in {timeout_s} s")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        del message
        if error is not None and self._failure is None:
            self._failure = _failure(error)

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def close(self) -> None:
        """Let the connections go; what was not flushed may be lost, so flush first."""
        self._kafka.flush(_CLOSE_S)

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self.close()


def _failure(error: KafkaError) -> PlatelakeError:
    if error.code() in _TOO_LARGE:
        return BadInput("message-too-large", error.str())
    return Unavailable(f"a message was not delivered: {error}")
