"""Health questions that a service can answer only when it works, with nothing but a socket."""

from __future__ import annotations

import http.client
import json
import socket
import struct

from infra.preflight import LOOPBACK

_TIMEOUT_S = 2.0
_METADATA, _METADATA_VERSION = 3, 1
_MAX_ANSWER_BYTES = 1 << 20


def tcp_open(port: int) -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((LOOPBACK, port), _TIMEOUT_S):
            return True
    except OSError:
        return False


def http_ok(port: int, path: str) -> bool:
    """Whether GET `path` is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def trino_started(port: int) -> bool:
    """Whether the Trino server on the port says that it has started and takes queries."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/v1/info")
        response = connection.getresponse()
        answer = json.loads(response.read(_MAX_ANSWER_BYTES))
        return response.status == http.HTTPStatus.OK and answer.get("starting") is False
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return False
    finally:
        connection.close()


def kafka_brokers(port: int) -> int:
    """How many brokers the one on this port knows to be in service; 0 when it does not answer.

    A Metadata request, version 1, for no topic (Kafka protocol guide): a broker lists itself
    only once it has caught up with the controller and is unfenced.
    """
    client = b"platelake"
    body = struct.pack(">hhih", _METADATA, _METADATA_VERSION, 1, len(client)) + client
    body += struct.pack(">i", 0)
    try:
        with socket.create_connection((LOOPBACK, port), _TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            (size,) = struct.unpack(">i", _exactly(connection, 4))
            if not 12 <= size <= _MAX_ANSWER_BYTES:
                return 0
            correlation, brokers = struct.unpack(">ii", _exactly(connection, size)[:8])
            return int(brokers) if correlation == 1 else 0
    except (OSError, EOFError):
        return 0


def _exactly(connection: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            raise EOFError
        received += part
    return received
