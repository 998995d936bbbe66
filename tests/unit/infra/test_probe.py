from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from infra.services.probe import http_ok, kafka_brokers, tcp_open


@contextmanager
def answering(reply: Callable[[bytes], bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers one connection and hangs up."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                requests.append(connection.recv(4096))
                connection.sendall(reply(requests[0]))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], requests
        thread.join()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def metadata(brokers: int, correlation: int = 1) -> bytes:
    body = struct.pack(">ii", correlation, brokers) + b"\0" * 20
    return struct.pack(">i", len(body)) + body


def test_counts_the_brokers_and_asks_as_the_protocol_says() -> None:
    with answering(lambda _: metadata(3)) as (port, requests):
        assert kafka_brokers(port) == 3
    (request,) = requests
    size, key, version, correlation, length = struct.unpack(">ihhih", request[:14])
    assert size == len(request) - 4
    assert (key, version, correlation) == (3, 1, 1)
    assert request[14 : 14 + length] == b"platelake"
    assert request[14 + length :] == struct.pack(">i", 0)  # no topic


def test_a_broker_that_is_not_in_service_yet_lists_none() -> None:
    with answering(lambda _: metadata(0)) as (port, _):
        assert kafka_brokers(port) == 0


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0\0",
        struct.pack(">i", 200) + b"short",
        struct.pack(">i", -1),
        struct.pack(">i", 2**31 - 1),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        metadata(3, correlation=7),
    ],
)
def test_what_is_not_a_broker_counts_as_none(reply: bytes) -> None:
    with answering(lambda _: reply) as (port, _):
        assert kafka_brokers(port) == 0


def test_nobody_there() -> None:
    port = closed_port()
    assert kafka_brokers(port) == 0
    assert not tcp_open(port)
    assert not http_ok(port, "/")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", False),
        (b"nonsense\r\n", False),
    ],
)
def test_http(reply: bytes, expected: bool) -> None:
    with answering(lambda _: reply) as (port, requests):
        assert http_ok(port, "/health") is expected
    assert requests[0].startswith(b"GET /health ")
