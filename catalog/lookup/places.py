"""Where on Earth: boxes, circles and GeoJSON polygons over columns of WGS 84 degrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from alpr.errors import BadInput

Degrees = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_EARTH_M: Final = 6_371_008.8
"""Mean radius (IUGG)."""


@dataclass(frozen=True)
class Box:
    """South and west edge inclusive, north and east edge exclusive."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        if not (-90 <= self.south < self.north <= 90 and -180 <= self.west < self.east <= 180):
            raise BadInput("bad-area", "a box is south,west,north,east in degrees, ascending")

    def contains(self, latitude: Degrees, longitude: Degrees) -> Mask:
        """Which places lie in it; a missing place (NaN) does not."""
        return (
            (latitude >= self.south)
            & (latitude < self.north)
            & (longitude >= self.west)
            & (longitude < self.east)
        )


@dataclass(frozen=True)
class Circle:
    """Everything within `radius_m` metres of a place, over the ground."""

    latitude: float
    longitude: float
    radius_m: float

    def __post_init__(self) -> None:
        placed = -90 <= self.latitude <= 90 and -180 <= self.longitude <= 180
        if not placed or not 0 < self.radius_m <= 1_000_000:
            raise BadInput("bad-area", "a circle is latitude,longitude,metres, up to 1,000 km")

    def contains(self, latitude: Degrees, longitude: Degrees) -> Mask:
        """Which places lie in it; a missing place (NaN) does not."""
        # Most places are further north or south than the radius alone allows.
        inside: Mask = np.abs(latitude - self.latitude) <= self._reach_degrees
        inside[inside] = self._metres(latitude[inside], longitude[inside]) <= self.radius_m
        return inside

    @property
    def _reach_degrees(self) -> float:
        return float(np.degrees(self.radius_m / _EARTH_M)) * (1 + 1e-9)

    def _metres(self, latitude: Degrees, longitude: Degrees) -> Degrees:
        north, own = np.radians(latitude), np.radians(self.latitude)
        half = np.sin((north - own) / 2) ** 2
        wide = np.sin(np.radians(longitude - self.longitude) / 2) ** 2
        chord = half + np.cos(north) * np.cos(own) * wide
        metres: Degrees = 2 * _EARTH_M * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))
        return metres


@dataclass(frozen=True)
class Polygon:
    """A ring of (longitude, latitude) with holes, as GeoJSON (RFC 7946) has them; even-odd rule."""

    rings: tuple[tuple[tuple[float, float], ...], ...]

    @staticmethod
    def parse(document: Mapping[str, Any]) -> Polygon:
        """From a GeoJSON Polygon, or a Feature of one. Raises BadInput (`bad-area`)."""
        shape = document.get("geometry", document) if isinstance(document, Mapping) else {}
        try:
            if shape["type"] != "Polygon":
                raise KeyError
            rings = tuple(
                tuple((float(point[0]), float(point[1])) for point in ring)
                for ring in shape["coordinates"]
            )
        except (KeyError, TypeError, ValueError, IndexError):
            raise BadInput("bad-area", "a GeoJSON Polygon was required") from None
        return Polygon(rings)

    def __post_init__(self) -> None:
        for ring in self.rings:
            if len(ring) < 4 or ring[0] != ring[-1]:
                raise BadInput("bad-area", "a ring has four points or more, the last as the first")
        if not self.rings or sum(map(len, self.rings)) > 10_000:
            raise BadInput("bad-area", "a polygon has 1 to 10,000 points")

    def contains(self, latitude: Degrees, longitude: Degrees) -> Mask:
        """Which places lie in it; a missing place (NaN) does not."""
        inside = np.zeros(len(latitude), np.bool_)
        for ring in self.rings:
            for (x1, y1), (x2, y2) in pairwise(ring):
                if y1 == y2:
                    continue
                crosses = (latitude >= min(y1, y2)) & (latitude < max(y1, y2))
                inside ^= crosses & (longitude < x1 + (latitude - y1) * (x2 - x1) / (y2 - y1))
        return inside


Area = Box | Circle | Polygon


def parse_area(text: str) -> Area:
    """`SOUTH,WEST,NORTH,EAST` is a box, `LAT,LON,METRES` a circle. Raises BadInput (`bad-area`)."""
    try:
        numbers: Sequence[float] = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) == 4:
        return Box(*numbers)
    if len(numbers) == 3:
        return Circle(*numbers)
    raise BadInput("bad-area", "SOUTH,WEST,NORTH,EAST or LAT,LON,METRES was required")
