"""Turns a plan into the stream of frames that the cameras would send."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from alpr.records import Frame
from ingest.simulator.draw import CameraArtist
from ingest.simulator.plan import Exposure, Plan
from ingest.simulator.world import World

_METRES_A_DEGREE = 111_320.0


def make_artists(world: World) -> tuple[CameraArtist, ...]:
    """An artist for each camera: the slow part of drawing, to be done before the clock starts."""
    return tuple(CameraArtist(world, index) for index in range(len(world.cameras)))


def frames(plan: Plan, artists: Sequence[CameraArtist] | None = None) -> Iterator[Frame]:
    """Every frame of `plan` in order of capture time, drawn as it is asked for.

    `received_at` equals `captured_at`: whoever sends a frame on sets it.
    `artists` are those of the plan's world.
    """
    ready = make_artists(plan.world) if artists is None else artists
    for exposure in plan.exposures:
        yield _frame(plan, exposure, ready[exposure.camera].jpeg(exposure))


def _frame(plan: Plan, exposure: Exposure, jpeg: bytes) -> Frame:
    camera = plan.world.cameras[exposure.camera]
    at = plan.captured_at(exposure)
    course = math.radians(camera.heading)
    travelled = camera.moves * exposure.at / _METRES_A_DEGREE
    return Frame(
        agency=camera.agency,
        camera=camera.name,
        camera_kind=camera.kind,
        captured_at=at,
        received_at=at,
        sequence=exposure.sequence,
        latitude=round(camera.latitude + travelled * math.cos(course), 6),
        longitude=round(
            camera.longitude
            + travelled * math.sin(course) / math.cos(math.radians(camera.latitude)),
            6,
        ),
        heading=camera.heading,
        jpeg=jpeg,
    )


def paced(
    stream: Iterable[Frame], clock: Callable[[], datetime], sleep: Callable[[float], None]
) -> Iterator[Frame]:
    """Yield each frame no sooner than its capture time; `sleep` is given seconds.

    A stream that cannot keep up is not thinned: its frames come late.
    """
    for frame in stream:
        wait = (frame.captured_at - clock()).total_seconds()
        if wait > 0:
            sleep(wait)
        yield frame
