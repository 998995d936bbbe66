import pytest

from alpr.places import STATES, Box

# The capitals, from the National Atlas; DC stands for itself.
CAPITALS = {
    "AK": (58.302, -134.420), "AL": (32.377, -86.300), "AR": (34.747, -92.289),
    "AZ": (33.448, -112.097), "CA": (38.577, -121.494), "CO": (39.739, -104.985),
    "CT": (41.764, -72.683), "DC": (38.890, -77.009), "DE": (39.157, -75.520),
    "FL": (30.438, -84.281), "GA": (33.749, -84.388), "HI": (21.307, -157.857),
    "IA": (41.591, -93.604), "ID": (43.618, -116.200), "IL": (39.798, -89.655),
    "IN": (39.769, -86.163), "KS": (39.048, -95.678), "KY": (38.187, -84.875),
    "LA": (30.457, -91.187), "MA": (42.358, -71.064), "MD": (38.979, -76.491),
    "ME": (44.307, -69.782), "MI": (42.734, -84.555), "MN": (44.955, -93.102),
    "MO": (38.579, -92.173), "MS": (32.304, -90.182), "MT": (46.586, -112.018),
    "NC": (35.780, -78.639), "ND": (46.821, -100.783), "NE": (40.808, -96.700),
    "NH": (43.207, -71.538), "NJ": (40.220, -74.770), "NM": (35.682, -105.940),
    "NV": (39.164, -119.766), "NY": (42.653, -73.757), "OH": (39.961, -82.999),
    "OK": (35.492, -97.503), "OR": (44.938, -123.030), "PA": (40.264, -76.884),
    "RI": (41.831, -71.415), "SC": (34.000, -81.033), "SD": (44.367, -100.346),
    "TN": (36.166, -86.784), "TX": (30.275, -97.740), "UT": (40.777, -111.888),
    "VA": (37.539, -77.433), "VT": (44.262, -72.581), "WA": (47.036, -122.905),
    "WI": (43.075, -89.384), "WV": (38.336, -81.612), "WY": (41.140, -104.820),
}  # fmt: skip


@pytest.mark.parametrize("state", CAPITALS)
def test_a_state_holds_its_capital(state: str) -> None:
    assert STATES[state].holds(*CAPITALS[state])


def test_all_states_are_there() -> None:
    assert STATES.keys() == CAPITALS.keys()


@pytest.mark.parametrize(
    ("state", "latitude", "longitude"),
    [
        ("FL", 24.55, -81.80),  # Key West
        ("MA", 41.28, -70.10),  # Nantucket
        ("NY", 41.07, -71.86),  # Montauk
        ("RI", 41.15, -71.58),  # Block Island
        ("NC", 35.25, -75.53),  # Cape Hatteras
        ("ME", 44.81, -66.95),  # West Quoddy Head
        ("AK", 51.88, -176.65),  # Adak
        ("AK", 52.92, 172.43),  # Attu, beyond the 180th meridian
        ("HI", 21.90, -160.15),  # Niihau
        ("MI", 48.18, -88.50),  # Isle Royale
        ("WA", 48.38, -124.72),  # Cape Flattery
        ("LA", 29.00, -89.15),  # the mouth of the Mississippi
        ("TX", 25.84, -97.40),  # Brownsville
    ],
)
def test_capes_and_islands_are_inside(state: str, latitude: float, longitude: float) -> None:
    assert STATES[state].holds(latitude, longitude)


@pytest.mark.parametrize(
    ("state", "latitude", "longitude"),
    [
        ("CA", 38.577, 121.494),  # the sign of the longitude is missing
        ("CA", -121.494, 38.577),  # the two are swapped
        ("CA", 0.0, 0.0),
        ("MA", 41.50, -81.69),  # Cleveland
        ("AK", 55.75, 37.62),  # Moscow: not every longitude is beyond the meridian
        ("AK", 61.0, -120.0),
    ],
)
def test_elsewhere_is_outside(state: str, latitude: float, longitude: float) -> None:
    assert not STATES[state].holds(latitude, longitude)


def test_no_box_is_empty_and_edges_are_inside() -> None:
    for state, box in STATES.items():
        assert box.south < box.north
        assert box.west < box.east or state == "AK"
        assert box.holds(box.south, box.west)
        assert box.holds(box.north, box.east)
    assert not Box(0, 1, 0, 1).holds(float("nan"), 0)
