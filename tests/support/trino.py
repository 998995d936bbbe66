"""Asks Trino over its own protocol, as a person's client would: TLS and a password."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.services.trino import CATALOG, SCHEMA, Trino


class Refused(Exception):
    """What Trino answered instead of rows: its error's name, and its words."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass
class Client:
    """One user of one server."""

    service: Trino
    user: str
    password: str
    headers: Mapping[str, str] = field(default_factory=dict)
    deadline_s: float = 120.0

    @staticmethod
    def of(service: Trino, user: str) -> Client:
        """A user of the installation, with the generated password."""
        return Client(service, user, service.password_file(user).read_text())

    def ask(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of one statement; Refused if Trino gives an error instead."""
        deadline = time.monotonic() + self.deadline_s
        answer = self._call(f"{self.service.endpoint}/v1/statement", statement.encode())
        rows: list[tuple[Any, ...]] = []
        while True:
            if error := answer.get("error"):
                raise Refused(error["errorName"], error["message"])
            rows += [tuple(row) for row in answer.get("data") or ()]
            if "nextUri" not in answer:
                return rows
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end in {self.deadline_s} s: {answer.get('stats')}")
            answer = self._call(answer["nextUri"], None)

    def _call(self, url: str, body: bytes | None) -> dict[str, Any]:
        if not url.startswith("https://"):
            raise ValueError(f"a password goes over TLS only, not to {url}")
        word = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {
            "Authorization": f"Basic {word}",
            "X-Trino-User": self.user,
            "X-Trino-Catalog": CATALOG,
            "X-Trino-Schema": SCHEMA,
            # Else times come rounded to milliseconds, for clients of long ago.
            "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME",
            **self.headers,
        }
        request = urllib.request.Request(url, data=body, headers=headers)
        trust = ssl.create_default_context(cafile=str(self.service.certificate_file))
        try:
            with urllib.request.urlopen(request, timeout=30, context=trust) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(f"HTTP {error.code}", error.read(500).decode()) from None
