from __future__ import annotations

import pytest

from alpr.errors import Corrupt
from beam_jobs.recognise.camera import CameraState, dump, load
from tests.support.records import at, make_frame
from tests.support.scenes import reading
from tests.unit.beam_jobs.recognise.cars import RULES
from vision.passes import PassState, flush, observe


def watched(*seconds: float) -> CameraState:
    """A camera that has seen one car in these frames."""
    state = CameraState()
    for s in seconds:
        frame = make_frame(s)
        state = state.seen(frame)
        passes, _ = observe(
            state.passes, frame.captured_at, frame.sequence, [reading("ABC1")], rules=RULES
        )
        state = CameraState(passes, state.sightings)
    return state


def test_a_state_survives_its_bytes() -> None:
    state = watched(0.0, 0.1)
    assert load(dump(state)) == state
    assert load(None) == CameraState()


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80\x80", dump(CameraState())[:-1]])
def test_bytes_that_are_no_state_are_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        load(data)


def test_a_sighting_is_found_by_number_and_time() -> None:
    state = CameraState().seen(make_frame(1.0, heading=90.0)).seen(make_frame(2.0))
    assert state.sighting(10, at(1.0)).heading == 90.0
    with pytest.raises(Corrupt, match="not remembered"):
        state.sighting(10, at(2.0))


def test_just_the_sightings_that_open_passes_will_ask_for_are_kept() -> None:
    state = watched(0.0, 0.1).trimmed()
    (track,) = state.passes.tracks
    assert [s.sequence for s in state.sightings] == [track.best.sequence]
    passes, told = flush(state.passes, at(60), RULES)
    assert len(told) == 1
    assert state.sighting(told[0].sequence, told[0].captured_at)
    assert CameraState(passes, state.sightings).trimmed().sightings == ()


def test_a_camera_that_sees_nothing_remembers_nothing() -> None:
    state = CameraState(PassState())
    for s in range(100):
        state = state.seen(make_frame(float(s))).trimmed()
    assert state.sightings == ()
