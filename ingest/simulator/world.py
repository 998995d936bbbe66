"""Who watches and who drives: agencies, cameras, vehicles, and when each vehicle passes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from alpr.records import CameraKind
from ingest.simulator.designs import DESIGNS, REAR_ONLY
from ingest.simulator.geometry import View
from ingest.simulator.looks import Light
from ingest.simulator.scenery import Road
from ingest.simulator.serials import PATTERNS, Serial, make_serial
from ingest.simulator.vehicles import PAINTS, Body, End

_VEHICLES, _PASSES = 1, 2
"""First parts of the seeds of the random streams, so that no two streams are alike."""

_BODIES: tuple[Body, ...] = ("sedan", "sedan", "suv", "suv", "pickup", "van")


@dataclass(frozen=True)
class Vehicle:
    """A vehicle with its made-up plate."""

    number: int
    serial: Serial
    design: int
    """Index into DESIGNS."""
    body: Body
    paint: int

    @property
    def state(self) -> str:
        """Issuing state of the plate."""
        return DESIGNS[self.design].state


@dataclass(frozen=True)
class Lane:
    """One lane before a camera: where its middle is, and which end of vehicles it shows."""

    x: float
    """Metres to the right of the camera."""
    shows: End
    """Vehicles that show their rear drive away, those that show their front come nearer."""
    speed: tuple[float, float] = (9.0, 14.0)
    """Slowest and fastest speed relative to the camera, metres a second; parked: the camera's."""
    every: float = 8.0
    """Mean seconds between vehicles."""
    parked: bool = False
    """Vehicles stand here and show their rear while the camera drives past them."""


@dataclass(frozen=True)
class Camera:
    """One camera, its view, and the light it works in."""

    agency: str
    name: str
    kind: CameraKind
    latitude: float
    longitude: float
    heading: float
    """Degrees clockwise from north."""
    light: Light
    lanes: tuple[Lane, ...]
    view: View = field(default_factory=View)
    road: Road = field(default_factory=Road)
    near: float = 8.0
    far: float = 26.0
    """Metres between which the lens can show a plate."""
    fps: float = 3.0
    """Pictures a second while a vehicle passes."""
    idle_every: int = 3
    """Of the pictures without a vehicle, send one in so many (0: none)."""
    softness: float = 0.0
    """Standard deviation in pixels of the lens's blur."""
    quality: int = 85
    """JPEG quality."""
    moves: float = 0.0
    """Metres a second the camera itself drives along its heading."""


@dataclass(frozen=True)
class World:
    """Everything that a simulation is made of; the seed decides the rest."""

    seed: int
    cameras: tuple[Camera, ...]
    vehicles: tuple[Vehicle, ...]

    def __post_init__(self) -> None:
        names = [(camera.agency, camera.name) for camera in self.cameras]
        for camera in self.cameras:
            if camera.moves <= 0 and any(lane.parked for lane in camera.lanes):
                raise ValueError(
                    f"{camera.agency}/{camera.name} has a lane of parked vehicles: "
                    f"it must move to pass them, got moves={camera.moves}"
                )
        if len(set(names)) < len(names):
            raise ValueError(f"every camera needs its own agency/name, got {sorted(names)}")


@dataclass(frozen=True)
class Passing:
    """One vehicle passing one camera, as geometry: where it is at any moment."""

    number: int
    """Counts from 0 within its camera."""
    vehicle: Vehicle
    lane: Lane
    begins: float
    """Seconds after the start of the simulation when it is at `distance(begins)`."""
    ends: float
    speed: float
    first: float
    """Metres from the camera when it begins."""
    sway: float
    """Metres it drives to the right of the middle of its lane."""
    yaw: float
    """Radians by which its course differs from the road's."""

    def distance(self, at: float) -> float:
        """Metres along the road from the camera to the plate, `at` seconds after the start."""
        towards = -1.0 if self.lane.shows == "front" or self.lane.parked else 1.0
        return self.first + towards * self.speed * (at - self.begins)


def make_vehicles(seed: int, count: int) -> tuple[Vehicle, ...]:
    """`count` vehicles with plates of all states, no two with the same plate text."""
    rng = np.random.default_rng((seed, _VEHICLES))
    vehicles: list[Vehicle] = []
    taken: set[str] = set()
    while len(vehicles) < count:
        design = int(rng.integers(len(DESIGNS)))
        patterns = PATTERNS[DESIGNS[design].state]
        serial = make_serial(patterns[rng.integers(len(patterns))], rng)
        body = _BODIES[rng.integers(len(_BODIES))]
        paint = PAINTS[rng.integers(len(PAINTS))]
        if serial.plate in taken:
            continue
        taken.add(serial.plate)
        vehicles.append(Vehicle(len(vehicles), serial, design, body, paint))
    return tuple(vehicles)


def passings(world: World, camera: int) -> Iterator[Passing]:
    """Without end, the vehicles that pass one camera, each lane's in order, by beginning."""
    rng = np.random.default_rng((world.seed, _PASSES, camera))
    watch = world.cameras[camera]
    plated = [v for v in world.vehicles if v.state not in REAR_ONLY]
    free = [float(rng.exponential(lane.every / 2)) for lane in watch.lanes]
    number = 0
    while True:
        index = int(np.argmin(free))
        lane = watch.lanes[index]
        # A state that issues no front plate gives a camera of fronts nothing to read.
        pool = plated if lane.shows == "front" else world.vehicles
        vehicle = pool[int(rng.integers(len(pool)))]
        speed = float(rng.uniform(*lane.speed))
        if lane.parked:
            speed = watch.moves
        towards = lane.shows == "front" or lane.parked
        begins = free[index]
        ends = begins + (watch.far - watch.near) / speed
        yield Passing(
            number=number, vehicle=vehicle, lane=lane, begins=begins, ends=ends, speed=speed,
            first=watch.far if towards else watch.near, sway=float(rng.normal(0, 0.12)),
            yaw=float(rng.normal(0, 0.035)),
        )  # fmt: skip
        number += 1
        # The next vehicle of a lane keeps a distance: it never hides this one.
        free[index] = ends + 0.8 + float(rng.exponential(lane.every))
