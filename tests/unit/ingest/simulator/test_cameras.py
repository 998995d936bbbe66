from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.simulator.cameras import frames, paced
from ingest.simulator.draw import CameraArtist
from ingest.simulator.plan import make_plan
from ingest.simulator.serials import Serial
from ingest.simulator.truth import read_truth, write_truth
from tests.unit.ingest.simulator.worlds import START, small_world


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.astype(np.uint8, copy=False)


def test_the_same_seed_and_start_give_the_same_bytes() -> None:
    first = list(frames(make_plan(small_world(7), START, 8)))
    assert first == list(frames(make_plan(small_world(7), START, 8)))
    other = list(frames(make_plan(small_world(8), START, 8)))
    assert [f.jpeg for f in other] != [f.jpeg for f in first]


def test_frames_are_those_of_the_plan() -> None:
    plan = make_plan(small_world(7), START, 8)
    made = list(frames(plan))
    assert [(f.captured_at, f.sequence) for f in made] == [
        (plan.captured_at(e), e.sequence) for e in plan.exposures
    ]
    assert all(decoded(f.jpeg).shape == (720, 1280, 3) for f in made[::5])


def test_a_moving_camera_moves_and_a_fixed_one_does_not() -> None:
    made = list(frames(make_plan(small_world(7), START, 12)))
    fixed = {(f.latitude, f.longitude) for f in made if f.camera == "gate"}
    moving = [f.longitude for f in made if f.camera == "car-1" and f.longitude is not None]
    assert len(fixed) == 1
    assert len(moving) > 3
    assert moving == sorted(moving), "it drives east"
    assert len(set(moving)) == len(moving)


def test_an_unchanged_picture_differs_only_by_noise() -> None:
    plan = make_plan(small_world(7), START, 15)
    idle = {e.sequence for e in plan.exposures if e.camera == 0 and not e.sightings}
    made = [f for f in frames(plan) if f.camera == "gate"]
    quiet = [decoded(f.jpeg).astype(int) for f in made if f.sequence in idle]
    busy = [decoded(f.jpeg).astype(int) for f in made if f.sequence not in idle]
    assert not np.array_equal(quiet[0], quiet[1]), "a sensor is never silent"
    assert np.abs(quiet[0] - quiet[1]).mean() < 4
    assert max(np.abs(quiet[0] - one).mean() for one in busy) > 4


def test_the_plate_is_where_the_truth_says() -> None:
    """Drawn again with other serials, pictures differ inside the truth's corners and only there."""
    world = small_world(7)
    other = replace(
        world,
        vehicles=tuple(
            replace(vehicle, serial=Serial(vehicle.serial.printed[::-1], "X"))
            for vehicle in world.vehicles
        ),
    )
    plan, changed = make_plan(world, START, 12), make_plan(other, START, 12)
    places = {
        (shown.camera, showing.sequence): np.array(showing.corners)
        for shown in plan.shown
        for showing in shown.showings
    }
    artists = [(CameraArtist(world, n), CameraArtist(other, n)) for n in range(2)]
    looked = 0
    for exposure, again in zip(plan.exposures, changed.exposures, strict=True):
        corners = places.get((world.cameras[exposure.camera].name, exposure.sequence))
        if corners is None:
            continue
        one, two = artists[exposure.camera]
        changes = np.abs(one.draw(exposure).astype(int) - two.draw(again)).max(2)
        inside = np.zeros(changes.shape, np.uint8)
        cv2.fillConvexPoly(inside, np.rint(corners).astype(np.int32), (1,))
        assert (changes[inside > 0] > 20).mean() > 0.1
        blurred = cv2.dilate(inside, np.ones((9, 9), np.uint8))
        assert changes[blurred == 0].max() == 0
        looked += 1
    assert looked >= 8


def test_truth_survives_a_file(tmp_path: Path) -> None:
    plan = make_plan(small_world(7), START, 30)
    path = tmp_path / "truth.jsonl"
    assert write_truth(path, plan.shown) == len(plan.shown) > 0
    assert tuple(read_truth(path)) == plan.shown


def test_pacing_waits_for_each_capture_and_never_drops() -> None:
    made = list(frames(make_plan(small_world(7), START, 4)))
    now = [START]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += timedelta(seconds=seconds)

    seen = []
    for frame in paced(made, lambda: now[0], sleep):
        assert now[0] >= frame.captured_at
        if frame.sequence == 2:
            now[0] += timedelta(seconds=1)  # a slow consumer
        seen.append(frame)
    assert seen == made
    assert waits
    assert min(waits) > 0
