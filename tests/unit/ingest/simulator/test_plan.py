"""The plan is the ground truth, so its promises are checked from the outside."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.simulator.demo import demo_world
from ingest.simulator.plan import make_plan
from ingest.simulator.world import World
from tests.unit.ingest.simulator.worlds import START, small_world


def test_the_same_seed_gives_the_same_plan_and_another_seed_another() -> None:
    first = make_plan(demo_world(3), START, 30)
    assert make_plan(demo_world(3), START, 30) == first
    assert make_plan(demo_world(4), START, 30).shown != first.shown


def test_a_longer_plan_begins_like_a_shorter_one() -> None:
    short, long = make_plan(demo_world(3), START, 20), make_plan(demo_world(3), START, 40)
    assert long.exposures[: len(short.exposures)] == short.exposures


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32), seconds=st.floats(0, 90))
def test_truth_agrees_with_the_exposures(seed: int, seconds: float) -> None:
    plan = make_plan(small_world(seed), START, seconds)
    numbers: Counter[int] = Counter()
    taken = {}
    before = 0.0
    for exposure in plan.exposures:
        assert before <= exposure.at < seconds, "in order of time, inside the simulated span"
        before = exposure.at
        assert exposure.sequence == numbers[exposure.camera], "numbered without a gap"
        numbers[exposure.camera] += 1
        camera = plan.world.cameras[exposure.camera]
        taken[camera.name, exposure.sequence] = exposure
    for shown in plan.shown:
        assert shown.frames == len(shown.showings) >= 1
        assert shown.first_sequence == shown.showings[0].sequence
        assert shown.last_sequence == shown.showings[-1].sequence
        assert (shown.first_seen, shown.last_seen) == (
            shown.showings[0].captured_at,
            shown.showings[-1].captured_at,
        )
        assert shown.plate_width == max(showing.width for showing in shown.showings)
        for showing in shown.showings:
            exposure = taken[shown.camera, showing.sequence]
            assert plan.captured_at(exposure) == showing.captured_at
            assert shown.plate in {
                sighting.passing.vehicle.serial.plate for sighting in exposure.sightings
            }
            assert all(0 < u < 1280 and 0 < v < 720 for u, v in showing.corners)


def test_idle_frames_come_from_cameras_that_send_them() -> None:
    plan = make_plan(small_world(1), START, 60)
    idle = Counter(e.camera for e in plan.exposures if not e.sightings)
    assert idle[0] > 0
    assert idle[1] == 0


def test_front_cameras_meet_only_states_with_front_plates() -> None:
    from ingest.simulator.designs import REAR_ONLY

    plan = make_plan(demo_world(5), START, 120)
    fronts = {
        sighting.passing.vehicle.state
        for exposure in plan.exposures
        for sighting in exposure.sightings
        if sighting.passing.lane.shows == "front"
    }
    assert fronts
    assert not fronts & REAR_ONLY


def test_a_start_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        make_plan(small_world(1), START.replace(tzinfo=None), 1)


def test_two_cameras_of_one_name_are_refused() -> None:
    camera = small_world(1).cameras[0]
    with pytest.raises(ValueError, match="own agency/name"):
        World(1, (camera, camera), ())


def test_parked_vehicles_need_a_camera_that_moves() -> None:
    still = replace(small_world(1).cameras[1], moves=0.0)
    with pytest.raises(ValueError, match="must move to pass them"):
        World(1, (still,), ())


def test_the_demo_has_the_agencies_asked_for() -> None:
    assert len({camera.agency for camera in demo_world(1, agencies=2).cameras}) == 2
    kinds = {camera.kind for camera in demo_world(1).cameras}
    assert kinds == {"fixed", "mobile", "portable"}
    with pytest.raises(ValueError, match="from 1 to 3"):
        demo_world(1, agencies=4)
