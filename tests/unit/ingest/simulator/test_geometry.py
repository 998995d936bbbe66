from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.simulator.geometry import View, upright
from ingest.simulator.plates import METRES


def test_a_point_on_the_axis_lies_in_the_middle() -> None:
    view = View(pitch=0.2, above=3.0)
    distance = 3.0 / np.tan(0.2)
    u, v = view.project((0.0, 0.0, distance))
    assert u == pytest.approx(view.width / 2)
    assert v == pytest.approx(view.height / 2)


@given(x=st.floats(-3, 3), z=st.floats(6, 60), focal=st.floats(500, 6000), above=st.floats(1, 6))
def test_right_is_right_up_is_up_and_far_is_small(
    x: float, z: float, focal: float, above: float
) -> None:
    view = View(focal=focal, above=above, pitch=0.1)
    here = view.project(upright(x, 0.8, z, *METRES, 0.0))
    assert (here[1] - here[0])[0] > 0, "the right edge is to the right"
    assert here[0][1] < here[3][1], "the upper edge is above the lower"
    there = view.project(upright(x, 0.8, z * 2, *METRES, 0.0))
    assert np.ptp(there[:, 0]) < np.ptp(here[:, 0])


def test_the_horizon_is_where_far_ground_goes() -> None:
    view = View(pitch=0.05, focal=2000)
    assert view.project((0.0, 0.0, 1e7))[1] == pytest.approx(view.horizon, abs=0.01)
