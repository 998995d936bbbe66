"""Lists over HTTP(S): asked for only if they have changed, within limits, whole or not at all."""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from alpr.errors import BadInput, ConfigurationError, PlatelakeError, Unavailable

_CHUNK: Final = 1 << 20
_REDIRECTS: Final = 5
_ATTEMPTS: Final = 3


@dataclass(frozen=True)
class FetchLimits:
    """Bytes and seconds."""

    total_bytes: int = 4 << 30
    total_s: float = 1800.0
    silence_s: float = 30.0
    """How long the server may say nothing."""
    wait_s: float = 5.0
    """Before the second attempt; twice as long before the third."""


@dataclass(frozen=True)
class Fetched:
    """What came, and by what the server knows it again."""

    path: Path
    etag: str | None
    last_modified: str | None


def is_address(text: str) -> bool:
    """Whether this is an address rather than a path."""
    return "://" in text


def shown(address: str) -> str:
    """The address without what may be a secret in it: user, query, fragment."""
    parts = urllib.parse.urlsplit(address)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return urllib.parse.urlunsplit((parts.scheme, host + port, parts.path, "", ""))


def fetch(
    address: str,
    into: Path,
    *,
    etag: str | None = None,
    last_modified: str | None = None,
    token: str | None = None,
    limits: FetchLimits = FetchLimits(),
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched | None:
    """Fetch the address into the file `into`; None if it has not changed since the tags given.

    `token` goes as `Authorization: Bearer`, never to another host. Raises ConfigurationError
    (address, 401, 403, 404), BadInput (`too-large`), Unavailable (everything that may pass).
    """
    check_address(address)
    headers = {"User-Agent": "platelake", "Accept-Encoding": "identity"}
    if etag is not None:
        headers["If-None-Match"] = etag
    if last_modified is not None:
        headers["If-Modified-Since"] = last_modified
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _once(address, headers, into, limits, clock)
        except Unavailable:
            into.unlink(missing_ok=True)
            if attempt == _ATTEMPTS:
                raise
            sleep(limits.wait_s * attempt)
    raise AssertionError  # the loop returns or raises


def check_address(address: str) -> None:
    """Raises ConfigurationError unless this is an HTTP(S) address without a password in it."""
    try:
        parts = urllib.parse.urlsplit(address)
        _ = parts.port
    except ValueError:
        raise ConfigurationError("an address http(s)://host/path was required") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(
            f"an address http(s)://host/path was required, the scheme {parts.scheme!r} came"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "a user or password in an address ends up in logs: give a token file instead"
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Few, never to plain HTTP or another scheme, and without the token to another host."""

    max_redirections = _REDIRECTS
    max_repeats = 2

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        check_address(newurl)
        old, new = urllib.parse.urlsplit(req.full_url), urllib.parse.urlsplit(newurl)
        if old.scheme == "https" and new.scheme != "https":
            raise ConfigurationError(
                f"{shown(req.full_url)} leads from HTTPS to plain HTTP: give the address it means"
            )
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and (old.scheme, old.netloc) != (new.scheme, new.netloc):
            made.remove_header("Authorization")
        return made


def _opener() -> urllib.request.OpenerDirector:
    # No handlers for file:, ftp: and data: addresses, which the usual opener has.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _once(
    address: str,
    headers: dict[str, str],
    into: Path,
    limits: FetchLimits,
    clock: Callable[[], float],
) -> Fetched | None:
    name, begin = shown(address), clock()
    request = urllib.request.Request(address, headers=headers)  # noqa: S310  (checked above)
    try:
        with _opener().open(request, timeout=limits.silence_s) as response, into.open("wb") as out:
            _receive(response, out, name, limits, begin, clock)
            return Fetched(into, response.headers.get("ETag"), response.headers["Last-Modified"])
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.NOT_MODIFIED:
            return None
        raise _refusal(error.code, name) from None
    except (OSError, http.client.HTTPException) as error:
        # Its text is not told: it may hold the address with its query.
        raise Unavailable(f"{name} cannot be fetched: {type(error).__name__}") from None


def _receive(
    response: Any,
    out: IO[bytes],
    name: str,
    limits: FetchLimits,
    begin: float,
    clock: Callable[[], float],
) -> None:
    announced, came = response.headers.get("Content-Length"), 0
    while chunk := response.read1(_CHUNK):
        came += len(chunk)
        if came > limits.total_bytes:
            raise BadInput(
                "too-large", f"{name}: up to {limits.total_bytes >> 20} MiB were required"
            )
        if clock() - begin > limits.total_s:
            raise Unavailable(f"{name} was not there after {limits.total_s:.0f} s: try again")
        out.write(chunk)
    if announced is not None and announced.isdigit() and came != int(announced):
        raise Unavailable(f"{name}: {announced} bytes were announced, {came} came: try again")


def _refusal(status: int, name: str) -> PlatelakeError:
    if status in (401, 403, 404, 410):
        return ConfigurationError(
            f"{name} answered {status}: check the address, and the token if it needs one"
        )
    if 300 <= status < 400:
        return ConfigurationError(f"{name} leads through more than {_REDIRECTS} other addresses")
    return Unavailable(f"{name} answered {status}: try again later")
