from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.feed.exif import captured_at
from tests.unit.ingest.feed.fakes import jpeg, with_exif

ORIGINAL, OFFSET, FRACTION = 0x9003, 0x9011, 0x9291
NOON = "2025:07:04 12:00:01"


@pytest.mark.parametrize("order", ["<", ">"])
def test_offset_and_fraction_are_used(order: str) -> None:
    picture = with_exif(jpeg(), {ORIGINAL: NOON, OFFSET: "-04:00", FRACTION: "25"}, order)
    assert captured_at(picture, UTC) == datetime(2025, 7, 4, 16, 0, 1, 250_000, tzinfo=UTC)


def test_without_an_offset_the_zone_given_is_used() -> None:
    picture = with_exif(jpeg(), {ORIGINAL: NOON})
    expected = datetime(2025, 7, 4, 16, 0, 1, tzinfo=UTC)
    assert captured_at(picture, ZoneInfo("America/New_York")) == expected


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "2025-07-04 12:00:01", "    :  :     :  :  "]
)
def test_an_unset_clock_gives_no_time(text: str) -> None:
    assert captured_at(with_exif(jpeg(), {ORIGINAL: text}), UTC) is None


def test_no_exif_gives_no_time() -> None:
    assert captured_at(jpeg(), UTC) is None


@given(
    seconds=st.floats(0, 3e9),
    hours=st.integers(-12, 14),
)
def test_what_a_camera_writes_is_read_back(seconds: float, hours: int) -> None:
    at = datetime(1980, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    sign = "-" if hours < 0 else "+"
    texts = {
        ORIGINAL: f"{at:%Y:%m:%d %H:%M:%S}",
        OFFSET: f"{sign}{abs(hours):02d}:00",
        FRACTION: f"{at.microsecond:06d}",
    }
    found = captured_at(with_exif(jpeg(), texts), UTC)
    assert found is not None
    assert (at - found).total_seconds() == hours * 3600


@given(noise=st.binary(max_size=300), cut=st.integers(0, 400))
@example(noise=b"II*\0\x08\0\0\0\xff\xff", cut=0)
def test_broken_data_gives_no_time_and_no_error(noise: bytes, cut: int) -> None:
    head = b"\xff\xd8\xff\xe1" + (len(noise) + 8).to_bytes(2, "big") + b"Exif\0\0"
    assert captured_at(head + noise, UTC) is None
    whole = with_exif(jpeg(), {ORIGINAL: NOON})
    captured_at(whole[:cut], UTC)
    captured_at(whole[:cut] + noise + whole[cut:], UTC)
