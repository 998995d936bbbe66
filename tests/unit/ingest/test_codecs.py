from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alpr.errors import BadInput
from alpr.records import DeadLetter, Frame, Hit, HotlistChange, Read
from ingest.codecs import (
    MAX_FRAME_BYTES,
    Headers,
    decode_change,
    decode_dead_letter,
    decode_frame,
    decode_hit,
    decode_read,
    encode,
    encode_frame,
    message_key,
)
from tests.support import strategies
from tests.support.records import T0, make_change, make_entry, make_frame, make_hit, make_read

DECODERS: list[Callable[[bytes | None], Any]] = [
    decode_read,
    decode_hit,
    decode_change,
    decode_dead_letter,
]
SECRET = "Secret7"
JPEG = b"\xff\xd8\xff\xd9"


@given(strategies.reads)
def test_reads_survive_the_round_trip(read: Read) -> None:
    assert decode_read(encode(read)) == read


@given(strategies.hits)
def test_hits_survive_the_round_trip(hit: Hit) -> None:
    assert decode_hit(encode(hit)) == hit


@given(strategies.changes)
def test_changes_survive_the_round_trip(change: HotlistChange) -> None:
    assert decode_change(encode(change)) == change


@given(strategies.dead_letters)
def test_dead_letters_survive_the_round_trip(letter: DeadLetter) -> None:
    assert decode_dead_letter(encode(letter)) == letter


@given(strategies.frames)
def test_frames_survive_the_round_trip(frame: Frame) -> None:
    key, value, headers = encode_frame(frame)
    assert key == message_key(frame.agency, frame.camera)
    assert decode_frame(value, headers) == frame


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
fields_of_a_read = st.sampled_from(sorted(Read.__struct_fields__))


def complaint(decode: Callable[[], object]) -> BadInput | None:
    """What it raises, None if it is content; any other exception fails the test."""
    try:
        decode()
    except BadInput as error:
        return error
    return None


def raises_only_bad_input(decode: Callable[[], object]) -> None:
    error = complaint(decode)
    assert error is None or 0 < len(error.detail) <= 1000


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"read_id":"\xff"}')
@example(b'{"read_id":"\\ud800"}')
def test_no_bytes_raise_anything_but_bad_input(data: bytes) -> None:
    for decode in DECODERS:
        raises_only_bad_input(partial(decode, data))


@given(fields_of_a_read, json_values)
def test_no_field_of_a_read_raises_anything_but_bad_input(name: str, value: object) -> None:
    fields = json.loads(encode(make_read()))
    raises_only_bad_input(lambda: decode_read(json.dumps(fields | {name: value}).encode()))


header_values = (
    st.none()
    | st.binary(max_size=30)
    | st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace"))
    | st.floats().map(lambda number: str(number).encode())
    | st.integers().map(lambda number: str(number).encode())
)
header_names = st.sampled_from(sorted(Frame.__struct_fields__)) | st.text(max_size=5)


@given(st.lists(st.tuples(header_names, header_values), max_size=6))
@example([("schema_version", b"9" * 5000)])
@example([("sequence", b"9" * 5000)])
@example([("captured_at", None)])
def test_no_headers_raise_anything_but_bad_input(headers: Headers) -> None:
    _, value, sound = encode_frame(make_frame())
    raises_only_bad_input(lambda: decode_frame(value, headers))
    raises_only_bad_input(lambda: decode_frame(value, [*sound, *headers]))


def read_with(**fields: Any) -> bytes:
    return json.dumps(json.loads(encode(make_read())) | fields).encode()


def read_without(name: str) -> bytes:
    fields = json.loads(encode(make_read()))
    del fields[name]
    return json.dumps(fields).encode()


def reason_of(decode: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        decode()
    return caught.value.reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (None, "empty-message"),
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff\xd8\xff", "not-json"),
        (b"{}", "missing-field"),
        (b"[]", "invalid-field"),
        (read_without("plate"), "missing-field"),
        (read_with(plate="abc 1"), "invalid-field"),
        (read_with(plate="ABC1\n"), "invalid-field"),
        (read_with(agency="PD"), "invalid-field"),
        (read_with(confidence=1.5), "invalid-field"),
        (read_with(captured_at="2026-03-01T12:00:00"), "invalid-field"),
        (read_with(captured_at="yesterday"), "invalid-field"),
        (read_with(latitude=91, longitude=0), "invalid-field"),
        (read_with(schema_version=2), "schema-version"),
        (read_with(schema_version=0), "schema-version"),
        (read_with(schema_version="x"), "invalid-field"),
        (read_with(captured_at="2026-03-01T12:05:00.500001Z"), "impossible-time"),
        (read_with(captured_at="1999-12-31T23:59:59Z"), "impossible-time"),
        (read_with(received_at="9999-12-31T23:59:59-08:00"), "impossible-time"),
        (read_with(latitude=0, longitude=0), "impossible-place"),
        (read_with(latitude=38.5), "impossible-place"),
        (read_with(longitude=-121.5), "impossible-place"),
    ],
)
def test_reason_of_a_bad_read(message: bytes | None, reason: str) -> None:
    assert reason_of(lambda: decode_read(message)) == reason


def test_a_camera_clock_may_run_ahead_by_five_minutes() -> None:
    read = make_read(captured_at=T0 + timedelta(minutes=5), received_at=T0)
    assert decode_read(encode(read)) == read


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"captured_at": datetime(1, 1, 1, tzinfo=UTC)}, "impossible-time"),
        ({"matched_at": datetime(9999, 12, 31, tzinfo=UTC)}, "impossible-time"),
        ({"latitude": 0.0, "longitude": 0.0}, "impossible-place"),
    ],
)
def test_reason_of_a_bad_hit(fields: dict[str, Any], reason: str) -> None:
    assert reason_of(lambda: decode_hit(encode(make_hit(**fields)))) == reason


def test_an_entry_may_be_in_force_until_the_end_of_time() -> None:
    entry = make_entry(valid_to=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert decode_change(encode(make_change(entry))).entry == entry


def frame_headers(**changes: bytes | None) -> Headers:
    _, _, headers = encode_frame(make_frame())
    return [(name, raw) for name, raw in headers if name not in changes] + list(changes.items())


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (None, frame_headers(), "empty-message"),
        (b"", frame_headers(), "empty-message"),
        (bytes(MAX_FRAME_BYTES + 1), frame_headers(), "frame-too-large"),
        (JPEG, (), "missing-field"),
        (JPEG, frame_headers(camera=None), "missing-field"),
        (JPEG, frame_headers(camera=b"Main St"), "invalid-field"),
        (JPEG, frame_headers(camera=b"\xff"), "invalid-field"),
        (JPEG, frame_headers(sequence=b"-1"), "invalid-field"),
        (JPEG, frame_headers(schema_version=b"2"), "schema-version"),
        (JPEG, frame_headers(schema_version=b"9" * 5000), "schema-version"),
        (JPEG, frame_headers(captured_at=b"2026-03-01T13:00:00Z"), "impossible-time"),
        (JPEG, frame_headers(received_at=b"9999-12-31T23:59:59-08:00"), "impossible-time"),
        (JPEG, frame_headers(latitude=b"0", longitude=b"0"), "impossible-place"),
        (JPEG, frame_headers(latitude=b"nan", longitude=b"nan"), "invalid-field"),
    ],
)
def test_reason_of_a_bad_frame(value: bytes | None, headers: Headers, reason: str) -> None:
    assert reason_of(lambda: decode_frame(value, headers)) == reason


def test_a_frame_that_is_too_large_is_not_sent_either() -> None:
    frame = make_frame(jpeg=bytes(MAX_FRAME_BYTES + 1))
    assert reason_of(lambda: encode_frame(frame)) == "frame-too-large"
    assert encode_frame(make_frame(jpeg=bytes(MAX_FRAME_BYTES)))


@pytest.mark.parametrize("name", sorted(set(Read.__struct_fields__) | {"unknown"}))
@pytest.mark.parametrize(
    "value", [SECRET, [SECRET], {SECRET: SECRET}, f"{SECRET} - at `$.x`", f"{SECRET}\n{SECRET}"]
)
def test_no_detail_repeats_what_came(name: str, value: object) -> None:
    """A sender may have put the plate into any field."""
    assert SECRET not in str(complaint(lambda: decode_read(read_with(**{name: value}))))


@pytest.mark.parametrize("name", ["category", "match", "state_match", "plate", "captured_at"])
@pytest.mark.parametrize(
    "value", [SECRET, f"{SECRET} - at `$.x`", f"{SECRET}' - at `$.x`", f"{SECRET}\n{SECRET}"]
)
def test_no_detail_of_a_hit_repeats_what_came(name: str, value: str) -> None:
    message = json.dumps(json.loads(encode(make_hit())) | {name: value}).encode()
    with pytest.raises(BadInput) as caught:
        decode_hit(message)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(Frame.__struct_fields__) - {"jpeg", "agency"}))
def test_no_detail_of_a_frame_repeats_what_came(name: str) -> None:
    with pytest.raises(BadInput) as caught:
        decode_frame(JPEG, frame_headers(**{name: SECRET.encode()}))
    assert SECRET not in str(caught.value)
