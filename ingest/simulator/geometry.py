"""A pinhole camera above a road.

Road coordinates are metres relative to the camera's foot: x to the right, y
upwards from the road, z forwards along the road. Pixels run right and down.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    """How a camera looks at its road."""

    width: int = 1280
    height: int = 720
    """Size of the picture in pixels."""
    focal: float = 3600.0
    """Focal length in pixels."""
    above: float = 3.0
    """Height of the lens above the road in metres."""
    pitch: float = 0.12
    """Downward tilt in radians."""
    pan: float = 0.0
    """Turn to the right, away from the direction of the road, in radians."""

    @cached_property
    def _rotation(self) -> Points:
        sp, cp, sn, cn = np.sin(self.pitch), np.cos(self.pitch), np.sin(self.pan), np.cos(self.pan)
        turn = np.array([[cn, 0, -sn], [0, 1, 0], [sn, 0, cn]])
        tilt = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        return np.asarray(tilt @ turn)

    def project(self, points: ArrayLike) -> Points:
        """Pixels of road points, (…, 3) to (…, 2); the points must lie before the lens."""
        seen = (np.asarray(points, np.float64) - (0.0, self.above, 0.0)) @ self._rotation.T
        u = self.width / 2 + self.focal * seen[..., 0] / seen[..., 2]
        v = self.height / 2 - self.focal * seen[..., 1] / seen[..., 2]
        return np.stack([u, v], -1)

    @property
    def horizon(self) -> float:
        """Row of the horizon; it may lie outside the picture."""
        return float(self.height / 2 - self.focal * np.tan(self.pitch))


def upright(x: float, y: float, z: float, width: float, height: float, yaw: float) -> Points:
    """Corners (4, 3) of an upright rectangle centred on (x, y, z): from top left, clockwise.

    `yaw` (radians) turns it about its own vertical axis.
    """
    dx, dz = width / 2 * np.cos(yaw), width / 2 * np.sin(yaw)
    top, bottom = y + height / 2, y - height / 2
    return np.array(
        [
            (x - dx, top, z - dz),
            (x + dx, top, z + dz),
            (x + dx, bottom, z + dz),
            (x - dx, bottom, z - dz),
        ]
    )
