"""`python -m tests.support.list_server FILE`: an HTTP server with one list, in its own process.

Prints its port. Each address behaves in a way of its own; `GET /seen` tells the requests as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_seen: list[dict[str, str]] = []


class Handler(BaseHTTPRequestHandler):
    """Serves the file named on the command line."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer by the path."""
        path = self.path.split("?")[0]
        if path != "/seen":
            _seen.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
        data = Path(sys.argv[1]).read_bytes()
        tag = f'"{len(data)}-{hash(data)}"'
        if path == "/seen":
            self._send(200, json.dumps(_seen).encode())
        elif path == "/list":
            if self.headers.get("If-None-Match") == tag:
                self._send(304, b"")
            else:
                self._send(
                    200, data, ETag=tag, **{"Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
                )
        elif path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + 10))
            self.end_headers()
            self.wfile.write(data)
            self.close_connection = True
        elif path == "/chunks-cut":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nABC12\r\n100\r\nA")
            self.close_connection = True
        elif path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            try:
                while True:
                    self.wfile.write(b"ABC123\n" * 1000)
            except OSError:
                return
        elif path == "/slow":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            try:
                for _ in range(200):
                    self.wfile.write(b"A")
                    time.sleep(0.05)
            except OSError:
                return
        elif path.startswith("/to/"):
            self._send(302, b"", Location=self.path.removeprefix("/to/"))
        elif path.startswith("/status/"):
            self._send(int(path.rsplit("/", 1)[1]), b"no")
        else:
            self._send(404, b"no")

    def _send(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
