from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hotlists.moments import parse_moments

ZONE = "America/New_York"
days = st.dates(date(1900, 1, 2), date(2199, 12, 30))
moments = st.datetimes(datetime(1900, 1, 2), datetime(2199, 12, 30))  # noqa: DTZ001


def parsed(text: str | None, *formats: str, end_of_day: bool = False) -> datetime | None:
    column = pa.array([text], pa.string())
    found = parse_moments(column, formats or ("iso",), ZONE, end_of_day=end_of_day)
    value: datetime | None = found[0].as_py()
    return value


@given(days, st.sampled_from(["%Y%m%d", "%m/%d/%Y", "iso"]))
def test_a_day_is_its_first_instant_in_the_sources_zone(day: date, form: str) -> None:
    text = day.isoformat() if form == "iso" else day.strftime(form)
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(ZONE))
    if day.year >= 1000:
        assert parsed(text, form) == midnight.astimezone(UTC)
        after = day + timedelta(days=1)
        ends = datetime(after.year, after.month, after.day, tzinfo=ZoneInfo(ZONE))
        assert parsed(text, form, end_of_day=True) == ends.astimezone(UTC)


@given(moments, st.sampled_from(["Z", "+02:00", ""]))
def test_a_time_is_of_its_own_zone_or_of_the_sources(moment: datetime, zone: str) -> None:
    wanted = {"Z": UTC, "+02:00": ZoneInfo("Etc/GMT-2"), "": ZoneInfo(ZONE)}[zone]
    text = moment.isoformat() + zone
    for end_of_day in (False, True):
        assert parsed(text, end_of_day=end_of_day) == moment.replace(tzinfo=wanted)


@pytest.mark.parametrize(
    "text",
    [None, "", "soon", "20261301", "2026-02-30", "1776-07-04", "2999-01-01", "2026-01-01T25:00",
     "2026-W01-1", "20260101", "2026-01-01T00:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_time_is_null(text: str | None) -> None:
    assert parsed(text) is None


def test_the_first_format_that_fits_counts() -> None:
    assert parsed("2026/01/02", "iso", "%Y/%m/%d") == datetime(2026, 1, 2, 5, tzinfo=UTC)
    assert parsed("03/04/2026", "%m/%d/%Y", "%d/%m/%Y") == datetime(2026, 3, 4, 5, tzinfo=UTC)


def test_an_hour_that_comes_twice_is_the_earlier() -> None:
    assert parsed("2026-11-01T01:30:00") == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
