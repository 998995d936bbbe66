"""Where a state lies: boxes of latitude and longitude, to notice a camera that is elsewhere.

Rounded outward to a tenth of a degree (about 10 km) from the U.S. Census Bureau's cartographic
boundary files of the states, with the islands that their generalised outlines leave out, and a
tenth more all round.
A box holds its whole state, and parts of its neighbours: outside means wrong, inside does not
mean right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Box:
    """South <= latitude <= north and west <= longitude <= east, WGS 84 degrees.

    `west` may be greater than `east`: then the box crosses the 180th meridian.
    """

    south: float
    north: float
    west: float
    east: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a place lies in it, edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


STATES: Final[Mapping[str, Box]] = {
    "AK": Box(51.1, 71.6, 172.3, -129.8),
    "AL": Box(30.1, 35.2, -88.6, -84.7),
    "AR": Box(32.9, 36.7, -94.8, -89.6),
    "AZ": Box(31.2, 37.2, -115.0, -108.9),
    "CA": Box(32.4, 42.2, -124.6, -114.0),
    "CO": Box(36.8, 41.2, -109.2, -101.9),
    "CT": Box(40.8, 42.2, -73.9, -71.6),
    "DC": Box(38.6, 39.1, -77.3, -76.8),
    "DE": Box(38.3, 40.0, -75.9, -74.9),
    "FL": Box(24.3, 31.2, -87.8, -79.8),
    "GA": Box(30.2, 35.2, -85.8, -80.7),
    "HI": Box(18.8, 22.4, -160.4, -154.7),
    "IA": Box(40.2, 43.7, -96.8, -90.0),
    "ID": Box(41.8, 49.2, -117.4, -110.9),
    "IL": Box(36.8, 42.7, -91.7, -87.3),
    "IN": Box(37.6, 41.9, -88.2, -84.7),
    "KS": Box(36.8, 40.2, -102.2, -94.5),
    "KY": Box(36.3, 39.3, -89.6, -81.8),
    "LA": Box(28.8, 33.2, -94.2, -88.7),
    "MA": Box(41.1, 43.0, -73.7, -69.8),
    "MD": Box(37.8, 39.9, -79.6, -74.9),
    "ME": Box(42.8, 47.6, -71.2, -66.8),
    "MI": Box(41.5, 48.4, -90.6, -82.0),
    "MN": Box(43.4, 49.5, -97.4, -89.5),
    "MO": Box(35.8, 40.8, -95.9, -89.0),
    "MS": Box(30.0, 35.1, -91.8, -87.9),
    "MT": Box(44.2, 49.2, -116.2, -103.9),
    "NC": Box(33.7, 36.7, -84.5, -75.3),
    "ND": Box(45.8, 49.2, -104.2, -96.4),
    "NE": Box(39.9, 43.2, -104.2, -95.2),
    "NH": Box(42.5, 45.5, -72.7, -70.6),
    "NJ": Box(38.8, 41.5, -75.7, -73.8),
    "NM": Box(31.2, 37.2, -109.2, -102.9),
    "NV": Box(34.9, 42.2, -120.2, -113.9),
    "NY": Box(40.4, 45.2, -79.9, -71.7),
    "OH": Box(38.3, 42.1, -85.0, -80.4),
    "OK": Box(33.5, 37.2, -103.2, -94.3),
    "OR": Box(41.8, 46.4, -124.7, -116.3),
    "PA": Box(39.6, 42.4, -80.7, -74.5),
    "RI": Box(41.0, 42.2, -72.0, -71.0),
    "SC": Box(31.9, 35.3, -83.5, -78.4),
    "SD": Box(42.3, 46.1, -104.2, -96.3),
    "TN": Box(34.8, 36.8, -90.5, -81.5),
    "TX": Box(25.7, 36.7, -106.8, -93.4),
    "UT": Box(36.9, 42.2, -114.2, -108.9),
    "VA": Box(36.4, 39.6, -83.8, -75.1),
    "VT": Box(42.6, 45.2, -73.6, -71.3),
    "WA": Box(45.4, 49.2, -124.9, -116.8),
    "WI": Box(42.3, 47.1, -93.0, -86.9),
    "WV": Box(37.1, 40.8, -82.8, -77.6),
    "WY": Box(40.8, 45.2, -111.2, -103.9),
}
"""By postal code: the fifty states and the District of Columbia."""
