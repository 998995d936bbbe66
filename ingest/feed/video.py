"""Pictures from a video file or a network camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import cv2
from cv2.typing import MatLike

from alpr.errors import ConfigurationError, Unavailable
from ingest.feed.pictures import Picture, encode

STREAM_SCHEMES = frozenset({"rtsp", "rtsps", "http", "https"})
_TIMEOUT_MS = 10_000
_LONGEST_WAIT_S = 30.0


class Capture(Protocol):
    """What is used of cv2.VideoCapture."""

    def isOpened(self) -> bool:
        """Whether there is a source."""
        ...

    def grab(self) -> bool:
        """Take the next picture; False when there is none."""
        ...

    def retrieve(self) -> tuple[bool, MatLike]:
        """Decode the picture taken."""
        ...

    def get(self, prop: int, /) -> float:
        """A property of the source, by its cv2.CAP_PROP number."""
        ...

    def release(self) -> None:
        """Let go of the source."""
        ...


def open_capture(source: str) -> Capture:
    """Open a file or an address with OpenCV, giving up on a silent address after 10 s."""
    if is_stream(source):
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS,
        ]  # fmt: skip
        capture: Capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
        return capture
    opened: Capture = cv2.VideoCapture(source)
    return opened


def is_stream(source: str) -> bool:
    """Whether `source` is an address rather than a path."""
    return urlsplit(source).scheme.lower() in STREAM_SCHEMES


def without_password(source: str) -> str:
    """An address that can be shown: user and password are left out."""
    parts = urlsplit(source)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query="").geturl()


def from_file(
    path: Path, start: datetime, rate: float | None = None,
    opener: Callable[[str], Capture] = open_capture,
) -> Iterator[Picture]:  # fmt: skip
    """The pictures of a video, captured at `start` plus their place in it.

    `rate` thins them to at most so many a second of video. Raises
    ConfigurationError if the file is no video that OpenCV can read.
    """
    capture = opener(str(path))
    try:
        if not capture.isOpened():
            raise ConfigurationError(f"a video that OpenCV can read was required, got {path}")
        due = 0.0
        while capture.grab():
            at = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if rate is not None and at + 1e-3 < due:
                continue
            got, picture = capture.retrieve()
            if not got:
                break
            due = max(due, at) + (1 / rate if rate else 0)
            yield Picture(encode(picture), start + timedelta(seconds=at))
    finally:
        capture.release()


def from_stream(
    source: str, rate: float | None = None, *,
    clock: Callable[[], datetime], sleep: Callable[[float], None],
    opener: Callable[[str], Capture] = open_capture,
    on_lost: Callable[[float], None] = lambda _: None, attempts: int = 10,
) -> Iterator[Picture]:  # fmt: skip
    """The pictures of a network camera as they come, reconnecting when it falls silent.

    Every picture is taken from the stream, so that none is old; `rate` limits
    how many are used, a second. After `attempts` failures in a row, each
    waited for twice as long as the one before (at most 30 s, told to
    `on_lost`), raises Unavailable.
    """
    failures = 0
    due: datetime | None = None
    while True:
        capture = opener(source)
        try:
            while capture.grab():
                failures = 0
                now = clock()
                if due is not None and now < due:
                    continue
                got, picture = capture.retrieve()
                if not got:
                    break
                if rate is not None:
                    due = now + timedelta(seconds=1 / rate)
                yield Picture(encode(picture), now)
        finally:
            capture.release()
        failures += 1
        if failures >= attempts:
            raise Unavailable(
                f"pictures were required from {without_password(source)}, "
                f"{attempts} attempts got none: check its address, network and password"
            )
        wait = min(_LONGEST_WAIT_S, 0.5 * 2**failures)
        on_lost(wait)
        sleep(wait)
