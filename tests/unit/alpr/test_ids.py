from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from alpr.ids import ID_PATTERN, entry_id, hit_id, read_id
from tests.support.records import T0
from tests.support.strategies import texts, times


@given(texts, texts, times, texts, texts)
def test_ids_are_deterministic_and_well_formed(
    agency: str, camera: str, moment: datetime, plate: str, source: str
) -> None:
    identity = read_id(agency, camera, moment, plate, source)
    assert identity == read_id(agency, camera, moment, plate, source)
    assert re.search(ID_PATTERN, identity)


@given(st.lists(texts, min_size=2, max_size=2), st.lists(texts, min_size=2, max_size=2))
def test_where_one_part_ends_and_the_next_begins_counts(one: list[str], other: list[str]) -> None:
    assert (entry_id(*one) == entry_id(*other)) is (one == other)


def test_moving_a_character_from_one_part_to_the_next_makes_another_id() -> None:
    assert entry_id("ab", "c") != entry_id("a", "bc")
    assert read_id("ab", "c", T0, "", "1") != read_id("a", "bc", T0, "", "1")


def test_each_kind_of_id_is_a_space_of_its_own() -> None:
    assert entry_id("a", "b") != hit_id("a", "b")


def test_one_microsecond_makes_another_read() -> None:
    later = T0 + timedelta(microseconds=1)
    assert read_id("pd", "c", T0, "", "1") != read_id("pd", "c", later, "", "1")


def test_one_moment_is_one_read_in_whatever_time_zone_it_was_told() -> None:
    west = T0.astimezone(timezone(timedelta(hours=-8)))
    assert read_id("pd", "c", west, "", "1") == read_id("pd", "c", T0, "", "1")


def test_ids_stay_what_they_were() -> None:
    """Lakes and lists hold these: a change here would double every row sent again."""
    moment = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    read = read_id("pd", "cam-1", moment, "ABC1234", "17.0")
    entry = entry_id("state-list", "record 1")
    assert (read, entry, hit_id(read, entry)) == (GOLDEN_READ, GOLDEN_ENTRY, GOLDEN_HIT)


GOLDEN_READ = "5a434f384242e5c233895446aaf96126"
GOLDEN_ENTRY = "869483222cdd05c0d512bd30bf95bad6"
GOLDEN_HIT = "c11d2c3e2cd0a32686700c18386f34ae"
