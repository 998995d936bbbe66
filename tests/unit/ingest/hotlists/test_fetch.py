"""Lists over HTTP from a real server in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alpr.errors import BadInput, ConfigurationError, PlatelakeError, Unavailable
from ingest.hotlists.fetch import Fetched, FetchLimits, fetch, shown

DATA = b"ABC123\nXYZ9\n"


@dataclass
class Server:
    """The server's process, and the file that it serves."""

    process: subprocess.Popen[str]
    base: str
    file: Path

    def seen(self) -> list[dict[str, str]]:
        with urllib.request.urlopen(f"{self.base}/seen") as answer:
            requests: list[dict[str, str]] = json.load(answer)
            return requests


def started(file: Path) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.list_server", str(file)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return Server(process, f"http://127.0.0.1:{int(process.stdout.readline())}", file)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    file = tmp_path / "served"
    file.write_bytes(DATA)
    running = started(file)
    yield running
    running.process.kill()
    running.process.communicate()


def get(address: str, folder: Path, **more: Any) -> Fetched | None:
    usual: dict[str, Any] = {
        "limits": FetchLimits(silence_s=2, total_s=5),
        "sleep": lambda _: None,
    }
    return fetch(address, folder / "came", **usual | more)


def test_a_list_comes_once_and_again_only_when_it_has_changed(
    server: Server, tmp_path: Path
) -> None:
    first = get(f"{server.base}/list", tmp_path)
    assert first is not None
    assert first.path.read_bytes() == DATA
    assert first.last_modified == "Sun, 01 Mar 2026 12:00:00 GMT"
    tags = {"etag": first.etag, "last_modified": first.last_modified}
    assert get(f"{server.base}/list", tmp_path, **tags) is None
    server.file.write_bytes(DATA + b"NEW1\n")
    again = get(f"{server.base}/list", tmp_path, **tags)
    assert again is not None
    assert again.path.read_bytes() == DATA + b"NEW1\n"
    assert server.seen()[-1]["if-none-match"] == first.etag
    assert server.seen()[-1]["if-modified-since"] == first.last_modified


@pytest.mark.parametrize("path", ["short", "chunks-cut", "status/500", "status/429"])
def test_what_is_not_whole_is_tried_again_and_then_unavailable(
    server: Server, tmp_path: Path, path: str
) -> None:
    waits: list[float] = []
    with pytest.raises(Unavailable):
        get(f"{server.base}/{path}?key=s3cret", tmp_path, sleep=waits.append)
    assert len(server.seen()) == 3
    assert waits == [5, 10]
    assert not (tmp_path / "came").exists()


@pytest.mark.parametrize("path", ["status/401", "status/403", "nowhere"])
def test_what_an_operator_must_mend_is_not_tried_again(
    server: Server, tmp_path: Path, path: str
) -> None:
    with pytest.raises(ConfigurationError, match="check the address"):
        get(f"{server.base}/{path}", tmp_path)
    assert len(server.seen()) == 1


def test_an_endless_list_ends_at_the_limit(server: Server, tmp_path: Path) -> None:
    limits = FetchLimits(total_bytes=1 << 20)
    with pytest.raises(BadInput, match="too-large"):
        get(f"{server.base}/endless", tmp_path, limits=limits)


def test_a_server_that_trickles_is_given_up(server: Server, tmp_path: Path) -> None:
    limits = FetchLimits(total_s=0.3, silence_s=2)
    with pytest.raises(Unavailable, match=r"after 0 s|not there"):
        get(f"{server.base}/slow", tmp_path, limits=limits)


def test_redirects_are_followed_a_few_times(server: Server, tmp_path: Path) -> None:
    once = get(f"{server.base}/to/{server.base}/list", tmp_path, token="t0ken")
    assert once is not None
    assert once.path.read_bytes() == DATA
    assert server.seen()[-1]["authorization"] == "Bearer t0ken", "the same server keeps it"
    with pytest.raises(ConfigurationError, match="other addresses"):
        get(f"{server.base}/to//to//to//to//to//to//to/list", tmp_path)


def test_the_token_does_not_follow_to_another_server(server: Server, tmp_path: Path) -> None:
    other = started(server.file)
    try:
        came = get(f"{server.base}/to/{other.base}/list", tmp_path, token="t0ken")
        assert came is not None
        assert server.seen()[-1]["authorization"] == "Bearer t0ken"
        assert "authorization" not in other.seen()[-1]
    finally:
        other.process.kill()
        other.process.communicate()


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/list", "gopher://x/"])
def test_a_redirect_leads_nowhere_else(server: Server, tmp_path: Path, target: str) -> None:
    with pytest.raises(PlatelakeError):
        get(f"{server.base}/to/{target}", tmp_path)
    assert not (tmp_path / "came").exists() or not (tmp_path / "came").read_bytes()


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://host/list", "http://", "https://u:pw@host/list"]
)
def test_only_web_addresses_without_passwords(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        get(address, tmp_path)
    assert "pw" not in str(raised.value)


def test_a_dead_server_is_unavailable_and_its_query_is_not_told(
    server: Server, tmp_path: Path
) -> None:
    server.process.kill()
    server.process.wait()
    with pytest.raises(Unavailable) as raised:
        get(f"{server.base}/list?key=s3cret", tmp_path)
    assert "s3cret" not in str(raised.value)


def test_what_is_shown_of_an_address() -> None:
    assert shown("https://user:pw@host:8443/list?key=1#x") == "https://host:8443/list"
