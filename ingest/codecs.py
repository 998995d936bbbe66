"""Records to messages and back.

Every topic but `frames` carries JSON (RFC 8259), one record a message. On
`frames` the value is the JPEG and the record's other fields are headers, so
that no broker or consumer has to look into a picture to route it.

Decoding is where bad messages are found: `decode_*` raise `BadInput` with a
stable reason, and never anything else, whatever the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec

from alpr.errors import BadInput
from alpr.records import SCHEMA_VERSION, DeadLetter, Frame, Hit, HotlistChange, Read

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""Largest JPEG accepted; a 4096x2160 picture of a good camera stays below 5 MiB."""

MAX_CLOCK_AHEAD: Final = timedelta(minutes=5)
"""How far a capture may lie after its receipt before the camera's clock is called wrong."""

EARLIEST_YEAR: Final = 2000
LATEST_YEAR: Final = 2199
"""Times beyond are a fault of the sender; near the year 9999 even adding a second fails."""

_VALUE: Final = re.compile(r"(Invalid enum value) .*?( - at `\$[^`]*`$|$)")

Headers = Sequence[tuple[str, bytes | None]]
"""A header of Kafka may come without a value; it counts as not there."""
RecordT = TypeVar("RecordT", Read, Hit, HotlistChange, DeadLetter)

_encoder = msgspec.json.Encoder()
_reads = msgspec.json.Decoder(Read)
_hits = msgspec.json.Decoder(Hit)
_changes = msgspec.json.Decoder(HotlistChange)
_dead_letters = msgspec.json.Decoder(DeadLetter)


class _Versioned(msgspec.Struct):
    schema_version: int = 1


_versions = msgspec.json.Decoder(_Versioned)


def message_key(agency: str, camera: str) -> bytes:
    """Key of frames and reads: one camera's messages stay in order in one partition."""
    return f"{agency}/{camera}".encode()


def encode(record: Read | Hit | HotlistChange | DeadLetter) -> bytes:
    """The record as JSON; times as RFC 3339 in UTC, bytes as base64."""
    return _encoder.encode(record)


def decode_read(value: bytes | None) -> Read:
    """A read from its message. Raises BadInput."""
    read = _decode(_reads, value)
    check_moment(read.captured_at, read.received_at)
    check_place(read.latitude, read.longitude)
    return read


def decode_hit(value: bytes | None) -> Hit:
    """A hit from its message. Raises BadInput."""
    hit = _decode(_hits, value)
    check_year("captured_at", hit.captured_at)
    check_year("matched_at", hit.matched_at)
    check_place(hit.latitude, hit.longitude)
    return hit


def decode_change(value: bytes | None) -> HotlistChange:
    """A hot-list change from its message. Raises BadInput."""
    return _decode(_changes, value)


def decode_dead_letter(value: bytes | None) -> DeadLetter:
    """A dead letter from its message. Raises BadInput."""
    return _decode(_dead_letters, value)


def _decode(decoder: msgspec.json.Decoder[RecordT], value: bytes | None) -> RecordT:
    if value is None:
        raise BadInput("empty-message", "a JSON object was required, an empty message came")
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        version = _version_of(value)
        if version is not None and not 1 <= version <= SCHEMA_VERSION:
            raise BadInput(
                "schema-version",
                f"schema_version up to {SCHEMA_VERSION} is understood, {version} came: "
                "upgrade this job before its producers",
            ) from None
        reason = "missing-field" if "missing required field" in str(error) else "invalid-field"
        raise BadInput(reason, _first_line(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput("not-json", _first_line(error)) from None


def _first_line(error: Exception) -> str:
    if not str(error):
        return type(error).__name__
    # What was in the wrong place may be a plate: the message says where, never what.
    return _VALUE.sub(r"\1\2", str(error).splitlines()[0])[:200]


def _version_of(value: bytes) -> int | None:
    try:
        return _versions.decode(value).schema_version
    except msgspec.DecodeError:
        return None


def check_moment(captured_at: datetime, received_at: datetime) -> None:
    """Refuse a capture after its receipt or before there were such systems. Raises BadInput."""
    if captured_at - received_at > MAX_CLOCK_AHEAD:
        raise BadInput(
            "impossible-time",
            f"captured_at must not lie more than {MAX_CLOCK_AHEAD} after received_at: "
            "set the camera's clock",
        )
    check_year("captured_at", captured_at)
    check_year("received_at", received_at)


def check_year(name: str, moment: datetime) -> None:
    """Refuse a time that no such system can have told. Raises BadInput."""
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise BadInput(
            "impossible-time", f"{name} must lie in the years {EARLIEST_YEAR} to {LATEST_YEAR}"
        )


def check_place(latitude: float | None, longitude: float | None) -> None:
    """Refuse half a place, and 0/0, which receivers report without a fix. Raises BadInput."""
    if (latitude is None) != (longitude is None):
        raise BadInput("impossible-place", "latitude and longitude must come together or not")
    if latitude == 0.0 and longitude == 0.0:
        raise BadInput("impossible-place", "0/0 is what a receiver without a fix reports")


_FRAME_HEADERS: Final = tuple(
    field.name for field in msgspec.structs.fields(Frame) if field.name != "jpeg"
)


def encode_frame(frame: Frame) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of a frame's message; fields that are None get no header.

    Raises BadInput (`frame-too-large`) above `MAX_FRAME_BYTES`.
    """
    check_frame_size(len(frame.jpeg))
    headers = [
        (name, text.encode())
        for name, text in ((name, _header_text(getattr(frame, name))) for name in _FRAME_HEADERS)
        if text is not None
    ]
    return message_key(frame.agency, frame.camera), frame.jpeg, headers


def check_frame_size(size: int) -> None:
    """Refuse a picture above `MAX_FRAME_BYTES`. Raises BadInput."""
    if size > MAX_FRAME_BYTES:
        raise BadInput(
            "frame-too-large",
            f"a frame may have {MAX_FRAME_BYTES} bytes, {size} came: "
            "lower the camera's JPEG quality or resolution",
        )


def decode_frame(value: bytes | None, headers: Headers) -> Frame:
    """A frame from its message. Raises BadInput.

    The JPEG itself is looked at by whoever decodes it.
    """
    if not value:
        raise BadInput("empty-message", "a JPEG was required, an empty message came")
    check_frame_size(len(value))
    fields: dict[str, object] = {}
    for name, raw in headers:
        if name in _FRAME_HEADERS and raw is not None:
            try:
                fields[name] = raw.decode()
            except UnicodeDecodeError:
                raise BadInput("invalid-field", f"header {name} is not UTF-8") from None
    version = str(fields.get("schema_version", "1"))[:8]
    if version.isdecimal() and int(version) > SCHEMA_VERSION:
        raise BadInput(
            "schema-version",
            f"schema_version up to {SCHEMA_VERSION} is understood, {version} came: "
            "upgrade this job before its producers",
        )
    fields["jpeg"] = value
    try:
        frame = msgspec.convert(fields, Frame, strict=False)
    except msgspec.ValidationError as error:
        reason = "missing-field" if "missing required field" in str(error) else "invalid-field"
        raise BadInput(reason, _first_line(error)) from None
    check_moment(frame.captured_at, frame.received_at)
    check_place(frame.latitude, frame.longitude)
    return frame


def _header_text(value: object) -> str | None:
    if value is None:
        return None
    return value.isoformat() if isinstance(value, datetime) else str(value)
