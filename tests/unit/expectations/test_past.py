"""Worked out by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alpr.errors import ConfigurationError
from expectations.past import Past, count_deviations, deviations, rate_deviations, usual
from expectations.suites import Limits

NAN = float("nan")


def column(*values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(values).reshape(-1, 1)


def test_middle_and_spread_shrug_off_one_outage() -> None:
    middle, spread = usual(column(100, 104, 96, 0), enough=4)
    assert middle[0] == 98
    # Distances from 98: 2, 6, 2, 98; their middle is 4.
    assert spread[0] == pytest.approx(1.4826 * 4)


def test_too_little_past_is_not_judged() -> None:
    past = np.array([[10.0, 10.0], [10.0, NAN], [NAN, NAN], [12.0, 11.0]])
    middle, _ = usual(past, enough=3)
    assert middle[0] == 10
    assert np.isnan(middle[1])
    found = deviations(np.array([10.0, 10.0]), past, 1.0, enough=3)
    assert found[0] == 0
    assert np.isnan(found[1])


def test_the_floor_is_the_least_spread() -> None:
    assert deviations(np.array([0.5]), column(0.9, 0.9, 0.9, 0.9), 0.02, 4)[0] == pytest.approx(-20)


@pytest.mark.parametrize(
    ("now", "past", "expected"),
    [
        (0, 100, -10),  # chance: the root of 100
        (0, 10_000, -10),  # a tenth: more than the root
        (0, 4, -2),  # 4 an hour and none now: may be chance
        (3, 0, 3),  # nothing usual: the least floor is 1
    ],
)
def test_counts(now: float, past: float, expected: float) -> None:
    found = count_deviations(np.array([now], np.float64), column(*[past] * 4), 4)
    assert found[0] == pytest.approx(expected)


@pytest.mark.parametrize("weather", [0.0, 0.1])
def test_a_usual_hour_is_seldom_called_wrong_and_a_lost_one_often(weather: float) -> None:
    """Reads by chance around a camera's own mean, which weeks differ from by some per cent."""
    limits = Limits()
    rng = np.random.default_rng(11)
    means = rng.uniform(1, 500, 100_000)
    weeks = means * np.exp(rng.normal(0, weather, (9, len(means))))
    now, *past = rng.poisson(weeks).astype(np.float64)
    found = count_deviations(now, np.array(past), 4)
    assert np.mean(found < -limits.fewer) < 2e-4
    assert np.mean(found > limits.more) < 2e-5
    half = count_deviations(rng.poisson(weeks[0] / 2).astype(np.float64), np.array(past), 4)
    assert np.mean(half[means > 100] < -limits.fewer) > 0.6
    silent = count_deviations(0 * now, np.array(past), 4)
    assert np.mean(silent[means > 50] < -limits.fewer) > 0.98


def test_rare_counts() -> None:
    found = rate_deviations(np.array([0.0, 3.0, 10.0]), np.array([0.0, 3.0, 0.5]))
    assert found[0] == found[1] == 0
    assert found[2] == pytest.approx(2 * (np.sqrt(10.375) - np.sqrt(0.875)))


def test_rush_hour_stays_rush_hour_over_the_change_of_the_clock() -> None:
    # Wednesday 8 o'clock in New York; summer time ended on Sunday, 1 November 2026.
    hour = datetime(2026, 11, 4, 13, tzinfo=UTC)
    then = list(Past(weeks=2, enough=2, zone="America/New_York").hours(hour))
    assert then == [datetime(2026, 10, 28, 12, tzinfo=UTC), datetime(2026, 10, 21, 12, tzinfo=UTC)]
    assert next(Past(zone="UTC").hours(hour)) == hour - timedelta(weeks=1)


def test_an_hour_that_the_clock_skipped_is_the_one_after() -> None:
    # Half past two does not exist on 8 March 2026.
    hour = datetime(2026, 3, 15, 6, tzinfo=UTC)  # 2 o'clock, a week later
    then = next(Past(zone="America/New_York").hours(hour))
    assert then == datetime(2026, 3, 8, 7, tzinfo=UTC)  # 3 o'clock


@pytest.mark.parametrize(
    "wrong", [{"weeks": 1}, {"weeks": 11}, {"enough": 1}, {"weeks": 4, "enough": 5}]
)
def test_a_past_that_is_none_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="a past of 2 to 10 weeks"):
        Past(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../UTC"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ConfigurationError, match="a time zone"):
        Past(zone=zone)
