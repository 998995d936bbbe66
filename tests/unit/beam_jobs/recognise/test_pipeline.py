"""Event time in the recognise job: what comes on time, early, late, out of order or twice.

The five cases of lateness are those of Beam's own game example (on time, early,
late but nobody can tell, late and told already, too late), with passes for windows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import TimestampedValue

from alpr.records import Frame, Read
from beam_jobs.io.source import Batch
from beam_jobs.recognise.pipeline import recognise_frames
from ingest.codecs import encode_frame
from tests.support.beam import make_batch, run
from tests.support.records import T0
from tests.unit.beam_jobs.recognise.cars import (
    ABC,
    DIM,
    XYZ,
    a_day_later,
    frame,
    recogniser_of,
    soon_after_noon,
)

NOON = T0.timestamp()
Step = Frame | float
"""A frame that comes, or seconds after noon to which the watermark goes."""


def batch_of(seen: Frame, offset: int, arrived: float = NOON + 1.0) -> Batch:
    key, value, headers = encode_frame(seen)
    batch = make_batch([value], offset, topic="frames", headers=[headers], key=key)
    return batch._replace(timestamps_ms=[int(arrived * 1000)])


def reads_of(*steps: Step, clock: Any = soon_after_noon) -> list[Read]:
    stream = Stream().advance_watermark_to(NOON - 100)
    for offset, step in enumerate(steps):
        if isinstance(step, Frame):
            moment = step.captured_at.timestamp()
            stream = stream.add_elements(
                [TimestampedValue(batch_of(step, offset, clock()), moment)]
            )
        else:
            stream = stream.advance_watermark_to(NOON + step)
    # Two days later by the wall clock, every upload has come to its end.
    stream = stream.advance_processing_time(NOON + 2 * 86_400).advance_watermark_to_infinity()
    reads = run(lambda p: recognise_frames(p | stream, recogniser_of(clock), 0.5).reads)
    return sorted(reads, key=lambda read: (read.captured_at, read.source_id))


def told(reads: list[Read]) -> list[tuple[str, int]]:
    return [(read.plate, read.frames) for read in reads]


def test_on_time_a_pass_is_told_when_the_watermark_shows_it_over() -> None:
    reads = reads_of(frame(0.0, ABC), frame(0.5, DIM), 1.0, frame(1.2, DIM), 30.0)
    assert told(reads) == [("ABC1234", 3)]


def test_two_passes_apart_by_more_than_the_linger_are_two_reads() -> None:
    reads = reads_of(frame(0.0, ABC), 40.0, frame(41.0, ABC), 80.0)
    assert told(reads) == [("ABC1234", 1)] * 2
    assert len({read.read_id for read in reads}) == 2


def test_early_a_sure_pass_is_told_at_once_and_not_again_when_it_is_over() -> None:
    reads = reads_of(*(frame(s / 10, ABC) for s in range(6)), 30.0)
    assert told(reads) == [("ABC1234", 3)], "told with the third frame, and only then"


def test_late_but_before_its_pass_is_told_a_frame_votes_like_any_other() -> None:
    reads = reads_of(frame(0.2, DIM), frame(0.6, DIM), 0.9, frame(0.4, ABC), 30.0)
    assert told(reads) == [("ABC1234", 3)]
    assert reads[0].captured_at == frame(0.4).captured_at, "it is the best picture"


def test_late_after_its_pass_was_told_a_frame_is_absorbed() -> None:
    reads = reads_of(frame(0.0, ABC), frame(0.4, ABC), 5.0, frame(0.2, ABC), 30.0)
    assert told(reads) == [("ABC1234", 2)]


def test_too_late_a_whole_pass_sent_again_is_the_same_read_by_its_id() -> None:
    """After the linger nothing in memory knows the car: the id makes it one."""
    whole = [frame(0.0, ABC), frame(0.4, DIM)]
    reads = reads_of(*whole, 60.0, frame(100.0, XYZ), 120.0, *whole, 200.0)
    cars = [read for read in reads if read.plate == "ABC1234"]
    assert len(cars) == 2
    assert len({read.read_id for read in cars}) == 1


def test_the_same_frame_twice_is_one_read() -> None:
    assert told(reads_of(frame(0.0, ABC), frame(0.0, ABC), 30.0)) == [("ABC1234", 2)]


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (1, 0, 2)])
def test_frames_out_of_order_are_one_read(order: tuple[int, ...]) -> None:
    frames = [frame(0.0, DIM), frame(0.3, ABC), frame(0.6, DIM)]
    reads = reads_of(*(frames[i] for i in order), 30.0)
    assert told(reads) == [("ABC1234", 3)]
    assert reads[0].captured_at == frames[1].captured_at


def test_cameras_do_not_wait_for_each_other_nor_mix() -> None:
    reads = reads_of(
        frame(0.0, ABC),
        frame(0.0, XYZ, camera="cam-2"),
        frame(0.2, ABC, agency="so"),
        30.0,
    )
    assert Counter((r.agency, r.camera, r.plate) for r in reads) == {
        ("pd", "cam-1", "ABC1234"): 1,
        ("pd", "cam-2", "XYZ987"): 1,
        ("so", "cam-1", "ABC1234"): 1,
    }


def test_an_upload_with_hours_between_its_cars_gives_each() -> None:
    upload = [frame(0.0, ABC), frame(3600.0, XYZ), frame(7200.0, ABC)]
    reads = reads_of(50_000.0, *upload, clock=a_day_later)
    assert [read.plate for read in reads] == ["ABC1234", "XYZ987", "ABC1234"]


def test_a_bad_frame_stops_nothing() -> None:
    key, _, headers = encode_frame(frame(0.1))
    bad = make_batch([b"no picture"], 5, topic="frames", headers=[headers], key=key)
    good = batch_of(frame(0.0, ABC), 4)
    stream = (
        Stream()
        .advance_watermark_to(NOON - 100)
        .add_elements([TimestampedValue(b, NOON) for b in (good, bad)])
        .advance_watermark_to_infinity()
    )
    dead = run(lambda p: recognise_frames(p | stream, recogniser_of(), 0.5).dead)
    assert [(letter.reason, letter.offset) for letter in dead] == [("not-a-jpeg", 5)]
