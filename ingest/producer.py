"""The one way into Kafka: acknowledged by all replicas, idempotent, and loud when it fails."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

import kafka
from kafka.errors import KafkaError

from alpr.errors import BadInput, Unavailable
from ingest.codecs import MAX_FRAME_BYTES

_MAX_REQUEST = 2 * MAX_FRAME_BYTES + 1024 * 1024


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
    once per producer session (`enable_idempotence`).
    """

    def __init__(self, bootstrap: str, *, client_id: str = "platelake", linger_ms: int = 5) -> None:
        try:
            self._kafka = kafka.KafkaProducer(
                bootstrap_servers=bootstrap,
                client_id=client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=linger_ms,
                batch_size=256 * 1024,
                max_request_size=_MAX_REQUEST,
            )
        except KafkaError as error:
            raise Unavailable(
                f"a Kafka broker was required at {bootstrap}, none answered ({error}): "
                "start it with `platelake up`"
            ) from error
        self._pending: list[Any] = []

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        """Queue one message.

        Raises BadInput at once if it is too large to be sent, Unavailable if no
        broker tells of the topic.
        """
        try:
            future = self._kafka.send(
                topic, key=key, value=value, headers=list(headers), partition=partition
            )
        except kafka.errors.MessageSizeTooLargeError as error:
            raise BadInput("message-too-large", str(error)) from error
        except KafkaError as error:
            raise Unavailable(f"a message for {topic} cannot be sent: {error}") from error
        self._pending.append(future)
        # Acknowledged ones are let go as we pass, so that a long feed stays small.
        if len(self._pending) >= 4096:
            self._settle(wait=False)

    def flush(self, timeout_s: float = 120.0) -> None:
        """Wait for all acknowledgements.

        Raises BadInput if the broker refused a message as too large, Unavailable
        if one could not be delivered.
        """
        try:
            self._kafka.flush(timeout=timeout_s)
        except KafkaError as error:
            raise Unavailable(f"messages were not acknowledged in {timeout_s} s") from error
        self._settle(wait=True)

    def _settle(self, *, wait: bool) -> None:
        waiting = []
        for future in self._pending:
            if not future.is_done and not wait:
                waiting.append(future)
                continue
            try:
                future.get(timeout=30)
            except kafka.errors.MessageSizeTooLargeError as error:
                self._pending = []
                raise BadInput("message-too-large", str(error)) from error
            except KafkaError as error:
                self._pending = []
                raise Unavailable(f"a message was not delivered: {error}") from error
        self._pending = waiting

    def close(self) -> None:
        """Close the connections; what was not flushed is lost, so flush first."""
        self._kafka.close(timeout=10)

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
