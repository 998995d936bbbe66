from __future__ import annotations

from typing import Any

import pytest

from beam_jobs.dead_letters import TooManyDeadLetters
from beam_jobs.recognise.transforms import ParseFrames, frame_time
from ingest.codecs import Headers, encode_frame
from tests.support.beam import make_batch, split
from tests.support.records import T0, at
from tests.support.scenes import picture
from tests.unit.beam_jobs.recognise.cars import frame

BROKER_MS = int(T0.timestamp() * 1000)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("captured_at", b"2026-03-01T11:59:00+00:00")], T0.timestamp() - 60),
        ([("captured_at", b"2026-03-01T03:59:00-08:00")], T0.timestamp() - 60),
        ([("captured_at", b"2026-03-01T12:09:00+00:00")], T0.timestamp()),
        ([("captured_at", b"yesterday")], None),
        ([("captured_at", b"\xff")], None),
        ([("captured_at", None)], None),
        ([("camera", b"cam-1")], None),
        ([], None),
    ],
)
def test_event_time_is_the_capture_and_never_after_the_brokers(
    headers: Headers, expected: float | None
) -> None:
    assert frame_time(BROKER_MS, headers) == expected


def parse(messages: list[tuple[bytes, Headers]], limit: float = 1.0) -> tuple[list[Any], list[Any]]:
    dofn = ParseFrames(limit, lambda: T0)
    dofn.setup()
    batch = make_batch(
        [value for value, _ in messages],
        first=10,
        topic="frames",
        headers=[headers for _, headers in messages],
    )
    return split(dofn.process(batch))


def message(seconds: float, **fields: Any) -> tuple[bytes, Headers]:
    _, value, headers = encode_frame(frame(seconds, **fields))
    return value, headers


def test_frames_are_keyed_by_camera_and_stamped_with_their_capture() -> None:
    dofn = ParseFrames(1.0)
    dofn.setup()
    value, headers = message(3.0, camera="cam-9")
    (stamped,) = dofn.process(make_batch([value], topic="frames", headers=[headers]))
    assert stamped.value[0] == "pd/cam-9"
    assert stamped.timestamp == at(3.0).timestamp()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((b"", ()), "empty-message"),
        ((picture(0), ()), "missing-field"),
        ((b"GIF89a", message(0)[1]), "not-a-jpeg"),
        ((picture(0)[:-40], message(0)[1]), "jpeg-truncated"),
    ],
)
def test_a_bad_frame_goes_aside_with_its_origin(bad: tuple[bytes, Headers], reason: str) -> None:
    frames, dead = parse([message(0), bad, message(1)])
    assert len(frames) == 2
    assert [(d.reason, d.topic, d.offset) for d in dead] == [(reason, "frames", 11)]


def test_too_many_bad_frames_fail_the_job() -> None:
    with pytest.raises(TooManyDeadLetters):
        parse([message(0)] * 50 + [(b"x", ())] * 10, limit=0.05)
