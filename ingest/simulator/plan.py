"""Works out, before anything is drawn, which pictures each camera takes and what they show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

import numpy as np

from ingest.simulator.geometry import Points
from ingest.simulator.truth import Showing, Shown
from ingest.simulator.vehicles import SHAPES, plate_corners
from ingest.simulator.world import Camera, Passing, World, passings

_BORDER = 6.0
"""Pixels that must be left between a plate and the edge of the picture for it to count."""


@dataclass(frozen=True)
class Sighting:
    """Where one vehicle is in one picture."""

    passing: Passing
    x: float
    z: float


@dataclass(frozen=True)
class Exposure:
    """One picture to be taken."""

    camera: int
    """Index into the world's cameras."""
    at: float
    """Seconds after the start."""
    sequence: int
    sightings: tuple[Sighting, ...]
    """Vehicles in the picture, the farthest first."""


@dataclass(frozen=True)
class Plan:
    """All pictures in order of time, and the passes that they show."""

    world: World
    start: datetime
    exposures: tuple[Exposure, ...]
    shown: tuple[Shown, ...]

    def captured_at(self, exposure: Exposure) -> datetime:
        """When a picture is taken, to the microsecond."""
        return instant(self.start, exposure.at)


def instant(start: datetime, seconds: float) -> datetime:
    """`seconds` after `start`, to the microsecond."""
    return start + timedelta(microseconds=round(seconds * 1e6))


def make_plan(world: World, start: datetime, seconds: float) -> Plan:
    """Plan `seconds` of `world` from `start` (aware UTC). The same arguments give the same plan."""
    if start.utcoffset() is None:
        raise ValueError(f"the start must carry a time zone, got {start!r}")
    exposures: list[Exposure] = []
    shown: list[Shown] = []
    for index in range(len(world.cameras)):
        taken, seen = _plan_camera(world, index, start, seconds)
        exposures.extend(taken)
        shown.extend(seen)
    exposures.sort(key=lambda exposure: (exposure.at, exposure.camera))
    shown.sort(key=lambda one: (one.last_seen, one.pass_id))
    return Plan(world, start, tuple(exposures), tuple(shown))


def _plan_camera(
    world: World, index: int, start: datetime, seconds: float
) -> tuple[list[Exposure], list[Shown]]:
    camera = world.cameras[index]
    coming = list(takewhile(lambda one: one.begins < seconds, passings(world, index)))
    offset = float(np.random.default_rng((world.seed, 3, index)).uniform(0, 1 / camera.fps))
    exposures: list[Exposure] = []
    showings: dict[int, list[Showing]] = {}
    for tick in range(max(0, math.ceil((seconds - offset) * camera.fps))):
        at = offset + tick / camera.fps
        sightings = [
            Sighting(one, one.lane.x + one.sway, one.distance(at))
            for one in coming
            if one.begins <= at <= one.ends
        ]
        if not sightings and (camera.idle_every == 0 or tick % camera.idle_every):
            continue
        sightings.sort(key=lambda sighting: -sighting.z)
        exposure = Exposure(index, at, len(exposures), tuple(sightings))
        exposures.append(exposure)
        for sighting in sightings:
            corners = plate_in_picture(camera, sighting)
            if _inside(camera, corners):
                showings.setdefault(sighting.passing.number, []).append(
                    Showing(
                        exposure.sequence,
                        instant(start, at),
                        tuple((round(float(u), 2), round(float(v), 2)) for u, v in corners),
                        round(_width(corners), 2),
                    )
                )
    return exposures, [
        _shown(camera, one, tuple(showings[one.number])) for one in coming if one.number in showings
    ]


def plate_in_picture(camera: Camera, sighting: Sighting) -> Points:
    """Pixels of the plate's corners (4, 2), from top left, clockwise."""
    shape = SHAPES[sighting.passing.vehicle.body, sighting.passing.lane.shows]
    return camera.view.project(plate_corners(shape, sighting.x, sighting.z, sighting.passing.yaw))


def _width(corners: Points) -> float:
    return float(np.hypot(*(corners[1] - corners[0])) + np.hypot(*(corners[2] - corners[3]))) / 2


def _inside(camera: Camera, corners: Points) -> bool:
    limit = (camera.view.width - _BORDER, camera.view.height - _BORDER)
    return bool((corners > _BORDER).all() and (corners < limit).all())


def _shown(camera: Camera, passing: Passing, showings: tuple[Showing, ...]) -> Shown:
    first, last = showings[0], showings[-1]
    return Shown(
        pass_id=f"{camera.agency}/{camera.name}/{passing.number}",
        agency=camera.agency,
        camera=camera.name,
        plate=passing.vehicle.serial.plate,
        state=passing.vehicle.state,
        light=camera.light,
        first_seen=first.captured_at,
        last_seen=last.captured_at,
        first_sequence=first.sequence,
        last_sequence=last.sequence,
        frames=len(showings),
        plate_width=max(showing.width for showing in showings),
        showings=showings,
    )
