"""Texts of a source into entries: what each field may be, and what rejects a row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.ids import entry_id
from alpr.records import HotlistEntry
from ingest.hotlists.entries import PRIORITIES, Settings, entry_ids
from ingest.hotlists.export import export
from ingest.hotlists.keys import column_keys, plate_keys
from ingest.hotlists.layouts import CATEGORIES, builtin
from ingest.hotlists.origin import Limits
from ingest.hotlists.reading import Reading, read_entries
from ingest.hotlists.snapshot import open_snapshot, write_snapshot
from ingest.hotlists.table import SCHEMA, from_entries, ids_of, to_entry, upgraded
from tests.support.records import T0
from tests.support.strategies import entries, plates

OWN = builtin("platelake")


def read(tmp_path: Path, *rows: str, head: str = "plate", **more: Any) -> Reading:
    path = tmp_path / "list"
    path.write_text("\n".join([head, *rows]) + "\n")
    return read_entries([path], OWN, Settings(source="s", **more), T0, Limits())


def one(reading: Reading) -> HotlistEntry:
    assert dict(reading.rejects.counts) == {}
    return to_entry(reading.pile.take(reading.unique()), 0)


@given(st.lists(st.tuples(plates, plates), max_size=5), plates)
def test_ids_are_those_of_single_entries(pairs: list[tuple[str, str]], source: str) -> None:
    records = [f"{a}é/{b}" for a, b in pairs]
    column = entry_ids(source, pa.array(records, pa.string()))
    assert column.to_pylist() == [entry_id(source, record) for record in records]
    numbers = ids_of(column)
    assert [f"{h:016x}{t:016x}" for h, t in zip(*map(list, numbers), strict=True)] == [
        entry_id(source, record) for record in records
    ]


@given(st.lists(plates, max_size=20), st.integers(0, 3))
def test_keys_of_a_column_are_those_of_a_list(listed: list[str], skip: int) -> None:
    column = pa.array(listed, pa.string())[skip:]
    assert column_keys(column).tolist() == plate_keys(listed[skip:]).tolist()


@pytest.mark.parametrize(
    ("head", "row", "reason"),
    [
        ("plate,state", ",MA", "plate-missing"),
        ("plate,state", "---,MA", "plate-missing"),
        ("plate", "ABCDEFGHIJKLM", "plate-too-long"),
        ("plate", "AB?123", "plate-wildcard"),
        ("plate", "AB*", "plate-wildcard"),
        ("plate", "ÄB1", "plate-characters"),
        ("plate", "AB\ufffd1", "plate-characters"),
        ("plate,state", "A1,M1", "state-bad"),
        ("plate,state", "A1,MASS", "state-bad"),
        ("plate,priority", "A1,0", "priority-bad"),
        ("plate,priority", "A1,high", "priority-bad"),
        ("plate,valid_from", "A1,yesterday", "valid-from-bad"),
        ("plate,valid_to", "A1,never", "expiry-bad"),
        ("plate,valid_from,valid_to", "A1,2026-01-02,2026-01-01", "validity-empty"),
        ("plate,reason", "A1," + "x" * 1001, "field-too-long"),
        ("plate,record", "A1," + "x" * 129, "field-too-long"),
        ("plate,state", "A1", "columns"),
        ("plate,state", "A1,MA,x", "columns"),
        ("plate,reason", 'A1,"x', "quotes"),
    ],
)
def test_a_row_that_is_no_entry_says_why(tmp_path: Path, head: str, row: str, reason: str) -> None:
    reading = read(tmp_path, row, row.replace("A1", "OK"), head=head)
    assert reading.rejects.rows[0] == (1, 2, reason)
    assert reading.pile.rows + len(reading.rejects) == 2


def test_what_a_source_leaves_out_comes_from_its_settings(tmp_path: Path) -> None:
    entry = one(read(tmp_path, "ab-1", state="MA", category="amber", agency="pd", priority=4))
    assert (entry.plate, entry.state, entry.category) == ("AB1", "MA", "amber")
    assert (entry.agency, entry.priority, entry.valid_from) == ("pd", 4, T0)


def test_priority_follows_the_category_unless_it_is_told(tmp_path: Path) -> None:
    assert PRIORITIES.keys() <= CATEGORIES
    head = "plate,category,priority"
    assert one(read(tmp_path, "A1,amber,", head=head)).priority == 1
    assert one(read(tmp_path, "A1,unregistered,", head=head)).priority == 5
    assert one(read(tmp_path, "A1,bolo,", head=head)).priority == 3
    assert one(read(tmp_path, "A1,amber,5", head=head)).priority == 5


def test_a_letter_may_mean_something_else_in_one_source(tmp_path: Path) -> None:
    entry = one(read(tmp_path, "A1,q", head="plate,category", categories={"q": "blue"}))
    assert entry.category == "blue"


def test_an_agency_that_is_none_is_dropped_and_counted(tmp_path: Path) -> None:
    reading = read(tmp_path, "A1,*", "A2,PD", head="plate,agency")
    assert dict(reading.tally.dropped) == {"agency": 1}
    assert reading.pile.rows == 2


def test_quoted_fields_may_go_on_over_lines_and_a_stray_quote_eats_no_file(tmp_path: Path) -> None:
    rows = ['A1,"two', 'lines, ""really"""', 'A2,"stray', *(f"B{n},x" for n in range(50))]
    reading = read(tmp_path, *rows, head="plate,reason")
    assert dict(reading.rejects.counts) == {"quotes": 1}
    assert (reading.rows, reading.pile.rows) == (52, 51)
    batch = reading.pile.take(reading.unique())
    assert {to_entry(batch, row).plate for row in range(51)} == {
        "A1", *(f"B{n}" for n in range(50))
    }  # fmt: skip
    reasons = {to_entry(batch, row).reason for row in range(51)}
    assert reasons == {'two lines, "really"', "x"}


def test_a_quoted_field_over_lines_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.hotlists.lines.BLOCK_BYTES", 64)
    rows = [f'A{n},"one\ntwo\nthree {n}"' for n in range(200)]
    reading = read(tmp_path, *rows, head="plate,reason")
    assert dict(reading.rejects.counts) == {}
    assert (reading.rows, reading.pile.rows) == (200, 200)


def test_control_characters_do_not_reach_a_terminal(tmp_path: Path) -> None:
    entry = one(read(tmp_path, "A1,red\x1b[2Jalert\x9b", head="plate,reason"))
    assert entry.reason == "red [2Jalert"


@settings(max_examples=30)
@given(st.lists(entries(), max_size=6, unique_by=lambda e: e.entry_id))
def test_columns_hold_what_entries_hold(listed: list[HotlistEntry]) -> None:
    batch = from_entries(listed)
    assert batch.schema == SCHEMA
    assert [to_entry(batch, row) for row in range(batch.num_rows)] == listed


def test_a_snapshot_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    batch = from_entries([])
    older = batch.select([n for n in SCHEMA.names if n not in ("record", "vehicle")])
    assert upgraded(older) == batch
    assert upgraded(batch.select(["plate"])) is None
    assert upgraded(pa.record_batch({"plates": pa.array(["A"])})) is None


def test_what_is_exported_is_what_is_loaded_again(tmp_path: Path) -> None:
    head = "plate,state,category,record,valid_from,valid_to,reason,priority,agency"
    reading = read(
        tmp_path,
        'A1,MA,bolo,r1,2026-01-01T00:00:00.000001Z,,"comma, ""quote""",2,pd',
        "B2,,zzz,,2026-01-01T00:00:00Z,2027-01-01T00:00:00Z,,5,",
        head=head,
    )
    batch = reading.pile.take(reading.unique())
    first = [to_entry(batch, row) for row in range(2)]
    snapshot = open_snapshot(tmp_path, write_snapshot(tmp_path, first, T0, 0))
    with (tmp_path / "out.csv").open("wb") as out:
        assert export(snapshot, "s", out) == 2
    again = read_entries(
        [tmp_path / "out.csv"],
        OWN,
        Settings(source="s"),
        datetime(2030, 1, 1, tzinfo=UTC),
        Limits(),
    )
    batch = again.pile.take(again.unique())
    assert sorted(to_entry(batch, row).entry_id for row in range(2)) == sorted(
        entry.entry_id for entry in first
    )
    assert {to_entry(batch, row) for row in range(2)} == set(first)
