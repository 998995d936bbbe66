from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alpr.errors import BadInput, ConfigurationError
from alpr.retention import Kind, Period, Retention, RetentionClass, midnight

NEW_YORK = "America/New_York"
MIDNIGHT_CHANGES = ("America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Santiago")
"""Clocks that skip or repeat a midnight when summer time begins or ends."""

ZONES = ("UTC", NEW_YORK, "Pacific/Kiritimati", "Pacific/Honolulu", *MIDNIGHT_CHANGES)

zones = st.sampled_from(ZONES)
days = st.dates(date(2020, 1, 1), date(2037, 12, 31))
moments = st.integers(0, 18 * 366 * 86_400_000_000 - 1).map(
    lambda micros: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)
periods = st.one_of(
    st.builds(Period, days=st.integers(1, 2000)),
    st.builds(Period, months=st.integers(1, 60)),
    st.builds(Period, years=st.integers(1, 5)),
)


def keeping(
    keep: Period = Period(days=30),
    zone: str = NEW_YORK,
    *,
    name: str = "sample",
    records: tuple[Kind, ...] = ("read", "hit"),
    sources: tuple[str, ...] = (),
    minimum: Period | None = None,
    maximum: Period | None = None,
) -> RetentionClass:
    return RetentionClass(
        name=name,
        policy="test",
        records=frozenset(records),
        keep=keep,
        zone=zone,
        clause="S-keep",
        why="a test",
        minimum=minimum,
        maximum=maximum,
        sources=sources,
        minimum_clause="S-min",
        maximum_clause="S-max",
    )


def local(text: str, zone: str = NEW_YORK) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "period"),
    [
        ("30 days", Period(days=30)),
        ("1 day", Period(days=1)),
        (" 18  months ", Period(months=18)),
        ("1 year", Period(years=1)),
    ],
)
def test_periods_are_read(text: str, period: Period) -> None:
    assert Period.parse(text) == period
    assert Period.parse(str(period)) == period


@pytest.mark.parametrize(
    "text",
    ["", "30", "days", "0 days", "-1 days", "1.5 years", "1 week", "1 year 2 months", "201 years"],
)
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        Period.parse(text)


@given(periods)
def test_a_period_is_read_as_it_is_written(period: Period) -> None:
    assert Period.parse(str(period)) == period


@given(st.text(max_size=20))
def test_any_text_is_a_period_or_refused(text: str) -> None:
    try:
        period = Period.parse(text)
    except ConfigurationError:
        return
    assert period.longest > 0


@pytest.mark.parametrize(
    ("begin", "period", "end"),
    [
        ("2027-01-31", "1 month", "2027-02-28"),
        ("2028-01-31", "1 month", "2028-02-29"),
        ("2027-05-31", "1 month", "2027-06-30"),
        ("2027-08-30", "18 months", "2029-02-28"),
        ("2028-02-29", "1 year", "2029-02-28"),
        ("2028-02-29", "4 years", "2032-02-29"),
        ("2027-02-28", "1 year", "2028-02-28"),
        ("2027-12-31", "2 months", "2028-02-29"),
        ("2028-02-28", "1 day", "2028-02-29"),
        ("2027-12-31", "365 days", "2028-12-30"),
        ("2026-12-31", "365 days", "2027-12-31"),
    ],
)
def test_the_last_day(begin: str, period: str, end: str) -> None:
    assert Period.parse(period).after(date.fromisoformat(begin)) == date.fromisoformat(end)


@pytest.mark.parametrize(
    ("one", "other", "covers"),
    [
        ("1 year", "365 days", True),
        ("1 year", "366 days", False),
        ("366 days", "1 year", True),
        ("365 days", "1 year", False),
        ("1 year", "12 months", True),
        ("12 months", "1 year", True),
        ("1 month", "28 days", True),
        ("1 month", "29 days", False),
        ("31 days", "1 month", True),
        ("30 days", "1 month", False),
        ("30 days", "30 days", True),
        # 2100 is no leap year: four years may have a day less than the four from 2023 on.
        ("4 years", "1461 days", False),
        ("1461 days", "4 years", True),
    ],
)
def test_which_period_is_surely_not_shorter(one: str, other: str, covers: bool) -> None:
    assert Period.parse(one).covers(Period.parse(other)) is covers


@given(periods, periods, days)
def test_a_period_that_covers_another_never_ends_before_it(
    one: Period, other: Period, day: date
) -> None:
    if one.covers(other):
        assert one.after(day) >= other.after(day)


@given(periods, periods)
def test_a_period_that_does_not_cover_another_ends_before_it_some_day(
    one: Period, other: Period
) -> None:
    if not one.covers(other):
        begin = date(2000, 1, 1)
        every = (begin + timedelta(days=n) for n in range(400 * 366))
        assert any(one.after(day) < other.after(day) for day in every)


@given(periods, days)
def test_the_last_day_never_moves_back_and_is_never_too_far(period: Period, day: date) -> None:
    end = period.after(day)
    assert day < end <= day + timedelta(days=period.longest)
    assert period.after(day + timedelta(days=1)) >= end


def test_the_last_millisecond_of_a_day_belongs_to_it() -> None:
    each = keeping(Period(days=30))
    late, early = local("2026-11-25T23:59:59.999"), local("2026-11-26T00:00:00")
    assert each.local_day(late) == date(2026, 11, 25)
    assert each.local_day(early) == date(2026, 11, 26)
    end = local("2026-12-26T00:00:00")
    assert each.ends_at(date(2026, 11, 25)) == end
    assert not each.has_ended(late, end - timedelta(microseconds=1))
    assert each.has_ended(late, end)
    assert not each.has_ended(early, end)
    assert each.has_ended(early, end + timedelta(days=1))


@pytest.mark.parametrize(
    ("captured_on", "end"),
    [
        # 30 days on: 8 March 2026 has 23 hours in New York, 1 November 2026 has 25.
        ("2026-02-06", "2026-03-09T04:00:00+00:00"),
        ("2026-02-05", "2026-03-08T05:00:00+00:00"),
        ("2026-10-02", "2026-11-02T05:00:00+00:00"),
        ("2026-10-01", "2026-11-01T04:00:00+00:00"),
    ],
)
def test_both_changes_of_the_clock(captured_on: str, end: str) -> None:
    assert keeping().ends_at(date.fromisoformat(captured_on)) == datetime.fromisoformat(end)


def test_the_hour_that_comes_twice_is_of_one_day() -> None:
    each = keeping()
    for captured_at in ("2026-11-01T05:30:00+00:00", "2026-11-01T06:30:00+00:00"):
        moment = datetime.fromisoformat(captured_at)
        assert moment.astimezone(ZoneInfo(NEW_YORK)).hour == 1
        assert each.local_day(moment) == date(2026, 11, 1)


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        # Chile's clock goes from 24:00 to 01:00: the day begins at one o'clock.
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00:00+00:00"),
        # Cuba's goes back from 01:00 to 00:00: midnight comes twice, the day begins at the first.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00+00:00"),
        # Chile's goes back from 24:00 to 23:00: the day before has 25 hours.
        ("America/Santiago", "2026-04-05", "2026-04-05T04:00:00+00:00"),
        ("Pacific/Kiritimati", "2026-11-25", "2026-11-24T10:00:00+00:00"),
        ("Pacific/Honolulu", "2026-11-25", "2026-11-25T10:00:00+00:00"),
    ],
)
def test_where_a_day_begins(zone: str, day: str, begins: str) -> None:
    begin = midnight(date.fromisoformat(day), zone)
    assert begin == datetime.fromisoformat(begins)
    each = keeping(zone=zone)
    assert each.local_day(begin) == date.fromisoformat(day)
    assert each.local_day(begin - timedelta(microseconds=1)) < date.fromisoformat(day)


@given(st.sampled_from(sorted(available_timezones())), days)
def test_a_day_begins_where_the_one_before_ends_in_every_zone(zone: str, day: date) -> None:
    each, begin = keeping(zone=zone), midnight(day, zone)
    assert each.local_day(begin) == day
    assert each.local_day(begin - timedelta(microseconds=1)) == day - timedelta(days=1)


@given(periods, zones, moments, moments)
@example(Period(days=30), NEW_YORK, local("2026-11-25T23:59:59.999"), local("2026-12-26"))
@example(Period(years=1), NEW_YORK, local("2028-02-29T12:00"), local("2029-03-01"))
@example(Period(months=1), "UTC", local("2027-01-31", "UTC"), local("2027-03-01", "UTC"))
def test_a_record_has_ended_if_and_only_if_its_last_local_day_is_over(
    keep: Period, zone: str, captured_at: datetime, now: datetime
) -> None:
    each = keeping(keep, zone)
    day = captured_at.astimezone(ZoneInfo(zone)).date()
    today = now.astimezone(ZoneInfo(zone)).date()
    over = keep.after(day) < today
    assert each.has_ended(captured_at, now) is over
    assert (each.ends_at(day) <= now) is over
    assert (day < each.cutoff(now)) is over


@given(periods, zones, moments, st.timedeltas(timedelta(0), timedelta(days=800)))
def test_a_cut_off_never_moves_back(
    keep: Period, zone: str, now: datetime, later: timedelta
) -> None:
    each = keeping(keep, zone)
    assert each.cutoff(now + later) >= each.cutoff(now)


@given(periods, zones, moments)
def test_the_cut_off_is_the_first_day_that_has_not_ended(
    keep: Period, zone: str, now: datetime
) -> None:
    each = keeping(keep, zone)
    cutoff = each.cutoff(now)
    assert each.ends_at(cutoff) > now >= each.ends_at(cutoff - timedelta(days=1))


@given(
    periods, zones, days, moments, st.integers(0, 86_399_999_999), st.integers(0, 86_399_999_999)
)
def test_all_rows_of_a_partition_end_together(
    keep: Period, zone: str, day: date, now: datetime, one: int, other: int
) -> None:
    each, begin = keeping(keep, zone), midnight(day, zone)
    rows = [begin + timedelta(microseconds=micros) for micros in (one, other)]
    within = [row for row in rows if each.local_day(row) == day]
    assert len({each.has_ended(row, now) for row in within}) <= 1


def test_a_month_of_a_short_month() -> None:
    each = keeping(Period(months=1), "UTC")
    ends = {day: each.last_day(date(2027, 1, day)) for day in range(28, 32)}
    assert set(ends.values()) == {date(2027, 2, 28)}  # four days of January end together
    assert each.cutoff(datetime(2027, 2, 28, 23, 59, tzinfo=UTC)) == date(2027, 1, 28)
    assert each.cutoff(datetime(2027, 3, 1, tzinfo=UTC)) == date(2027, 2, 1)


def test_a_year_with_and_without_a_leap_day() -> None:
    each = keeping(Period(years=1), "UTC")
    assert (each.last_day(date(2027, 3, 1)) - date(2027, 3, 1)).days == 366
    assert (each.last_day(date(2028, 3, 1)) - date(2028, 3, 1)).days == 365
    assert calendar.isleap(2028)


@pytest.mark.parametrize(
    ("keep", "minimum", "maximum", "told"),
    [
        ("30 days", "1 year", None, ["keep of 30 days (S-keep)", "minimum of 1 year (S-min)"]),
        ("1 year", None, "30 days", ["maximum of 30 days (S-max)", "keep of 1 year (S-keep)"]),
        ("1 year", "2 years", "6 months", ["maximum of 6 months (S-max)", "2 years (S-min)"]),
        ("365 days", "1 year", None, ["keep of 365 days (S-keep)", "minimum of 1 year (S-min)"]),
    ],
)
def test_periods_that_contradict_each_other_are_refused_with_both_clauses(
    keep: str, minimum: str | None, maximum: str | None, told: list[str]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        keeping(
            Period.parse(keep),
            minimum=None if minimum is None else Period.parse(minimum),
            maximum=None if maximum is None else Period.parse(maximum),
        )
    for words in told:
        assert words in str(refused.value)


def test_a_class_needs_a_zone_and_a_kind_of_record() -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        keeping(zone="Massachusetts")
    with pytest.raises(ConfigurationError, match="no kind of record"):
        keeping(records=())


CLOUD = keeping(name="cloud", records=("read",), sources=("flock", "flock-*"))
SERVER = keeping(Period(years=1), name="server")
OTHER = keeping(name="other")
DIRECTED = keeping(Period(years=2), name="directed", records=("read",), sources=("fixed",))
RETENTION = Retention(
    {"barstow": (CLOUD, SERVER), "test": (OTHER,)},
    {"barstow-pd": "barstow"},
    "test",
    {"barstow-pd": (DIRECTED,)},
)


@pytest.mark.parametrize(
    ("kind", "agency", "source", "name"),
    [
        ("read", "barstow-pd", "flock", "cloud"),
        ("read", "barstow-pd", "flock-v3", "cloud"),
        ("read", "barstow-pd", "flocks", "server"),
        ("read", "barstow-pd", "fixed", "directed"),
        ("hit", "barstow-pd", "", "server"),
        ("read", "elsewhere-pd", "flock", "other"),
        ("read", "elsewhere-pd", "fixed", "other"),
    ],
)
def test_the_class_of_a_record(kind: Kind, agency: str, source: str, name: str) -> None:
    assert RETENTION.class_of(kind, agency, source).name == name


def test_a_class_that_is_asked_for_must_be_the_agencys_own_and_for_such_records() -> None:
    assert RETENTION.class_of("read", "barstow-pd", "fixed", "server") == SERVER
    for kind, agency, source, asked in (
        ("read", "elsewhere-pd", "fixed", "server"),
        ("read", "barstow-pd", "fixed", "cloud"),
        ("hit", "barstow-pd", "", "directed"),
        ("read", "barstow-pd", "fixed", "none"),
    ):
        with pytest.raises(BadInput, match="unknown-retention-class"):
            RETENTION.class_of(kind, agency, source, asked)  # type: ignore[arg-type]


def test_every_class_is_known_by_its_name() -> None:
    assert set(RETENTION.classes) == {"cloud", "server", "other", "directed"}
    assert RETENTION.named("directed") is DIRECTED
    assert RETENTION.zone_of("cloud") == NEW_YORK
    with pytest.raises(ConfigurationError, match="retain move"):
        RETENTION.named("gone")


def test_two_classes_of_one_name_are_refused_with_both_clauses() -> None:
    with pytest.raises(ConfigurationError, match=r"S-keep.*S-keep"):
        Retention({"one": (SERVER,), "two": (keeping(name="server"),)}, {}, "one")


def test_a_policy_that_nobody_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no policy 'barstow'"):
        Retention({"test": (OTHER,)}, {"barstow-pd": "barstow"}, "test")
    with pytest.raises(ConfigurationError, match="no policy 'barstow'"):
        Retention({"test": (OTHER,)}, {}, "barstow")
