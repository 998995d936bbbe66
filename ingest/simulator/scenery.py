"""Draws what stays when no vehicle is there: road, markings, verges, horizon."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ingest.simulator.geometry import View
from ingest.simulator.looks import Look
from ingest.simulator.plates import Picture

PERIOD = 12.0
"""Metres after which the road looks the same again: a 3 m dash and a 9 m gap."""
PHASES = 12
"""How many pictures of the road a moving camera cycles through."""
_REACH = 144.0
_HALF = 12.0
_DENSITY = 24


@dataclass(frozen=True)
class Road:
    """Edges of the road in metres to the right of the camera, and its lane lines."""

    left: float = -5.4
    right: float = 5.4
    lines: tuple[float, ...] = (-1.8, 1.8)


def draw_scene(
    view: View, road: Road, look: Look, rng: np.random.Generator, *, phases: int = 1
) -> tuple[Picture, ...]:
    """The empty scene, as `phases` pictures each PERIOD / phases metres further along the road."""
    ground = _ground(road, rng)
    backdrop = _backdrop(view, look, rng)
    near = max(1.2, view.above * 0.6)
    corners = [(-_HALF, 0, _REACH), (_HALF, 0, _REACH), (_HALF, 0, near), (-_HALF, 0, near)]
    target = view.project(corners).astype(np.float32)
    width, height = ground.shape[1], ground.shape[0]
    scenes: list[Picture] = []
    for phase in range(phases):
        moved = np.roll(ground, round(phase * PERIOD / phases * _DENSITY), 0)
        visible = round((_REACH - near) * _DENSITY)
        source = np.array([(0, 0), (width, 0), (width, visible), (0, visible)], np.float32)
        matrix = cv2.getPerspectiveTransform(source, target)
        scene = backdrop.copy()
        # Rows go from far to near; the texture is sharper than the picture only far away.
        warped = cv2.warpPerspective(
            moved[height - visible - round(near * _DENSITY) :], matrix, (view.width, view.height),
            flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        edge = max(0, int(np.ceil(target[:2, 1].max())))
        scene[edge:] = warped[edge:]
        scenes.append(_vignette(look.lit(scene), look))
    return tuple(scenes)


def _ground(road: Road, rng: np.random.Generator) -> Picture:
    """Road surface seen from above; rows run from far to near, periodic in PERIOD."""
    rows, columns = round(PERIOD * _DENSITY), round(2 * _HALF * _DENSITY)
    grain = rng.normal(0, 1, (rows, columns)).astype(np.float32)
    patches = cv2.resize(rng.normal(0, 1, (8, 14)).astype(np.float32), (columns, rows))
    surface = np.empty((rows, columns, 3), np.float32)
    surface[:] = (92, 92, 90)
    surface += (grain * 5 + patches * 4)[..., None]

    def column(x: float) -> int:
        return round((x + _HALF) * _DENSITY)

    soft = cv2.resize(rng.normal(0, 1, (rows // 4, columns // 4)).astype(np.float32),
                      (columns, rows))  # fmt: skip
    for part in (slice(0, column(road.left - 0.5)), slice(column(road.right + 0.5), columns)):
        surface[:, part] = (
            np.array((58, 92, 78), np.float32) + (soft * 12 + grain * 9)[:, part, None]
        )
    for x in (road.left, road.right):
        surface[:, column(x) - 2 : column(x) + 2] = (205, 208, 208)
    dash = round(3.0 * _DENSITY)
    for x in road.lines:
        surface[:dash, column(x) - 1 : column(x) + 2] = (208, 210, 210)
    for lane in (*road.lines, 0.0):
        # Two darker wheel tracks in every lane.
        for track in (lane - 0.8, lane + 0.8):
            surface[:, column(track) - 6 : column(track) + 6] -= 5
    once = np.clip(surface, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.tile(once, (round(_REACH / PERIOD) + 1, 1, 1)))


def _backdrop(view: View, look: Look, rng: np.random.Generator) -> Picture:
    """Sky, and trees or buildings along the horizon."""
    picture = np.empty((view.height, view.width, 3), np.uint8)
    share = np.linspace(0, 1, view.height)[:, None]
    top, low = ((26, 22, 20), (44, 38, 34)) if look.dark else ((216, 190, 160), (232, 226, 218))
    picture[:] = np.rint((1 - share) * top + share * low).astype(np.uint8)[:, None]
    horizon = view.horizon + 0.012 * view.focal
    if horizon < 0:
        return picture
    unit = view.focal / 140.0  # pixels of one metre at 140 m
    x = -40.0
    while x < view.width + 40:
        if rng.random() < 0.4:
            w, h = rng.uniform(6, 14) * unit, rng.uniform(4, 11) * unit
            shade = float(rng.uniform(95, 165))
            cv2.rectangle(picture, (round(x), round(horizon - h)), (round(x + w), round(horizon)),
                          (shade, shade, shade + 6), -1)  # fmt: skip
            for row in np.arange(horizon - h + 1.2 * unit, horizon - unit, 2.2 * unit):
                for left in np.arange(x + 0.8 * unit, x + w - 1.2 * unit, 2.0 * unit):
                    corner = (round(left), round(row))
                    far = (round(left + unit), round(row + 1.2 * unit))
                    cv2.rectangle(picture, corner, far, (shade * 0.6,) * 3, -1)
            x += w
        else:
            for _ in range(5):
                centre = (round(x + rng.uniform(0, 6) * unit),
                          round(horizon - rng.uniform(1, 4) * unit))  # fmt: skip
                shade = float(rng.uniform(45, 80))
                cv2.circle(picture, centre, round(rng.uniform(1.5, 3) * unit),
                           (shade * 0.8, shade * 1.25, shade), -1, cv2.LINE_AA)  # fmt: skip
            x += 5 * unit
    return picture


def _vignette(scene: Picture, look: Look) -> Picture:
    """At night the camera's own light falls off towards the edges."""
    if not look.lamps:
        return scene
    height, width = scene.shape[:2]
    ys, xs = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None, :]
    fall = np.clip(1.25 - 0.75 * (xs**2 + 0.6 * (ys - 0.2) ** 2), 0.3, 1.25)
    return np.clip(scene * fall[..., None], 0, 255).astype(np.uint8)
