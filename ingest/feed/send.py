"""Sends pictures and reads on, counting what is refused."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import msgspec

from alpr.errors import BadInput, ConfigurationError
from alpr.records import CameraKind, Frame, Read
from ingest.codecs import decode_read, encode, encode_frame, message_key
from ingest.feed.pictures import Picture
from ingest.topics import FRAMES, READS


class Sender(Protocol):
    """Where messages go; `ingest.producer.Producer` is one."""

    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Queue one message. Raises BadInput if it is too large."""
        ...


@dataclass(frozen=True)
class Source:
    """The camera that pictures are said to come from."""

    agency: str
    camera: str
    kind: CameraKind = "fixed"
    latitude: float | None = None
    longitude: float | None = None
    heading: float | None = None


def parse_camera(name: str) -> tuple[str, str]:
    """ "agency/camera" as its two parts. Raises ConfigurationError."""
    agency, slash, camera = name.partition("/")
    if not (slash and agency and camera) or "/" in camera:
        raise ConfigurationError(f'a camera is named "agency/camera", got "{name}"')
    return agency, camera


@dataclass
class Tally:
    """What became of the input."""

    sent: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """How many were refused, by reason."""


def pace(
    rate: float | None, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Callable[[], None]:
    """A function that, called before each message, keeps them to `rate` a second (None: no limit).

    `clock` gives monotonic seconds. Time lost is made up, so that the mean holds.
    """
    begin: list[float] = []
    count = 0

    def wait() -> None:
        nonlocal count
        if rate is None:
            return
        now = clock()
        if not begin:
            begin.append(now)
        ahead = begin[0] + count / rate - now
        count += 1
        if ahead > 0.002:  # shorter waits are made up for by the next
            sleep(ahead)

    return wait


def send_pictures(
    pictures: Iterable[Picture | BadInput], source: Source, to: Sender, tally: Tally, *,
    clock: Callable[[], datetime], wait: Callable[[], None],
    on_refused: Callable[[BadInput], None], first_sequence: int = 0,
) -> Iterator[None]:  # fmt: skip
    """Send each picture as one frame, in order; yield after each.

    A picture that is refused is counted and told to `on_refused`, and the next
    one goes on.
    """
    for picture in pictures:
        wait()
        try:
            if isinstance(picture, BadInput):
                raise picture
            now = clock()
            frame = Frame(
                agency=source.agency,
                camera=source.camera,
                camera_kind=source.kind,
                captured_at=picture.captured_at or now,
                received_at=now,
                sequence=first_sequence + tally.sent,
                latitude=source.latitude,
                longitude=source.longitude,
                heading=source.heading,
                jpeg=picture.jpeg,
            )
            key, value, headers = encode_frame(frame)
            to.send(FRAMES, key=key, value=value, headers=headers)
            tally.sent += 1
        except BadInput as error:
            tally.refused[error.reason] += 1
            on_refused(error)
        yield


def open_lines(path: Path) -> BinaryIO:
    """A file of lines, unpacked if its name ends in .gz."""
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def send_reads(
    path: Path, to: Sender, tally: Tally, *, wait: Callable[[], None],
    on_refused: Callable[[BadInput], None], clock: Callable[[], datetime] | None = None,
    admit: Callable[[Read], object] | None = None,
) -> Iterator[int]:  # fmt: skip
    """Send each line of a file of reads; yield its length in bytes.

    With a `clock`, `received_at` becomes the time of sending; without one the
    file's own stays. A line that is no valid read, or for which `admit` raises
    BadInput (it is past its retention), is not sent: it is counted and told to
    `on_refused`, with its number.
    """
    with open_lines(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            wait()
            try:
                read: Read = decode_read(line)
                if admit is not None:
                    admit(read)
                value = line.rstrip()
                if clock is not None:
                    read = msgspec.structs.replace(read, received_at=clock())
                    value = encode(read)
                to.send(READS, key=message_key(read.agency, read.camera), value=value)
                tally.sent += 1
            except BadInput as error:
                tally.refused[error.reason] += 1
                on_refused(BadInput(error.reason, f"line {number}: {error.detail}"))
            yield len(line)
