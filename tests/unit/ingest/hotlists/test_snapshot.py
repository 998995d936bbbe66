from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import crc32c
import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.errors import Corrupt, Unavailable
from alpr.records import HotlistEntry
from ingest.hotlists.keys import plate_keys
from ingest.hotlists.snapshot import (
    Manifest,
    Snapshot,
    open_snapshot,
    read_manifest,
    write_snapshot,
)
from tests.support.records import T0, at, make_entry
from tests.support.strategies import entries, lookalike_plates


def write(store: Path, *listed: HotlistEntry, offset: int = 0) -> Manifest:
    return write_snapshot(store, listed, T0, offset)


def file_of(store: Path, manifest: Manifest) -> Path:
    return store / "snapshots" / f"{manifest.version}.arrow"


def all_entries(snapshot: Snapshot) -> list[HotlistEntry]:
    return [snapshot.entry(row) for row in range(len(snapshot))]


def by_id(listed: list[HotlistEntry]) -> list[HotlistEntry]:
    return sorted(listed, key=lambda entry: entry.entry_id)


@settings(max_examples=30)
@given(listed=st.lists(entries(lookalike_plates), max_size=8, unique_by=lambda e: e.entry_id))
def test_what_is_written_is_what_is_read_sorted_by_key(
    tmp_path_factory: pytest.TempPathFactory, listed: list[HotlistEntry]
) -> None:
    store = tmp_path_factory.mktemp("store")
    manifest = write(store, *listed, offset=12)
    assert read_manifest(store) == manifest
    assert (manifest.entries, manifest.changes_offset, manifest.built_at) == (len(listed), 12, T0)
    snapshot = open_snapshot(store, manifest)
    assert by_id(all_entries(snapshot)) == by_id(listed)
    assert snapshot.keys.tolist() == sorted(plate_keys([e.plate for e in listed]).tolist())


def test_a_snapshot_without_entries_can_be_written_and_searched(tmp_path: Path) -> None:
    snapshot = open_snapshot(tmp_path, write(tmp_path))
    assert len(snapshot) == 0
    assert [part.tolist() for part in snapshot.ranges(plate_keys(["A"]))] == [[], [], []]


def test_an_entry_id_that_comes_twice_keeps_its_last_entry(tmp_path: Path) -> None:
    old = make_entry("ABC1", record="1")
    new = make_entry("XYZ9", record="1")
    assert all_entries(open_snapshot(tmp_path, write(tmp_path, old, new))) == [new]


def test_all_entries_of_one_plate_are_one_range(tmp_path: Path) -> None:
    listed = [make_entry(p, record=f"{p} {i}") for p in ("AO", "A0", "B") for i in range(3)]
    snapshot = open_snapshot(tmp_path, write(tmp_path, *listed))
    found, first, last = snapshot.ranges(plate_keys(["C", "A0", "AO", "B"]))
    assert found.tolist() == [1, 2, 3]
    assert (last - first).tolist() == [6, 6, 3]


def test_a_later_snapshot_is_in_force_and_the_earlier_one_stays_readable(tmp_path: Path) -> None:
    first = write_snapshot(tmp_path, [make_entry("A")], T0, 0)
    second = write_snapshot(tmp_path, [make_entry("B")], at(60), 5)
    assert read_manifest(tmp_path) == second
    assert first.version < second.version
    assert [e.plate for e in all_entries(open_snapshot(tmp_path, first))] == ["A"]


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_entry())
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {
        "current.json",
        f"snapshots/{manifest.version}.arrow",
        f"snapshots/{manifest.version}.sieve",
    }


@pytest.mark.parametrize("place", [0, 100, -100, -1])
def test_one_damaged_byte_is_found_wherever_it_is(tmp_path: Path, place: int) -> None:
    manifest = write(tmp_path, make_entry())
    path = file_of(tmp_path, manifest)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt, match="load the list again"):
        open_snapshot(tmp_path, manifest)


@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_truncated_file_is_found(tmp_path: Path, keep: int) -> None:
    manifest = write(tmp_path, make_entry())
    path = file_of(tmp_path, manifest)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Corrupt):
        open_snapshot(tmp_path, manifest)


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_entry())
    file_of(tmp_path, manifest).unlink()
    with pytest.raises(Corrupt):
        open_snapshot(tmp_path, manifest)


def replaced(store: Path, manifest: Manifest, data: bytes) -> Manifest:
    """The manifest of other bytes, with the right checksum."""
    file_of(store, manifest).write_bytes(data)
    return msgspec.structs.replace(manifest, size=len(data), crc32c=crc32c.crc32c(data))


def test_another_layout_is_refused_though_its_checksum_is_right(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_entry())
    table = pa.table({"key": pa.array([1], pa.uint64())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    other = replaced(tmp_path, manifest, sink.getvalue().to_pybytes())
    with pytest.raises(Corrupt, match="layout"):
        open_snapshot(tmp_path, other)


def test_a_file_that_is_no_arrow_file_is_refused_though_its_checksum_is_right(
    tmp_path: Path,
) -> None:
    manifest = replaced(tmp_path, write(tmp_path, make_entry()), b"plates, plates, plates")
    with pytest.raises(Corrupt, match="cannot be read"):
        open_snapshot(tmp_path, manifest)


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b'{"version": "../../x"}', b"\xff"])
def test_a_damaged_manifest_is_found(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "current.json").write_bytes(data)
    with pytest.raises(Corrupt):
        read_manifest(tmp_path)


def test_a_manifest_cannot_lead_out_of_its_store(tmp_path: Path) -> None:
    manifest = write(tmp_path, make_entry())
    wrong = msgspec.structs.replace(manifest, version="../../etc/passwd")
    (tmp_path / "current.json").write_bytes(msgspec.json.encode(wrong))
    with pytest.raises(Corrupt):
        read_manifest(tmp_path)


def test_a_store_without_a_list_says_how_to_load_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="platelake hotlist load"):
        read_manifest(tmp_path)


def test_times_survive_to_the_microsecond(tmp_path: Path) -> None:
    entry = make_entry(valid_from=T0 + timedelta(microseconds=1), valid_to=at(0.000002))
    assert all_entries(open_snapshot(tmp_path, write(tmp_path, entry))) == [entry]
