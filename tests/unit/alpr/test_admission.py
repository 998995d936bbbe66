from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.admission import Admission
from alpr.errors import BadInput, Refused
from alpr.records import Hit, Read
from alpr.retention import Period, Retention, RetentionClass, midnight
from tests.contract.lake.samples import make_hit, make_read

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def class_of(name: str, keep: Period, *sources: str) -> RetentionClass:
    return RetentionClass(
        name, "test", frozenset({"read", "hit"}), keep, "America/New_York", "S-1", "a test",
        sources=sources,
    )  # fmt: skip


RETENTION = Retention(
    {
        "test": (class_of("short", Period(days=30)),),
        "long": (class_of("cloud", Period(days=30), "flock"), class_of("server", Period(years=1))),
    },
    {"agency-1": "long"},
    "test",
)


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def read(number: int, captured_at: datetime, **changes: object) -> Read:
    made: Read = msgspec.structs.replace(make_read(number), captured_at=captured_at, **changes)
    return made


def hit(number: int, captured_at: datetime) -> Hit:
    return msgspec.structs.replace(make_hit(make_read(number)), captured_at=captured_at)


def test_a_record_gets_the_class_of_its_agencys_policy() -> None:
    door = Admission(RETENTION, Clock())
    assert door.read(read(0, NOW)).retention_class == "short"
    assert door.read(read(1, NOW, source="flock")).retention_class == "cloud"
    assert door.read(read(1, NOW, source="other")).retention_class == "server"
    assert door.hit(hit(1, NOW)).retention_class == "server"


def test_only_the_class_of_an_admitted_record_changes() -> None:
    door, before = Admission(RETENTION, Clock()), read(0, NOW)
    after = door.read(before)
    assert msgspec.structs.replace(after, retention_class=before.retention_class) == before
    assert door.read(after) is after


def test_a_record_past_its_end_is_refused_and_says_why() -> None:
    door = Admission(RETENTION, Clock())
    oldest = datetime(2026, 10, 26, 4, tzinfo=UTC)  # midnight in New York
    door.read(read(0, oldest))
    with pytest.raises(Refused) as refused:
        door.read(read(0, oldest - timedelta(microseconds=1)))
    assert refused.value.reason == "past-retention"
    assert "30 days (S-1)" in refused.value.detail
    door.read(read(1, oldest - timedelta(days=200), source="other"))
    with pytest.raises(Refused):
        door.read(read(1, oldest - timedelta(days=1), source="flock"))
    with pytest.raises(Refused):
        door.hit(hit(0, oldest - timedelta(days=1)))


def test_no_refusal_tells_a_plate() -> None:
    late = read(0, NOW - timedelta(days=400))
    with pytest.raises(Refused) as refused:
        Admission(RETENTION, Clock()).read(late)
    assert late.plate not in str(refused.value)


def test_a_class_that_is_not_the_agencys_is_refused() -> None:
    door = Admission(RETENTION, Clock())
    with pytest.raises(BadInput) as refused:
        door.read(read(0, NOW, retention_class="server"))
    assert not isinstance(refused.value, Refused)
    assert refused.value.reason == "unknown-retention-class"


def test_the_cut_off_moves_with_the_local_midnight_within_a_minute() -> None:
    clock = Clock(datetime(2026, 11, 26, 4, 59, 30, tzinfo=UTC))  # 23:59:30 in New York
    door = Admission(RETENTION, clock)
    last = datetime(2026, 10, 27, 3, 59, tzinfo=UTC)  # of 26 October there
    door.read(read(0, last))
    clock.now += timedelta(minutes=1)
    with pytest.raises(Refused):
        door.read(read(0, last))


def test_a_clock_that_is_set_back_is_looked_at_again() -> None:
    clock = Clock(NOW + timedelta(days=10))
    door = Admission(RETENTION, clock)
    late = NOW - timedelta(days=25)
    with pytest.raises(Refused):
        door.read(read(0, late))
    clock.now = NOW
    assert door.read(read(0, late)).retention_class == "short"


@given(
    st.integers(0, 2).map(lambda number: f"agency-{number}"),
    st.sampled_from(["flock", "other"]),
    st.timedeltas(timedelta(0), timedelta(days=800)),
    st.timedeltas(timedelta(0), timedelta(days=60)),
)
def test_what_is_admitted_has_not_ended_and_what_is_refused_has(
    agency: str, source: str, age: timedelta, later: timedelta
) -> None:
    now = NOW + later
    record = read(0, now - age, agency=agency, source=source)
    expected = RETENTION.class_of("read", agency, source)
    ended = expected.has_ended(record.captured_at, now)
    try:
        admitted = Admission(RETENTION, Clock(now)).read(record)
    except Refused:
        assert ended
    else:
        assert not ended
        assert admitted.retention_class == expected.name


def test_the_oldest_day_is_admitted_whole() -> None:
    each = RETENTION.named("short")
    begin = midnight(each.cutoff(NOW), each.zone)
    door = Admission(RETENTION, Clock())
    for captured_at in (begin, begin + timedelta(hours=23, minutes=59, seconds=59.999)):
        assert door.read(read(0, captured_at)).retention_class == "short"
