"""Quadrilaterals and the perspective maps between them. Points are pixels, x then y.

Pixel (i, j) of a picture covers the square from (j, i) to (j + 1, i + 1).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Quad: TypeAlias = NDArray[np.float64]
"""Corners, 4 x 2: top left, top right, bottom right, bottom left."""

UNIT = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


def homographies(source: Floats, target: Floats) -> Floats:
    """N maps (N x 3 x 3) that take the corners `source` (N x 4 x 2) to `target` (N x 4 x 2)."""
    count = len(source)
    x, y = source[..., 0], source[..., 1]
    u, v = target[..., 0], target[..., 1]
    one, zero = np.ones_like(x), np.zeros_like(x)
    left = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1),
        ],
        axis=1,
    )
    solved = np.linalg.solve(left, np.concatenate([u, v], axis=1)[..., None])[..., 0]
    return np.concatenate([solved, np.ones((count, 1))], axis=1).reshape(count, 3, 3)


def apply(maps: Floats, points: Floats) -> Floats:
    """Points (N x P x 2) through maps (N x 3 x 3)."""
    lifted = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=2)
    moved = lifted @ maps.transpose(0, 2, 1)
    return np.asarray(moved[..., :2] / moved[..., 2:], dtype=np.float64)


def random_quads(
    rng: np.random.Generator, widths: Floats, heights: Floats, strength: float = 1.0
) -> Floats:
    """Plates (N x 4 x 2) around the origin: sheared, in perspective, turned.

    One in seven is turned and sheared twice as far.
    """
    count = len(widths)
    far = strength * np.where(rng.random(count) < 0.15, 2.2, 1.0)
    quads = (UNIT - 0.5)[None] * np.stack([widths, heights], axis=1)[:, None]
    shear, tilt = rng.normal(0, 0.08, (2, count)) * far * np.array([[1.0], [0.8]])
    near, lean = rng.normal(0, 0.035, (2, count)) * far
    turn = np.radians(rng.normal(0, 3.5, count) * far)
    x, y = quads[..., 0].copy(), quads[..., 1].copy()
    x += shear[:, None] * y
    y += tilt[:, None] * 0.5 * x * (heights / widths)[:, None]
    y *= 1 + near[:, None] * np.sign(quads[..., 0])
    x *= 1 + lean[:, None] * np.sign(quads[..., 1])
    cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
    return np.stack([x * cos - y * sin, x * sin + y * cos], axis=2)


def sides(quads: Floats) -> tuple[Floats, Floats]:
    """Mean length of the horizontal and of the vertical sides of N quads."""
    wide = np.linalg.norm(quads[:, 1] - quads[:, 0], axis=1)
    wide = (wide + np.linalg.norm(quads[:, 2] - quads[:, 3], axis=1)) / 2
    high = np.linalg.norm(quads[:, 3] - quads[:, 0], axis=1)
    high = (high + np.linalg.norm(quads[:, 2] - quads[:, 1], axis=1)) / 2
    return np.asarray(wide), np.asarray(high)
