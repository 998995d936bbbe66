from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alpr.records import DeadLetter, Frame, Read
from beam_jobs.recognise.transforms import FrameMessage, RecognisePasses, _encoder, encode_read
from ingest.codecs import decode_read
from tests.support.beam import Cell, Timer, split
from tests.support.records import at
from tests.support.scenes import EMPTY, picture
from tests.unit.beam_jobs.recognise.cars import (
    ABC,
    DIM,
    UNREADABLE,
    XYZ,
    a_day_later,
    frame,
    recogniser_of,
    soon_after_noon,
)

GAP_S = 1.0


class Camera:
    """One key of the stateful DoFn, with its state and timers in the test's hand."""

    def __init__(
        self,
        clock: Callable[[], float] = soon_after_noon,
        arrival: Callable[[], float] | None = None,
        **config: Any,
    ) -> None:
        self._arrival = arrival or clock
        self.passes, self.backlog, self.picture = Cell(), Cell(), Cell()
        self.over, self.quiet = Timer(), Timer()
        self._clock, self._config = clock, config
        self.dead: list[DeadLetter] = []
        self.dofn: RecognisePasses
        self.restart()

    def restart(self) -> None:
        """Another worker, with the state that the engine kept."""
        self.dofn = recogniser_of(self._clock, **self._config)
        self.dofn.setup()

    def see(self, *frames: Frame) -> list[Read]:
        reads: list[Read] = []
        for seen in frames:
            message = FrameMessage(seen, "frames", 1, 7, int(self._arrival() * 1000))
            element = (f"{seen.agency}/{seen.camera}", _encoder.encode(message))
            output = self.dofn.process(
                element, self.passes, self.backlog, self.picture, self.over, self.quiet
            )
            main, dead = split(output)
            reads += main
            self.dead += dead
        return reads

    def fire_over(self) -> list[Read]:
        return split(self.dofn.over("pd/cam-1", self.passes, self.over))[0]

    def fire_quiet(self) -> list[Read]:
        return split(self.dofn.quiet("pd/cam-1", self.passes, self.backlog))[0]


def test_a_car_becomes_one_read_when_its_gap_is_over() -> None:
    camera = Camera(retention_class="parking")
    assert camera.see(frame(0.0, ABC), frame(0.2, ABC)) == []
    assert camera.over.at == pytest.approx(at(0.2 + GAP_S).timestamp(), abs=0.01)
    assert camera.quiet.at is None
    (read,) = camera.fire_over()
    assert (read.plate, read.state, read.frames) == ("ABC1234", "CA", 2)
    assert (read.agency, read.camera, read.retention_class) == ("pd", "cam-1", "parking")
    assert (read.source, read.source_version, read.source_id) == ("platelake", "scenes 1", "0.0")
    assert read.crop is not None
    assert read.overview is not None
    assert camera.fire_over() == [], "told once"


def test_a_read_has_place_and_times_of_its_best_frame() -> None:
    camera = Camera()
    camera.see(frame(0.0, DIM, latitude=1.0, longitude=2.0))
    camera.see(frame(0.2, ABC, latitude=3.0, longitude=4.0, heading=5.0))
    (read,) = camera.fire_over()
    assert (read.captured_at, read.received_at) == (at(0.2), at(0.7))
    assert (read.latitude, read.longitude, read.heading) == (3.0, 4.0, 5.0)


def test_frames_that_surely_agree_are_told_at_once() -> None:
    camera = Camera()
    assert camera.see(frame(0.0, ABC), frame(0.1, ABC)) == []
    (read,) = camera.see(frame(0.2, ABC))
    assert read.frames == 3
    assert camera.see(frame(0.3, ABC)) == []
    assert camera.fire_over() == []


def test_a_worker_that_takes_over_goes_on_with_the_same_pass() -> None:
    camera, undisturbed = Camera(), Camera()
    frames = [frame(0.0, ABC), frame(0.2, DIM)]
    undisturbed.see(*frames)
    for each in frames:
        camera.restart()
        camera.see(each)
    camera.restart()
    assert camera.fire_over() == undisturbed.fire_over() != []


def test_frames_that_wait_for_us_after_an_outage_are_still_live() -> None:
    camera = Camera(a_day_later, arrival=soon_after_noon)
    camera.see(frame(0.0, ABC))
    assert camera.over.at == pytest.approx(at(GAP_S).timestamp(), abs=0.01)
    assert camera.quiet.at is None


def test_a_replay_of_a_frame_after_a_crash_gives_the_same_read() -> None:
    camera = Camera()
    camera.see(frame(0.0, ABC))
    kept = camera.passes.value
    (first,) = camera.fire_over()
    camera.passes.value = kept
    (again,) = camera.fire_over()
    assert again == first


@pytest.mark.parametrize("away_s", [2.0, 61.0, 3600.0])
def test_the_next_car_tells_the_last_one_however_long_after(away_s: float) -> None:
    """In an upload, or when catching up, frames come faster than any timer fires."""
    camera = Camera()
    assert camera.see(frame(0.0, ABC)) == []
    (read,) = camera.see(frame(away_s, XYZ))
    assert (read.plate, read.captured_at) == ("ABC1234", at(0.0))


def test_an_upload_waits_by_the_wall_clock_and_not_by_the_watermark() -> None:
    camera = Camera(a_day_later, quiet_s=2.0)
    camera.see(frame(0.0, ABC))
    assert (camera.over.at, camera.quiet.at) == (None, a_day_later() + 2.0)
    assert [read.plate for read in camera.fire_quiet()] == ["ABC1234"]


def test_a_backlog_among_live_frames_is_one_read_a_car() -> None:
    camera = Camera()
    live = [frame(100.0 + i / 5, DIM) for i in range(4)]
    stored = [frame(0.0 + i / 5, XYZ) for i in range(4)]
    told = camera.see(*(each for pair in zip(live, stored, strict=True) for each in pair))
    assert camera.quiet.at is not None
    told += camera.fire_quiet()
    assert sorted(read.plate for read in told) == ["ABC1234", "XYZ987"]


def test_a_camera_that_was_cut_off_sends_what_it_stored_and_goes_on() -> None:
    camera = Camera()
    told = camera.see(frame(1000.0, ABC), frame(1000.3, DIM))
    told += camera.see(frame(500.0, XYZ), frame(500.3, XYZ), frame(0.0, DIM), frame(0.3, DIM))
    told += camera.see(frame(1000.6, DIM))
    told += camera.fire_quiet()
    assert sorted((read.plate, read.frames) for read in told) == [
        ("ABC1234", 2),
        ("ABC1234", 3),
        ("XYZ987", 2),
    ]


def test_a_camera_whose_clock_was_ahead_once_is_read_on() -> None:
    camera = Camera()
    camera.see(frame(86_400.0))
    told = camera.see(*(frame(i / 5, ABC) for i in range(6)), frame(40.0, XYZ))
    assert [(read.plate, read.frames) for read in told + camera.fire_quiet()] == [
        ("ABC1234", 3),
        ("XYZ987", 1),
    ]


def test_a_fixed_camera_reads_only_what_has_changed() -> None:
    camera = Camera()

    def fixed(seconds: float, scene: int) -> Frame:
        return frame(seconds, scene, camera_kind="fixed")

    camera.see(fixed(0.0, EMPTY), fixed(0.2, ABC), fixed(0.4, ABC), fixed(0.6, ABC))
    assert camera.fire_over()[0].frames == 1, "the same picture is no second vote"


def test_a_car_that_cannot_be_read_gives_nothing() -> None:
    camera = Camera()
    camera.see(frame(0.0, UNREADABLE))
    assert camera.fire_over() == []


def test_an_empty_road_sets_no_timer() -> None:
    camera = Camera()
    assert camera.see(frame(0.0, EMPTY)) == []
    assert (camera.over.at, camera.quiet.at) == (None, None)


def test_a_picture_found_damaged_on_decoding_goes_aside_with_its_origin_and_its_bytes() -> None:
    camera = Camera()
    camera.see(frame(0.0, ABC))
    before = camera.passes.value
    scan = picture(ABC).index(b"\xff\xda")
    damaged = picture(ABC)[: scan + 2] + b"\xff\xd9"
    assert camera.see(frame(0.1, jpeg=damaged)) == []
    (letter,) = camera.dead
    assert (letter.topic, letter.partition, letter.offset) == ("frames", 1, 7)
    assert letter.value == damaged
    assert camera.passes.value == before
    assert len(camera.fire_over()) == 1


def test_two_cars_in_one_scene_are_two_reads_with_two_ids() -> None:
    camera = Camera()
    camera.see(frame(0.0, ABC), frame(0.1, XYZ))
    reads = camera.fire_over()
    assert sorted(read.plate for read in reads) == ["ABC1234", "XYZ987"]
    assert len({read.read_id for read in reads}) == 2


def test_looking_before_setup_is_an_error() -> None:
    camera = Camera()
    camera.dofn = recogniser_of()
    with pytest.raises(ValueError, match="before setup"):
        camera.see(frame(0.0, ABC))


def test_a_read_is_keyed_by_its_camera() -> None:
    camera = Camera()
    camera.see(frame(0.0, ABC))
    (read,) = camera.fire_over()
    message = encode_read(read)
    assert message.key == b"pd/cam-1"
    assert decode_read(message.value) == read
