"""Draws the pictures that a plan asks for."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from alpr.errors import PlatelakeError
from ingest.simulator.designs import DESIGNS
from ingest.simulator.geometry import View
from ingest.simulator.looks import LOOKS, Look
from ingest.simulator.plan import Exposure, Sighting
from ingest.simulator.plates import Picture, draw_plate
from ingest.simulator.scenery import PERIOD, PHASES, draw_scene
from ingest.simulator.vehicles import End, Ends, draw_end, put_vehicle
from ingest.simulator.world import Camera, Vehicle, World

_SCENES, _DETAILS, _NOISE = 11, 12, 13
_MARGIN = 64
"""Pixels by which the sheet of noise is larger than a picture, so that it can be moved about."""


class CameraArtist:
    """Draws one camera's pictures: the scene, once; vehicles, noise and lens for each picture."""

    def __init__(self, world: World, index: int) -> None:
        self._world, self._index = world, index
        self._camera = world.cameras[index]
        self._look = LOOKS[self._camera.light]
        rng = np.random.default_rng((world.seed, _SCENES, index))
        phases = PHASES if self._camera.moves else 1
        self._scenes = draw_scene(
            self._camera.view, self._camera.road, self._look, rng, phases=phases
        )
        self._bright, self._dark = _noise(self._camera.view, self._look, world.seed)
        self._ends = lru_cache(maxsize=8)(self._draw_ends)

    def draw(self, exposure: Exposure) -> Picture:
        """The picture of one exposure, height × width × 3 BGR."""
        camera = self._camera
        travelled = camera.moves * exposure.at
        phase = int(travelled % PERIOD / PERIOD * len(self._scenes))
        picture = self._scenes[phase].copy()
        for sighting in exposure.sightings:
            self._put(picture, sighting)
        rng = np.random.default_rng((self._world.seed, _NOISE, self._index, exposure.sequence))
        y, x = rng.integers(0, _MARGIN, 2)
        window = (slice(y, y + camera.view.height), slice(x, x + camera.view.width))
        cv2.add(picture, self._bright[window], dst=picture)
        cv2.subtract(picture, self._dark[window], dst=picture)
        return picture

    def jpeg(self, exposure: Exposure) -> bytes:
        """The picture of one exposure as the camera sends it."""
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._camera.quality]
        done, data = cv2.imencode(".jpg", self.draw(exposure), quality)
        if not done:
            raise PlatelakeError("OpenCV could not encode a simulated picture as JPEG")
        return data.tobytes()

    def _draw_ends(self, vehicle: Vehicle, end: End) -> Ends:
        rng = np.random.default_rng((self._world.seed, _DETAILS, vehicle.number))
        plate = draw_plate(DESIGNS[vehicle.design], vehicle.serial.printed, rng)
        return draw_end(vehicle.body, end, vehicle.paint, plate, self._look, rng)

    def _put(self, picture: Picture, sighting: Sighting) -> None:
        camera, look = self._camera, self._look
        passing = sighting.passing
        ends = self._ends(passing.vehicle, passing.lane.shows)
        window = put_vehicle(picture, camera.view, ends, look, sighting.x, sighting.z, passing.yaw)
        part = picture[window]
        if part.size == 0:
            return
        smear = look.blur * camera.view.focal * camera.view.above / sighting.z**2
        if smear >= 1:
            # An exposure is one movement down or up the picture: a box as long as the path.
            cv2.blur(part, (1, 1 + round(smear)), dst=part)
        if camera.softness > 0:
            cv2.GaussianBlur(part, (0, 0), camera.softness, dst=part)
        if look.lamps:
            _put_lamps(picture, camera, ends, sighting, look)


def _put_lamps(
    picture: Picture, camera: Camera, ends: Ends, sighting: Sighting, look: Look
) -> None:
    """Head lamps glare, tail lamps glow."""
    front = sighting.passing.lane.shows == "front"
    shape = ends.shape
    y = shape.low + (shape.high - shape.low) * (0.78 if front else 0.72)
    reach = 0.42 if front else 0.2
    colour = (1.0, 1.0, 1.0) if front else (0.15, 0.12, 0.9)
    if look.grey:
        level = 0.75 if front else 0.25
        colour = (level, level, level)
    for side in (-0.37, 0.37):
        lamp = camera.view.project((sighting.x + side * shape.width, y, sighting.z))
        radius = round(reach * camera.view.focal / sighting.z)
        _add_glow(picture, float(lamp[0]), float(lamp[1]), radius, colour)


@lru_cache(maxsize=1)
def _glow() -> Picture:
    ys, xs = np.mgrid[-1:1:129j, -1:1:129j]
    distance = np.hypot(xs, ys)
    level = 0.75 * np.exp(-((distance / 0.22) ** 2)) + 0.25 * np.clip(1 - distance, 0, 1) ** 2
    return np.repeat(np.rint(255 * level).astype(np.uint8)[..., None], 3, axis=2)


def _add_glow(
    picture: Picture, x: float, y: float, radius: int, colour: tuple[float, float, float]
) -> None:
    height, width = picture.shape[:2]
    left, top = round(x) - radius, round(y) - radius
    size = 2 * radius + 1
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(width, left + size), min(height, top + size)
    if x1 <= x0 or y1 <= y0:
        return
    glow = cv2.resize(_glow(), (size, size))[y0 - top : y1 - top, x0 - left : x1 - left]
    part = picture[y0:y1, x0:x1]
    cv2.add(part, cv2.multiply(glow, np.array((*colour, 0.0))), dst=part)


def _noise(view: View, look: Look, seed: int) -> tuple[Picture, Picture]:
    """What the sensor's noise adds and what it takes away: two sheets larger than the picture."""
    rng = np.random.default_rng((seed, _NOISE))
    shape = (view.height + _MARGIN, view.width + _MARGIN, 1 if look.grey else 3)
    level = rng.normal(0, look.noise, shape).astype(np.float32)
    level = cv2.GaussianBlur(level, (0, 0), 0.6).reshape(shape) * 1.6
    sheet = np.broadcast_to(np.rint(level), (*shape[:2], 3))
    bright = np.clip(sheet, 0, 255).astype(np.uint8)
    dark = np.clip(-sheet, 0, 255).astype(np.uint8)
    return bright, dark
