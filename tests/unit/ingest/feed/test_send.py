from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from alpr.errors import BadInput, ConfigurationError, Refused
from alpr.records import Read
from ingest.codecs import MAX_FRAME_BYTES, decode_frame, decode_read
from ingest.feed.pictures import Picture
from ingest.feed.send import Source, Tally, pace, parse_camera, send_pictures, send_reads
from ingest.simulator.reads import Traffic, write_reads
from tests.unit.ingest.feed.fakes import Kept, jpeg

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CAPTURED = datetime(2026, 5, 1, 11, tzinfo=UTC)


def no_wait() -> None:
    pass


def test_pictures_become_frames_in_order_and_refused_ones_are_counted() -> None:
    kept, tally = Kept(), Tally()
    told: list[BadInput] = []
    pictures: list[Picture | BadInput] = [
        Picture(jpeg(10), None),
        BadInput("not-a-picture", "b.png: ..."),
        Picture(jpeg(20) + b"\0" * MAX_FRAME_BYTES, None),
        Picture(jpeg(30), CAPTURED),
    ]
    source = Source("a-pd", "gate", "portable", 42.0, -71.0, 90.0)
    steps = send_pictures(
        pictures, source, kept, tally, clock=lambda: NOW, wait=no_wait, on_refused=told.append,
        first_sequence=5,
    )  # fmt: skip
    assert len(list(steps)) == 4
    frames = [decode_frame(value, headers) for _, _, value, headers in kept.messages]
    assert [(f.sequence, f.captured_at, f.received_at) for f in frames] == [
        (5, NOW, NOW),
        (6, CAPTURED, NOW),
    ]
    assert [f.jpeg for f in frames] == [jpeg(10), jpeg(30)]
    assert {(topic, key) for topic, key, _, _ in kept.messages} == {("frames", b"a-pd/gate")}
    assert (frames[0].camera_kind, frames[0].latitude, frames[0].heading) == ("portable", 42, 90)
    assert tally.sent == 2
    assert tally.refused == {"not-a-picture": 1, "frame-too-large": 1}
    assert [error.reason for error in told] == ["not-a-picture", "frame-too-large"]


@pytest.mark.parametrize("name", ["gate", "/gate", "a-pd/", "a/b/c", ""])
def test_a_camera_needs_agency_and_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match="agency/camera"):
        parse_camera(name)


@pytest.mark.parametrize("packed", [False, True])
def test_reads_are_sent_and_bad_lines_are_counted_with_their_number(
    tmp_path: Path, packed: bool
) -> None:
    path = tmp_path / "reads.jsonl"
    write_reads(Traffic(1, CAPTURED, reads=20), path, tmp_path / "truth.parquet")
    good = path.read_bytes().splitlines(keepends=True)
    data = b"".join([*good[:5], b"{nonsense\n", b"\n", b'{"plate": "A"}\n', *good[5:]])
    path.write_bytes(data)
    if packed:
        path = tmp_path / "reads.jsonl.gz"
        path.write_bytes(gzip.compress(data))
    kept, tally = Kept(), Tally()
    told: list[BadInput] = []
    lengths = list(send_reads(path, kept, tally, wait=no_wait, on_refused=told.append))
    assert sum(lengths) == len(data) - 1, "all but the empty line"
    assert [value for _, _, value, _ in kept.messages] == [line.rstrip() for line in good]
    for topic, key, value, _ in kept.messages:
        read = decode_read(value)
        assert (topic, key) == ("reads", f"{read.agency}/{read.camera}".encode())
    assert tally.sent == len(good)
    assert tally.refused == {"not-json": 1, "missing-field": 1}
    assert [str(error).split(": ")[1] for error in told] == ["line 6", "line 8"]


def test_with_a_clock_reads_are_received_now(tmp_path: Path) -> None:
    path = tmp_path / "reads.jsonl"
    write_reads(Traffic(1, CAPTURED, reads=5), path, tmp_path / "truth.parquet")
    kept = Kept()
    list(
        send_reads(path, kept, Tally(), wait=no_wait, on_refused=lambda _: None, clock=lambda: NOW)
    )
    decoder = msgspec.json.Decoder(Read)
    given = [decoder.decode(line) for line in path.read_bytes().splitlines()]
    sent = [decoder.decode(value or b"") for _, _, value, _ in kept.messages]
    assert sent == [msgspec.structs.replace(read, received_at=NOW) for read in given]


def test_a_rate_holds_on_average_and_lost_time_is_made_up() -> None:
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    wait = pace(10, lambda: now[0], sleep)
    for number in range(41):
        wait()
        if number == 10:
            now[0] += 1.0  # a stall of one second
    assert now[0] == pytest.approx(104.0, abs=0.01)


def test_without_a_rate_nothing_waits() -> None:
    def never(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s")

    wait = pace(None, lambda: 0.0, never)
    wait()


def test_a_read_that_came_too_late_is_refused_and_never_sent(tmp_path: Path) -> None:
    path = tmp_path / "reads.jsonl"
    write_reads(Traffic(1, CAPTURED, reads=5), path, tmp_path / "truth.parquet")
    lines = path.read_bytes().splitlines()
    late = decode_read(lines[1]).read_id

    def admit(each: Read) -> None:
        if each.read_id == late:
            raise Refused("past-retention", "kept for 30 days (S-1)")

    kept, tally = Kept(), Tally()
    told: list[BadInput] = []
    list(send_reads(path, kept, tally, wait=no_wait, on_refused=told.append, admit=admit))
    assert (tally.sent, tally.refused) == (4, {"past-retention": 1})
    assert [error.detail for error in told] == ["line 2: kept for 30 days (S-1)"]
    assert [value for _, _, value, _ in kept.messages] == [lines[0], *lines[2:]]
