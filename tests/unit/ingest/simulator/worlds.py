"""A small world for tests: one day camera and one moving infrared camera."""

from __future__ import annotations

from datetime import UTC, datetime

from ingest.simulator.geometry import View
from ingest.simulator.world import Camera, Lane, World, make_vehicles

START = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def small_world(seed: int) -> World:
    return World(
        seed,
        (
            Camera("a-pd", "gate", "fixed", 42.0, -71.0, 10.0, "day", (Lane(0, "rear", every=2),)),
            Camera(
                "b-so", "car-1", "mobile", 42.0, -71.0, 90.0, "infrared",
                (Lane(1.3, "rear", every=2, parked=True),),
                view=View(focal=2100, above=1.35, pitch=0.03, pan=0.1), near=5.2, far=18,
                idle_every=0, moves=8.0,
            ),
        ),
        make_vehicles(seed, 40),
    )  # fmt: skip
