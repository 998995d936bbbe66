"""Draws the end of a vehicle that carries the plate, and the surfaces behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np

from ingest.simulator.geometry import Points, View, upright
from ingest.simulator.lettering import Mask
from ingest.simulator.looks import Look
from ingest.simulator.plates import METRES, Picture, bgr

Body = Literal["sedan", "suv", "pickup", "van"]
End = Literal["rear", "front"]

Point = tuple[float, float, float]
Placer = Callable[[float, float, float], Point]
"""From (metres right of the vehicle's middle, above the road, behind its end) to the road."""

PIXELS_PER_METRE = 480
"""Resolution of a drawn end: a plate on it is 146 pixels wide."""

PAINTS = (
    0xE9E9E6, 0x1B1C1F, 0x8C9094, 0xB9BCBF, 0x7A1F23, 0x23395F, 0x4A5058, 0x2E4A3C, 0xC9C3B4,
    0x5C6B7A, 0xA33A2C, 0x3B3F46,
)  # fmt: skip
"""Body colours, 0xRRGGBB, about as common as on the road."""


@dataclass(frozen=True)
class Shape:
    """Outline of one end of a body, in metres."""

    width: float
    low: float
    """Lower edge of the bumper above the road."""
    high: float
    """Upper edge of the end."""
    plate: float
    """Height of the plate's centre above the road."""
    profile: tuple[tuple[float, float, bool], ...]
    """What lies behind: (distance back, height, whether it is glass up to here)."""


SHAPES: dict[tuple[Body, End], Shape] = {
    ("sedan", "rear"): Shape(1.80, 0.24, 1.02, 0.78,
        ((0.5, 1.06, False), (1.25, 1.40, True), (2.7, 1.43, False))),
    ("sedan", "front"): Shape(1.80, 0.20, 0.78, 0.48,
        ((1.1, 0.98, False), (1.9, 1.40, True), (3.2, 1.42, False))),
    ("suv", "rear"): Shape(1.88, 0.30, 1.12, 0.86,
        ((0.28, 1.66, True), (2.9, 1.72, False))),
    ("suv", "front"): Shape(1.88, 0.28, 0.98, 0.58,
        ((0.95, 1.12, False), (1.6, 1.66, True), (3.4, 1.72, False))),
    ("pickup", "rear"): Shape(1.96, 0.46, 1.22, 0.62,
        ((1.7, 1.22, False), (1.95, 1.80, True), (3.3, 1.84, False))),
    ("pickup", "front"): Shape(1.96, 0.42, 1.18, 0.70,
        ((1.1, 1.28, False), (1.7, 1.80, True), (3.0, 1.84, False))),
    ("van", "rear"): Shape(1.94, 0.30, 1.15, 0.80,
        ((0.12, 1.85, True), (4.0, 1.92, False))),
    ("van", "front"): Shape(1.94, 0.28, 1.02, 0.56,
        ((0.55, 1.18, False), (1.25, 1.80, True), (4.2, 1.90, False))),
}  # fmt: skip


@dataclass(frozen=True)
class Ends:
    """A drawn end at falling resolutions (each half the one before), with its outline."""

    shape: Shape
    pictures: tuple[Picture, ...]
    masks: tuple[Mask, ...]
    paint: tuple[float, float, float]


def plate_corners(shape: Shape, x: float, z: float, yaw: float) -> Points:
    """Where the plate's corners are on the road (4, 3), from top left, clockwise."""
    return upright(x, shape.plate, z, METRES[0], METRES[1], yaw)


def draw_end(
    body: Body, end: End, paint: int, plate: Picture, look: Look, rng: np.random.Generator
) -> Ends:
    """Draw one end in `look` with `plate` (daylight) mounted. `rng` varies the details."""
    shape = SHAPES[body, end]
    scale = PIXELS_PER_METRE
    width, height = round(shape.width * scale), round((shape.high - shape.low) * scale)
    picture = _bodywork(width, height, paint, end)
    if end == "rear":
        _rear_details(picture, body, rng)
    else:
        _front_details(picture, rng)
    centre = (width // 2, round((shape.high - shape.plate) * scale))
    _recess(picture, centre, paint)
    picture = look.lit(picture)
    sheet = cv2.resize(
        look.lit_plate(plate), (round(METRES[0] * scale), round(METRES[1] * scale)),
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    y, x = centre[1] - sheet.shape[0] // 2, centre[0] - sheet.shape[1] // 2
    picture[y : y + sheet.shape[0], x : x + sheet.shape[1]] = sheet
    mask = _outline(width, height)
    pictures, masks = [picture], [mask]
    for _ in range(2):
        half = (pictures[-1].shape[1] // 2, pictures[-1].shape[0] // 2)
        pictures.append(_shrunk(pictures[-1], half))
        masks.append(_shrunk(masks[-1], half))
    return Ends(shape, tuple(pictures), tuple(masks), look.colour(bgr(paint)))


def _shrunk(picture: Picture, size: tuple[int, int]) -> Picture:
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _bodywork(width: int, height: int, paint: int, end: End) -> Picture:
    """Painted metal: lighter above, a crease, a darker bumper below."""
    rows = np.linspace(0, 1, height)
    light = 1.12 - 0.34 * rows + 0.10 * np.exp(-(((rows - 0.10) / 0.05) ** 2))
    light = np.where(rows > 0.62, light * 0.93, light)
    light = np.where(rows > 0.9, 0.35, light)
    light = np.where(np.abs(rows - 0.62) < 0.008, 0.55, light)
    across = 1 - 0.22 * np.abs(np.linspace(-1, 1, width)) ** 3
    shade = (light[:, None] * across[None, :])[..., None]
    if end == "front":
        shade = shade * 0.98
    return np.clip(np.array(bgr(paint)) * shade + 6, 0, 255).astype(np.uint8)


@lru_cache(maxsize=16)
def _outline(width: int, height: int) -> Mask:
    mask = np.zeros((height, width), np.uint8)
    r = round(height * 0.16)
    cv2.rectangle(mask, (r, 0), (width - r, height), (255,), -1)
    cv2.rectangle(mask, (0, r), (width, height - r), (255,), -1)
    for x in (r, width - r - 1):
        for y in (r, height - r - 1):
            cv2.circle(mask, (x, y), r, (255,), -1, cv2.LINE_AA)
    return mask


def _recess(picture: Picture, centre: tuple[int, int], paint: int) -> None:
    half_x, half_y = round(METRES[0] * 0.62 * 480), round(METRES[1] * 0.72 * 480)
    dark = tuple(0.42 * value + 8 for value in bgr(paint))
    x, y = centre
    cv2.rectangle(picture, (x - half_x, y - half_y), (x + half_x, y + half_y), dark, -1)
    cv2.line(picture, (x - half_x, y - half_y), (x + half_x, y - half_y), (24, 24, 26), 4)


def _rear_details(picture: Picture, body: Body, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    lamp_w = round(width * rng.uniform(0.10, 0.20))
    lamp_h = round(height * rng.uniform(0.16, 0.30))
    if body in ("pickup", "van"):
        lamp_w, lamp_h = round(width * 0.08), round(height * 0.42)
    top = round(height * 0.14)
    for left in (round(width * 0.015), width - lamp_w - round(width * 0.015)):
        cv2.rectangle(picture, (left, top), (left + lamp_w, top + lamp_h), (34, 22, 150), -1)
        inner = (left + lamp_w // 5, top + lamp_h // 5)
        outer = (left + lamp_w * 4 // 5, top + lamp_h // 2)
        cv2.rectangle(picture, inner, outer, (70, 60, 215), -1)
        low = (left + lamp_w // 5, top + lamp_h * 3 // 5)
        cv2.rectangle(picture, low, (outer[0], top + lamp_h * 4 // 5), (200, 205, 215), -1)
    seam = (40, 40, 44)
    y = round(height * 0.60)
    cv2.line(picture, (lamp_w, y), (width - lamp_w, y), seam, 3, cv2.LINE_AA)
    badge = round(width * rng.uniform(0.018, 0.028))
    cv2.circle(picture, (width // 2, round(height * 0.10)), badge, (205, 208, 210), -1, cv2.LINE_AA)
    for side in (0.2, 0.8):
        centre = (round(width * side), round(height * 0.95))
        cv2.ellipse(picture, centre, (width // 34, height // 26), 0, 0, 360, (70, 70, 72), -1)


def _front_details(picture: Picture, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    grille_h = round(height * rng.uniform(0.18, 0.28))
    top = round(height * 0.12)
    left, right = round(width * 0.26), round(width * 0.74)
    cv2.rectangle(picture, (left, top), (right, top + grille_h), (26, 26, 28), -1)
    for line in range(top + 6, top + grille_h, max(8, grille_h // 5)):
        cv2.line(picture, (left + 4, line), (right - 4, line), (92, 94, 96), 3)
    cv2.circle(picture, (width // 2, top + grille_h // 2), width // 40, (210, 212, 214), -1,
               cv2.LINE_AA)  # fmt: skip
    lamp = (round(width * 0.095), round(height * 0.12))
    for side in (0.13, 0.87):
        centre = (round(width * side), top + grille_h // 2)
        cv2.ellipse(picture, centre, lamp, 0, 0, 360, (60, 60, 62), -1, cv2.LINE_AA)
        inner = (round(lamp[0] * 0.85), round(lamp[1] * 0.8))
        cv2.ellipse(picture, centre, inner, 0, 0, 360, (228, 232, 234), -1, cv2.LINE_AA)
        fog = (round(width * side), round(height * 0.78))
        cv2.circle(picture, fog, round(height * 0.045), (190, 195, 198), -1, cv2.LINE_AA)
    low = round(height * 0.74)
    cv2.rectangle(picture, (round(width * 0.3), low), (round(width * 0.7), round(height * 0.9)),
                  (30, 30, 32), -1)  # fmt: skip


def put_vehicle(
    picture: Picture, view: View, ends: Ends, look: Look, x: float, z: float, yaw: float
) -> tuple[slice, slice]:
    """Draw the vehicle into `picture` in place; return the part of the picture it touched.

    (x, z) is the middle of the end that carries the plate, in metres.
    """
    shape = ends.shape
    half = shape.width / 2
    back = np.array([-np.sin(yaw), np.cos(yaw)])
    across = np.array([np.cos(yaw), np.sin(yaw)])

    def at(side: float, y: float, distance: float) -> Point:
        ground = np.array([x, z]) + across * side + back * distance
        return float(ground[0]), y, float(ground[1])

    length = shape.profile[-1][0] + 1.2
    shadow = [at(-half - 0.1, 0, -0.15), at(half + 0.1, 0, -0.15), at(half + 0.1, 0, length),
              at(-half - 0.1, 0, length)]  # fmt: skip
    _polygon(picture, view, shadow, look.colour((34, 33, 32)))
    side = -1.0 if x > 0 else 1.0
    if abs(x) > half:
        _put_side(picture, view, shape, ends.paint, look, at, side)
    heights = [(0.0, shape.high, False), *shape.profile]
    taper = [1.0 if y < 1.15 else 0.86 for _, y, _ in heights]
    for number in range(len(heights) - 1, 0, -1):
        (d0, y0, _), (d1, y1, glass) = heights[number - 1], heights[number]
        w0, w1 = half * taper[number - 1], half * taper[number]
        quad = [at(-w1, y1, d1), at(w1, y1, d1), at(w0, y0, d0), at(-w0, y0, d0)]
        _polygon(
            picture, view, quad, tuple(value * (0.82 if glass else 1.02) for value in ends.paint)
        )
        if glass:
            _put_glass(picture, view, quad, look)
    for wheel in (-1.0, 1.0):
        inner, outer = wheel * (half - 0.28), wheel * (half - 0.06)
        tyre = [at(inner, 0.5, 0.12), at(outer, 0.5, 0.12), at(outer, 0.0, 0.12),
                at(inner, 0.0, 0.12)]  # fmt: skip
        _polygon(picture, view, tyre, look.colour((30, 29, 28)))
    corners = view.project(upright(x, (shape.high + shape.low) / 2, z, shape.width,
                                   shape.high - shape.low, yaw))  # fmt: skip
    _put_end(picture, ends, corners)
    outline = view.project([at(s, y, d) for s in (-half, half) for y, d in
                            ((0, 0), (0, length), (shape.profile[-1][1], shape.profile[-1][0]),
                             (shape.high, 0))])  # fmt: skip
    return _window(picture, outline)


def _window(picture: Picture, points: Points) -> tuple[slice, slice]:
    height, width = picture.shape[:2]
    left, top = np.floor(points.min(0)).astype(int)
    right, bottom = np.ceil(points.max(0)).astype(int) + 1
    return (
        slice(int(np.clip(top, 0, height)), int(np.clip(bottom, 0, height))),
        slice(int(np.clip(left, 0, width)), int(np.clip(right, 0, width))),
    )


def _polygon(
    picture: Picture, view: View, points: Sequence[Point] | Points, paint: tuple[float, ...]
) -> None:  # fmt: skip
    pixels = np.rint(view.project(points) * 16).astype(np.int32)
    cv2.fillConvexPoly(picture, pixels, tuple(min(255.0, p) for p in paint), cv2.LINE_AA, 4)


def _put_glass(picture: Picture, view: View, quad: Sequence[Point], look: Look) -> None:
    corners = np.array(quad)
    middle = corners.mean(0)
    inset = middle + (corners - middle) * (0.88, 0.82, 0.82)
    _polygon(picture, view, inset, look.colour((62, 54, 46)))
    top = np.array([inset[0], inset[1], (2 * inset[1] + inset[2]) / 3,
                    (2 * inset[0] + inset[3]) / 3])  # fmt: skip
    _polygon(picture, view, top, look.colour((118, 104, 90)))


def _put_side(
    picture: Picture, view: View, shape: Shape, paint: tuple[float, ...], look: Look,
    at: Placer, side: float,
) -> None:  # fmt: skip
    """The flank that the camera sees: body, windows, wheels."""
    edge = side * shape.width / 2
    length = shape.profile[-1][0] + 1.2
    belt = max(shape.high, 1.0)
    body = [at(edge, shape.low, 0), at(edge, shape.high, 0), at(edge, belt, length),
            at(edge, shape.low, length)]  # fmt: skip
    _polygon(picture, view, body, tuple(0.72 * value for value in paint))
    roof = [(d, y) for d, y, _ in shape.profile if y > belt + 0.2]
    if roof:
        first = max((d for d, y, _ in shape.profile if y <= belt + 0.2), default=0.1)
        cabin = [at(edge, belt, first), *(at(edge * 0.86, y, d) for d, y in roof),
                 at(edge, belt, length)]  # fmt: skip
        _polygon(picture, view, cabin, look.colour((52, 46, 40)))
    for distance in (0.75, length - 0.9):
        turns = np.linspace(0, 2 * np.pi, 20)
        for radius, shade in ((0.34, 26), (0.20, 128)):
            rim = [at(edge * 1.01, 0.34 + radius * np.sin(t), distance + radius * np.cos(t))
                   for t in turns]  # fmt: skip
            _polygon(picture, view, rim, look.colour((shade, shade, shade)))


def _put_end(picture: Picture, ends: Ends, corners: Points) -> None:
    """Warp the drawn end onto its four corners, at the resolution just above what is needed."""
    rows, columns = _window(picture, corners)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    width = float(np.hypot(*(corners[1] - corners[0])))
    level = 0
    while level + 1 < len(ends.pictures) and ends.pictures[level + 1].shape[1] >= width:
        level += 1
    source, mask = ends.pictures[level], ends.masks[level]
    h, w = source.shape[:2]
    edges = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32) - 0.5
    target = (corners - (columns.start, rows.start)).astype(np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(edges, target)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    warped = cv2.warpPerspective(source, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpPerspective(mask, matrix, size)
    part = picture[rows, columns]
    alpha = cover.astype(np.uint16)[..., None]
    part[:] = ((warped * alpha + part * (255 - alpha) + 127) // 255).astype(np.uint8)
