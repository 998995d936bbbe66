from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from alpr.errors import Corrupt, Unavailable
from alpr.matching import match
from alpr.records import HotlistEntry, Read
from ingest.hotlists.index import HotlistIndex
from ingest.hotlists.snapshot import Manifest, write_snapshot
from tests.support.clock import FakeClock
from tests.support.kafka import FakeFeed
from tests.support.records import T0, at, make_change, make_entry, make_read

POLL_S = 0.5


class Lists:
    """A store, a feed and an index on top, with a clock to move on."""

    def __init__(self, store: Path, *listed: HotlistEntry, offset: int = 0) -> None:
        self.store = store
        self.feed = FakeFeed()
        self.clock = FakeClock()
        self.built = 0
        self.load(*listed, offset=offset)
        self.index = HotlistIndex(store, self.feed, poll_s=POLL_S, clock=self.clock)

    def load(self, *listed: HotlistEntry, offset: int | None = None) -> Manifest:
        self.built += 1
        covered = len(self.feed.changes) if offset is None else offset
        return write_snapshot(self.store, listed, at(self.built), covered)

    def look_again(self) -> None:
        self.clock.advance(POLL_S)
        self.index.refresh()

    def found(self, *plates: str) -> list[list[str]]:
        """For each plate the ids of the entries found."""
        found = dict(self.index.search(plates))
        return [sorted(e.entry_id for e in found.get(i, [])) for i in range(len(plates))]


ONE, TWO = make_entry("ABC1", record="1"), make_entry("XYZ9", record="2")


def test_finds_entries_of_the_snapshot_for_a_batch_with_repeats(tmp_path: Path) -> None:
    lists = Lists(tmp_path, ONE, TWO)
    assert lists.found("ABC1", "Q", "XYZ9", "ABC1") == [
        [ONE.entry_id],
        [],
        [TWO.entry_id],
        [ONE.entry_id],
    ]
    assert lists.found() == []


def test_catches_up_with_the_changes_since_the_snapshot_when_it_opens(tmp_path: Path) -> None:
    write_snapshot(tmp_path, [ONE], T0, 1)
    before, after = make_change(TWO), make_change(make_entry("NEW1", record="3"))
    index = HotlistIndex(tmp_path, FakeFeed([before, after]), clock=FakeClock())
    assert [i for i, _ in index.search(["ABC1", "XYZ9", "NEW1"])] == [0, 2]
    assert index.next_change == 2


def test_an_entry_is_put_replaced_and_removed_by_changes(tmp_path: Path) -> None:
    lists = Lists(tmp_path, ONE)
    lists.feed.changes.append(make_change(TWO))
    lists.index.refresh()
    assert lists.found("ABC1", "XYZ9") == [[ONE.entry_id], [TWO.entry_id]]
    moved = make_entry("NEW1", record="1")
    lists.feed.changes.append(make_change(moved))
    lists.index.refresh()
    assert lists.found("ABC1", "NEW1") == [[], [moved.entry_id]]
    lists.feed.changes += [make_change(moved, removed=True), make_change(TWO, removed=True)]
    lists.index.refresh()
    assert lists.found("ABC1", "NEW1", "XYZ9") == [[], [], []]


def test_a_removed_entry_leaves_the_others_of_its_plate(tmp_path: Path) -> None:
    other = make_entry("ABC1", record="other")
    lists = Lists(tmp_path, ONE, other)
    lists.feed.changes.append(make_change(ONE, removed=True))
    lists.index.refresh()
    assert lists.found("ABC1") == [[other.entry_id]]


def test_the_version_moves_with_every_change_and_every_snapshot(tmp_path: Path) -> None:
    lists = Lists(tmp_path, ONE)
    seen = [lists.index.version]
    lists.feed.changes.append(make_change(TWO))
    lists.index.refresh()
    seen.append(lists.index.version)
    manifest = lists.load(ONE, TWO)
    lists.look_again()
    seen.append(lists.index.version)
    assert len(set(seen)) == 3
    assert seen[-1] == f"{manifest.version}+1"


def test_a_new_snapshot_is_looked_for_every_poll_and_not_more_often(tmp_path: Path) -> None:
    lists = Lists(tmp_path, ONE)
    lists.load(TWO)
    lists.clock.advance(POLL_S - 0.01)
    lists.index.refresh()
    assert lists.found("ABC1", "XYZ9") == [[ONE.entry_id], []]
    lists.clock.advance(0.01)
    lists.index.refresh()
    assert lists.found("ABC1", "XYZ9") == [[], [TWO.entry_id]]


def test_changes_that_a_new_snapshot_holds_are_dropped_and_later_ones_kept(tmp_path: Path) -> None:
    lists = Lists(tmp_path)
    later = make_entry("NEW1", record="3")
    lists.feed.changes += [make_change(ONE), make_change(TWO), make_change(later)]
    lists.index.refresh()
    lists.load(TWO, offset=2)  # the load has taken ONE off the list again
    lists.look_again()
    assert lists.found("ABC1", "XYZ9", "NEW1") == [[], [TWO.entry_id], [later.entry_id]]
    assert len(lists.index) == 2


def test_a_snapshot_ahead_of_the_feed_is_not_overlaid_with_what_it_holds(tmp_path: Path) -> None:
    lists = Lists(tmp_path, ONE)
    lists.load(TWO, offset=1)
    lists.look_again()
    lists.feed.changes.append(make_change(ONE))  # offset 0 reaches this worker late
    lists.index.refresh()
    assert lists.found("ABC1", "XYZ9") == [[], [TWO.entry_id]]
    assert lists.index.version.endswith("+1")
    lists.feed.changes.append(make_change(ONE))
    lists.index.refresh()
    assert lists.found("ABC1") == [[ONE.entry_id]]


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def test_a_damaged_snapshot_is_refused_once_and_the_old_one_stays(tmp_path: Path) -> None:
    lists = Lists(tmp_path, ONE)
    bad = lists.load(TWO)
    damage(tmp_path / "snapshots" / f"{bad.version}.arrow")
    for _ in range(3):
        lists.look_again()
    assert lists.index.refused == 1
    assert lists.found("ABC1", "XYZ9") == [[ONE.entry_id], []]
    lists.feed.changes.append(make_change(make_entry("NEW1", record="3")))
    lists.look_again()
    assert lists.found("NEW1") != [[]], "changes go on over the old snapshot"
    lists.load(TWO)
    lists.look_again()
    assert lists.found("ABC1", "XYZ9") == [[], [TWO.entry_id]]


@pytest.mark.parametrize("data", [b"{", None])
def test_a_damaged_or_missing_manifest_leaves_the_list_in_force(
    tmp_path: Path, data: bytes | None
) -> None:
    lists = Lists(tmp_path, ONE)
    if data is None:
        (tmp_path / "current.json").unlink()
    else:
        (tmp_path / "current.json").write_bytes(data)
    lists.look_again()
    assert lists.index.refused == 1
    assert lists.found("ABC1") == [[ONE.entry_id]]


def test_there_is_no_start_without_a_sound_list(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        HotlistIndex(tmp_path, None)
    manifest = write_snapshot(tmp_path, [ONE], T0, 0)
    damage(tmp_path / "snapshots" / f"{manifest.version}.arrow")
    with pytest.raises(Corrupt):
        HotlistIndex(tmp_path, None)


def test_without_a_feed_the_snapshot_alone_counts(tmp_path: Path) -> None:
    write_snapshot(tmp_path, [ONE], T0, 4)
    index = HotlistIndex(tmp_path, None, clock=FakeClock())
    index.refresh()
    assert [i for i, _ in index.search(["ABC1"])] == [0]
    assert len(index) == 1


PLATES = ["A0", "AO", "A1", "AI", "B", "BO", "B0"]
RECORDS = ["1", "2", "3", "4"]
some_entry = st.builds(
    lambda plate, record, start, length: make_entry(
        plate,
        record=record,
        valid_from=at(start),
        valid_to=None if length is None else at(start + length),
    ),
    st.sampled_from(PLATES),
    st.sampled_from(RECORDS),
    st.integers(-2, 2),
    st.none() | st.integers(1, 3),
)


class Model(RuleBasedStateMachine):
    """Loads and changes in any order; the truth is a dictionary of entries by id."""

    folder: Path

    @initialize(listed=st.lists(some_entry, max_size=4))
    def open(self, listed: list[HotlistEntry]) -> None:
        Model.folder = Model.folder.parent / f"{int(Model.folder.name) + 1}"
        self.truth = {entry.entry_id: entry for entry in listed}
        self.lists = Lists(Model.folder, *listed)

    @rule(entry=some_entry, removed=st.booleans())
    def change(self, entry: HotlistEntry, removed: bool) -> None:
        self.lists.feed.changes.append(make_change(entry, removed=removed))
        if removed:
            self.truth.pop(entry.entry_id, None)
        else:
            self.truth[entry.entry_id] = entry
        self.lists.index.refresh()

    @rule(listed=st.lists(some_entry, max_size=4))
    def load(self, listed: list[HotlistEntry]) -> None:
        self.truth = {entry.entry_id: entry for entry in listed}
        self.lists.load(*listed)
        self.lists.look_again()

    @rule()
    def compact(self) -> None:
        """A load that changes nothing: the changes move into a snapshot."""
        self.lists.load(*self.truth.values())
        self.lists.look_again()

    @invariant()
    def finds_just_what_matching_every_entry_finds(self) -> None:
        reads = [make_read(plate, seconds) for plate in PLATES for seconds in (-1.5, 0.5, 2.0)]
        assert self.hits(reads) == {
            hit.hit_id for read in reads for hit in match(read, self.truth.values(), "v", T0)
        }

    def hits(self, reads: list[Read]) -> set[str]:
        return {
            hit.hit_id
            for place, found in self.lists.index.search([read.plate for read in reads])
            for hit in match(reads[place], found, "v", T0)
        }


def test_any_loads_and_changes_give_what_matching_every_entry_gives(tmp_path: Path) -> None:
    Model.folder = tmp_path / "0"
    run_state_machine_as_test(
        Model,
        settings=settings(max_examples=25, stateful_step_count=12),
    )
