from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.matching import STATE_CERTAIN, CoolDown, in_force, match, state_match
from alpr.plates import match_key
from alpr.records import Hit, HotlistEntry, Read
from alpr.retention import AS_POLICY
from tests.support.records import T0, at, make_entry, make_hit, make_read
from tests.support.strategies import lookalike_plates

TICK = timedelta(microseconds=1)
PERIOD = timedelta(seconds=300)


def hits_of(read: Read, *entries: HotlistEntry) -> list[Hit]:
    return list(match(read, entries, "v1", at(2)))


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        (at(0) - TICK, False),
        (at(0), True),
        (at(10) - TICK, True),
        (at(10), False),
    ],
)
def test_an_entry_is_in_force_from_its_first_moment_to_just_before_its_last(
    captured: object, expected: bool
) -> None:
    entry = make_entry(valid_from=at(0), valid_to=at(10))
    read = make_read(captured_at=captured)
    assert in_force(entry, read.captured_at) is expected
    assert bool(hits_of(read, entry)) is expected


def test_an_entry_without_an_end_stays_in_force() -> None:
    assert in_force(make_entry(valid_from=T0), T0 + timedelta(days=10_000))


def test_a_late_read_is_judged_by_what_was_in_force_when_the_camera_saw_the_car() -> None:
    was = make_entry(record="was", valid_from=at(-100), valid_to=at(10))
    came = make_entry(record="came", valid_from=at(50))
    late = make_read(seconds=5, received_at=at(9000))
    assert [hit.entry_id for hit in match(late, [was, came], "v1", at(9001))] == [was.entry_id]


def test_reads_out_of_order_are_judged_each_by_its_own_time() -> None:
    entry = make_entry(valid_from=at(0), valid_to=at(10))
    order = [12.0, 5.0, -1.0, 9.0]
    found = [s for s in order if hits_of(make_read(seconds=s), entry)]
    assert found == [5.0, 9.0]


@pytest.mark.parametrize(
    ("read", "listed", "kind"),
    [
        ("ABC1234", "ABC1234", "exact"),
        ("ABCI234", "ABC1234", "lookalike"),
        ("0OO1", "OO0I", "lookalike"),
        ("ABC1235", "ABC1234", None),
        ("ABC123", "ABC1234", None),
    ],
)
def test_exact_lookalike_or_no_match(read: str, listed: str, kind: str | None) -> None:
    kinds = [hit.match for hit in hits_of(make_read(read), make_entry(listed))]
    assert kinds == ([] if kind is None else [kind])


@pytest.mark.parametrize(
    ("read_state", "certainty", "entry_state", "expected"),
    [
        ("CA", 0.9, "CA", "same"),
        ("CA", None, "CA", "same"),
        ("CA", STATE_CERTAIN, "CA", "same"),
        ("NV", 0.9, "CA", "differs"),
        ("NV", STATE_CERTAIN - 0.01, "CA", "unknown"),
        ("CA", STATE_CERTAIN - 0.01, "CA", "unknown"),
        (None, None, "CA", "unknown"),
        ("CA", 0.9, None, "unknown"),
        (None, None, None, "unknown"),
    ],
)
def test_the_state_is_said_and_never_suppresses_a_hit(
    read_state: str | None, certainty: float | None, entry_state: str | None, expected: str
) -> None:
    read = make_read(state=read_state, state_confidence=certainty)
    entry = make_entry(state=entry_state)
    assert state_match(read, entry) == expected
    (hit,) = hits_of(read, entry)
    assert (hit.state_match, hit.state, hit.entry_state) == (expected, read_state, entry_state)


def test_every_entry_of_a_plate_gives_a_hit_of_its_own() -> None:
    entries = [make_entry(record=f"record {i}", priority=i) for i in (1, 2, 3)]
    hits = hits_of(make_read(), *entries)
    assert [hit.entry_id for hit in hits] == [entry.entry_id for entry in entries]
    assert len({hit.hit_id for hit in hits}) == 3


def test_a_hit_leaves_its_retention_to_the_policy_whatever_its_read_asked_for() -> None:
    (hit,) = hits_of(make_read(retention_class="parking"), make_entry())
    assert hit.retention_class == AS_POLICY


def test_a_hit_says_who_where_when_and_against_what() -> None:
    read = make_read(latitude=38.5, longitude=-121.5, heading=90.0)
    entry = make_entry(category="amber", priority=1)
    (hit,) = hits_of(read, entry)
    assert (hit.read_id, hit.entry_id, hit.list_version) == (read.read_id, entry.entry_id, "v1")
    assert (hit.captured_at, hit.matched_at) == (read.captured_at, at(2))
    assert (hit.latitude, hit.longitude, hit.heading) == (38.5, -121.5, 90.0)
    assert (hit.category, hit.priority) == ("amber", 1)
    assert hit.alert


def test_the_same_read_matched_again_gives_the_same_hit_whatever_the_list_version() -> None:
    read, entry = make_read(), make_entry()
    (one,) = match(read, [entry], "v1", at(2))
    (other,) = match(read, [entry], "v2", at(500))
    assert one.hit_id == other.hit_id


@given(lookalike_plates, st.lists(lookalike_plates, max_size=6))
def test_just_the_entries_with_the_same_key_match(plate: str, listed: list[str]) -> None:
    entries = [make_entry(p, record=str(i)) for i, p in enumerate(listed)]
    found = {hit.entry_id for hit in hits_of(make_read(plate), *entries)}
    assert found == {e.entry_id for e in entries if match_key(e.plate) == match_key(plate)}


def sounding(hits: list[Hit], capacity: int = 1000) -> list[Hit]:
    cool_down = CoolDown(PERIOD, capacity)
    return [hit for hit in hits if cool_down.sounds(hit)]


def test_an_entry_sounds_once_in_a_period_at_a_camera() -> None:
    hits = [make_hit(seconds=s) for s in (0, 10, 299, 300, 301)]
    assert [hit.captured_at for hit in sounding(hits)] == [at(0), at(300)]


def test_another_camera_agency_or_entry_sounds_all_the_same() -> None:
    other_entry = make_entry(record="another").entry_id
    hits = [
        make_hit(),
        make_hit(seconds=1, camera="cam-2"),
        make_hit(seconds=1, agency="so"),
        make_hit(seconds=1, entry_id=other_entry),
    ]
    assert sounding(hits) == hits


def test_an_upload_of_old_hits_does_not_renew_the_one_that_sounded_just_now() -> None:
    live, old, again = make_hit(seconds=10_000), make_hit(seconds=0), make_hit(seconds=10_060)
    assert sounding([live, old, again]) == [live, old]


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=8))
def test_in_any_order_none_sounds_near_another_and_none_is_silent_for_nothing(
    seconds: list[int],
) -> None:
    heard = [hit.captured_at for hit in sounding([make_hit(seconds=s) for s in seconds])]
    for i, one in enumerate(heard):
        assert all(abs(one - other) >= PERIOD for other in heard[i + 1 :])
    for silent in {at(s) for s in seconds} - set(heard):
        assert any(abs(silent - moment) < PERIOD for moment in heard)


def test_memory_is_bounded_and_forgets_the_longest_silent_first() -> None:
    cool_down = CoolDown(PERIOD, capacity=2)
    one, two, three = (make_hit(entry_id=make_entry(record=str(i)).entry_id) for i in range(3))
    assert [cool_down.sounds(hit) for hit in (one, two, three)] == [True] * 3
    assert [cool_down.sounds(hit) for hit in (three, two, one)] == [False, False, True]
