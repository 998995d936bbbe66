import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.grammar import SERIALS, fits, serial_pattern
from alpr.places import STATES
from alpr.plates import canonical
from ingest.simulator.serials import PATTERNS, make_serials


def test_every_state_has_serials() -> None:
    assert SERIALS.keys() == STATES.keys()
    assert all(serials and len(set(serials)) == len(serials) for serials in SERIALS.values())


@pytest.mark.parametrize("state", PATTERNS)
def test_what_the_simulator_prints_fits(state: str) -> None:
    rng = np.random.default_rng(7)
    for pattern in PATTERNS[state]:
        plates = map(canonical, make_serials(pattern, 50, rng))
        assert all(fits(plate, state) for plate in plates), pattern


@pytest.mark.parametrize(
    ("plate", "state", "expected"),
    [
        ("7ABC123", "CA", True),
        ("ABC1234", "CA", False),
        ("7ABC12", "CA", False),
        ("7ABC1234", "CA", False),
        ("7ABC123\n", "CA", False),
        ("7abc123", "CA", False),
        ("GOBEARS", "CA", False),
        ("CLA5Z7", "AZ", True),
        ("CLAXZ7", "AZ", False),
        ("ABC1234", "ON", None),
    ],
)
def test_known_cases(plate: str, state: str, expected: bool | None) -> None:
    assert fits(plate, state) is expected


def test_no_pattern_for_a_state_that_is_not_known() -> None:
    assert serial_pattern("XX") is None


@given(
    st.lists(st.text("ABZ019", min_size=1, max_size=8), min_size=1),
    st.sampled_from(sorted(SERIALS)),
)
def test_columns_and_single_plates_are_judged_alike(plates: list[str], state: str) -> None:
    pattern = serial_pattern(state)
    assert pattern is not None
    found = pc.match_substring_regex(pa.array(plates), pattern).to_pylist()
    assert found == [fits(plate, state) for plate in plates]
    assert found == [re.search(pattern, plate) is not None for plate in plates]
