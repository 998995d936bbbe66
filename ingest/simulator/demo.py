"""The world of the demonstration: a few agencies' cameras of every kind, in every light."""

from __future__ import annotations

from ingest.simulator.geometry import View
from ingest.simulator.scenery import Road
from ingest.simulator.world import Camera, Lane, World, make_vehicles

_CAMERAS: tuple[tuple[Camera, ...], ...] = (
    (
        Camera("northfield-pd", "main-st-north", "fixed", 42.3302, -71.1066, 12.0, "day",
               (Lane(0.2, "rear"),)),
        Camera("northfield-pd", "mill-bridge", "fixed", 42.3391, -71.0942, 95.0, "infrared",
               (Lane(0.0, "rear"),), softness=0.5),
        Camera("northfield-pd", "car-12", "mobile", 42.3318, -71.1120, 270.0, "overcast",
               (Lane(1.3, "rear", every=5.0, parked=True),),
               view=View(focal=2100, above=1.35, pitch=0.03, pan=0.10), near=5.2, far=18.0,
               idle_every=2, moves=8.0, road=Road(-4.2, 3.0, (-1.0,))),
    ),
    (
        Camera("lakeshore-so", "route-9-west", "fixed", 42.2970, -71.3012, 268.0, "day",
               (Lane(-1.75, "front", (10, 15), 9.0), Lane(1.75, "rear", (10, 15), 9.0)),
               view=View(focal=2600, above=4.0, pitch=0.30), near=6.6, far=18.0),
        Camera("lakeshore-so", "harbor-gate", "fixed", 42.2811, -71.0350, 180.0, "dusk",
               (Lane(0.0, "front", (6, 10)),), softness=0.4),
        Camera("lakeshore-so", "trailer-3", "portable", 42.2876, -71.2320, 45.0, "overcast",
               (Lane(1.1, "rear", (8, 13), 7.0),),
               view=View(focal=3400, above=2.2, pitch=0.07, pan=0.06), near=8.5, far=32.0,
               idle_every=4),
    ),
    (
        Camera("state-patrol", "toll-2", "fixed", 42.2587, -71.5530, 90.0, "night",
               (Lane(0.1, "rear", (6, 10)),), softness=0.4),
        Camera("state-patrol", "car-31", "mobile", 42.2630, -71.8020, 0.0, "infrared",
               (Lane(-1.6, "rear", every=5.0, parked=True),),
               view=View(focal=2100, above=1.35, pitch=0.03, pan=-0.12), near=5.2, far=18.0,
               idle_every=2, moves=8.0, road=Road(-3.4, 4.2, (1.0,))),
    ),
)  # fmt: skip


def demo_world(seed: int, *, agencies: int = 3, vehicles: int = 150) -> World:
    """Cameras of up to three made-up agencies, and the vehicles that pass them.

    Raises ValueError when `agencies` is not 1, 2 or 3.
    """
    if not 1 <= agencies <= len(_CAMERAS):
        raise ValueError(f"agencies must be from 1 to {len(_CAMERAS)}, got {agencies}")
    cameras = tuple(camera for group in _CAMERAS[:agencies] for camera in group)
    return World(seed, cameras, make_vehicles(seed, vehicles))
