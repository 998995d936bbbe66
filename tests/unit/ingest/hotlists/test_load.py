"""Loading a source into a store: whole or not at all, and what stays in force."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.errors import BadInput, ConfigurationError, Unavailable
from alpr.ids import entry_id
from alpr.records import HotlistEntry
from ingest.hotlists.load import Overrides, Request, Result, load
from ingest.hotlists.reading import Refusal
from ingest.hotlists.snapshot import open_snapshot, read_manifest, write_snapshot
from ingest.hotlists.sources import Source, Sources
from ingest.hotlists.status import SourceStatus, status_of
from tests.support.records import T0, at, make_entry

HEAD = "plate,state,category,record,valid_from,valid_to\n"


class Store:
    """A store, and a clock that every load moves on by a minute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sources = Sources(folder / "store")
        self.loads = 0

    def load(self, text: str | bytes, source: Source | None = None, **more: Any) -> Result:
        file = self.folder / "file"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.load_from(str(file), source, **more)

    def load_from(self, location: str, source: Source | None = None, **more: Any) -> Result:
        self.loads += 1
        request: dict[str, Any] = {
            "source": source or Source(source="state"),
            "location": location,
            "actor": "anna",
            "at": at(60 * self.loads),
        }
        return load(self.sources, Request(**request | more))

    def entries(self) -> dict[str, HotlistEntry]:
        snapshot = open_snapshot(self.sources.store, read_manifest(self.sources.store))
        return {e.entry_id: e for e in (snapshot.entry(row) for row in range(len(snapshot)))}

    def plates(self, source: str = "state") -> list[str]:
        return sorted(e.plate for e in self.entries().values() if e.source == source)

    def files(self) -> set[str]:
        root = self.sources.store
        return {
            str(p.relative_to(root))
            for p in root.rglob("*")
            if p.is_file() and p.name not in ("history.jsonl", ".lock")
        }

    def outcomes(self) -> list[tuple[str, str | None]]:
        return [(event.outcome, event.reason) for event in self.sources.history()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def csv_of(*plates: str, head: str = HEAD) -> str:
    return head + "".join(f"{plate},MA,bolo,,,\n" for plate in plates)


MANY = [f"A{number}" for number in range(100)]


def test_a_complete_load_replaces_its_source_and_no_other(store: Store) -> None:
    store.load(csv_of("OTHER1"), Source(source="other"))
    first = store.load(csv_of(*MANY))
    assert (first.outcome, first.entries, first.added, first.in_force) == ("done", 100, 100, 101)
    second = store.load(csv_of(*MANY[5:], "NEW1"))
    assert (second.entries, second.added, second.removed, second.in_force) == (96, 1, 5, 97)
    assert store.plates() == sorted([*MANY[5:], "NEW1"])
    assert store.plates("other") == ["OTHER1"]


def test_the_same_file_twice_changes_nothing_and_says_so(store: Store) -> None:
    first = store.load(csv_of("ABC1"))
    before = store.files(), store.entries()
    again = store.load(csv_of("ABC1"))
    assert (again.outcome, again.version, again.entries) == ("unchanged", first.version, 1)
    assert (store.files(), store.entries()) == before
    assert store.outcomes() == [("done", None), ("unchanged", None)]


def test_the_same_file_under_other_settings_is_loaded_again(store: Store) -> None:
    text = "plate\nABC1\n"
    store.load(text)
    again = store.load(text, Source(source="state", category="amber", max_removed=1))
    assert again.outcome == "done"
    (entry,) = store.entries().values()
    assert entry.category == "amber"


def test_an_incremental_load_adds_changes_and_removes(store: Store) -> None:
    source = Source(source="snap", layout="nj-snap")

    def poi(number: int, status: str, plate: str) -> str:
        return (
            f'{{"ID": "{number}", "Status": "{status}", "PlateNumber": "{plate}",'
            ' "PlateSt": "NJ", "Reason": "BOLO ALERT"}'
        )

    store.load("\n".join(poi(n, "ADD", f"P{n}") for n in range(5)), source)
    changes = [poi(1, "EDIT", "Q1"), poi(2, "DELETE", "P2"), poi(9, "ADD", "P9")]
    done = store.load('{"POIs": [' + ",".join(changes) + "]}", source, mode="incremental")
    assert (done.entries, done.added, done.removed) == (5, 1, 1)
    assert store.plates("snap") == ["P0", "P3", "P4", "P9", "Q1"]
    gone = store.load("\n".join([poi(3, "ADD", "P3"), poi(77, "ADD", "X")]), source, mode="remove")
    assert (gone.entries, gone.removed) == (4, 1)
    assert store.plates("snap") == ["P0", "P4", "P9", "Q1"]


def test_the_last_of_several_changes_to_an_entry_counts(store: Store) -> None:
    source = Source(source="snap", layout="nj-snap")
    row = '{{"ID": "1", "Status": "{}", "PlateNumber": "{}"}}'
    store.load("\n".join([row.format("ADD", "A1"), row.format("EDIT", "A2")]), source,
               overrides=Overrides(rejects=True))  # fmt: skip
    assert store.plates("snap") == ["A2"]
    last = [row.format("ADD", "A3"), row.format("DELETE", "A3")]
    store.load("\n".join(last), source, mode="incremental")
    assert store.plates("snap") == []


def test_one_plate_in_two_states_and_in_two_lists_stays_several_entries(store: Store) -> None:
    store.load(HEAD + "ABC1,MA,bolo,,,\nABC1,NH,bolo,,,\nABC1,MA,amber,,,\nABC1,MA,bolo,,,\n")
    store.load(HEAD + "ABC1,MA,bolo,,,\n", Source(source="other"))
    assert set(store.entries()) == {
        entry_id("state", "ABC1/MA/bolo"),
        entry_id("state", "ABC1/NH/bolo"),
        entry_id("state", "ABC1/MA/amber"),
        entry_id("other", "ABC1/MA/bolo"),
    }


def test_a_record_number_is_the_identity_though_the_plate_changes(store: Store) -> None:
    store.load(HEAD + "ABC1,MA,bolo,26-1,,\n")
    done = store.load(HEAD + "XYZ9,NH,amber,26-1,,\n")
    assert (done.added, done.removed) == (0, 0)
    (entry,) = store.entries().values()
    assert (entry.entry_id, entry.plate) == (entry_id("state", "26-1"), "XYZ9")


def test_a_record_number_with_two_plates_is_told(store: Store) -> None:
    done = store.load(
        HEAD + "ABC1,MA,bolo,26-1,,\nXYZ9,MA,bolo,26-1,,\n", Source(source="state", reject_limit=1)
    )
    assert done.rejected == {"record-elsewhere": 1}
    assert store.plates() == ["XYZ9"]


def test_an_entry_keeps_since_when_it_is_valid_over_later_loads(store: Store) -> None:
    store.load(csv_of("OLD1"))
    store.load(csv_of("OLD1", "NEW1"))
    store.load(csv_of("NEW1", "OLD1") + "NEW1,MA,amber,,2026-02-03T04:05:06Z,\n")
    since = {e.plate + e.category: e.valid_from for e in store.entries().values()}
    assert since["OLD1bolo"] == at(60)
    assert since["NEW1bolo"] == at(120)
    assert since["NEW1amber"].isoformat() == "2026-02-03T04:05:06+00:00"


def test_a_load_that_removes_too_much_is_refused_and_can_be_meant(store: Store) -> None:
    store.load(csv_of(*MANY))
    before = store.entries()
    with pytest.raises(Refusal, match=r"21 of the 100 entries.*21\.0%"):
        store.load(csv_of(*MANY[21:]))
    assert store.entries() == before
    assert store.load(csv_of(*MANY[20:])).removed == 20
    with pytest.raises(Refusal, match="removes-too-much"):
        store.load(csv_of("NEW1"))
    done = store.load(csv_of("NEW1"), overrides=Overrides(removal=True))
    assert (done.entries, done.removed) == (1, 80)
    assert store.sources.history()[-1].overrides == ("removal",)
    assert store.outcomes() == [
        ("done", None),
        ("refused", "removes-too-much"),
        ("done", None),
        ("refused", "removes-too-much"),
        ("done", None),
    ]


def test_too_many_bad_rows_refuse_the_load_and_are_reported(store: Store) -> None:
    store.load(csv_of("ABC1"))
    bad = csv_of(*MANY[:50]) + ",MA,bolo,,,\n" * 3
    with pytest.raises(Refusal, match="3 of 53 rows are bad") as refused:
        store.load(bad)
    assert store.plates() == ["ABC1"]
    assert refused.value.report is not None
    assert Path(refused.value.report).read_text() == (
        "part,row,reason\n1,52,plate-missing\n1,53,plate-missing\n1,54,plate-missing\n"
    )
    done = store.load(
        bad, Source(source="state", reject_limit=0.1), overrides=Overrides(removal=True)
    )
    assert (done.entries, done.rejected) == (50, {"plate-missing": 3})


CA = "DATE07/02/2018 09:00\nABC123  CA0120180627\nXYZ999  CA0220180430\nTOTAL RECORD 0000002\n"
SVS = Source(source="ca", layout="ca-svs")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: text.replace("0000002", "0000003"), "footer-count"),
        (lambda text: text.replace("XYZ999  CA0220180430\n", ""), "footer-count"),
        (lambda text: text[: text.index("TOTAL")], "footer"),
        (lambda text: text[: text.index("TOTAL") + 8], "footer"),
        (lambda text: text[text.index("ABC") :], "header"),
        (lambda text: text + text, "footer-count"),
        (lambda _: "", "header"),
    ],
)
def test_a_file_whose_frame_is_wrong_is_refused(
    store: Store, damage: Callable[[str], str], reason: str
) -> None:
    store.load(CA, SVS)
    before = store.entries()
    with pytest.raises(BadInput) as refused:
        store.load(damage(CA), SVS)
    assert refused.value.reason == reason
    assert store.entries() == before


def test_a_list_made_before_the_one_in_force_is_refused(store: Store) -> None:
    store.load(CA, SVS)
    older = CA.replace("07/02/2018 09:00", "07/01/2018 09:00").replace("XYZ999", "XYZ998")
    relaxed = Source(source="ca", layout="ca-svs", max_removed=1)
    with pytest.raises(Refusal, match="older"):
        store.load(older, relaxed)
    assert store.load(older, relaxed, overrides=Overrides(older=True)).outcome == "done"


def test_an_empty_file_is_no_list(store: Store) -> None:
    for text in ("plate\n", "plate\n\n\n"):
        with pytest.raises(Refusal, match="empty"):
            store.load(text)
    with pytest.raises(BadInput, match="no-plate-column"):
        store.load("")


def test_a_header_without_a_plate_is_refused_and_not_told(store: Store) -> None:
    with pytest.raises(BadInput, match="`plate`") as refused:
        store.load("Doe,Jane\nABC1,MA\n")
    assert "Doe" not in str(refused.value)


def test_a_folder_and_its_rejects_by_part(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "1.csv").write_text(csv_of("ABC1"))
    (folder / "2.csv").write_text(csv_of("XYZ9", ""))
    done = store.load_from(str(folder), Source(source="state", reject_limit=1))
    assert store.plates() == ["ABC1", "XYZ9"]
    assert done.report is not None
    assert "2,3,plate-missing" in Path(done.report).read_text()


def test_an_address_is_asked_only_for_what_has_changed(store: Store, tmp_path: Path) -> None:
    from tests.unit.ingest.hotlists.test_fetch import started

    served = tmp_path / "served"
    served.write_text(csv_of("ABC1"))
    server = started(served)
    try:
        address = f"{server.base}/list?key=s3cret"
        assert store.load_from(address, token="t0ken").outcome == "done"
        assert store.load_from(address, token="t0ken").outcome == "unchanged"
        assert "if-none-match" in server.seen()[-1]
        other = Source(source="state", category="amber", max_removed=1)
        assert store.load_from(address, other, token="t0ken").outcome == "done"
        assert "if-none-match" not in server.seen()[-1], "other settings need the list again"
        again = f"{server.base}/to/{server.base}/list"
        assert store.load_from(again, other).outcome == "unchanged"
        assert "if-none-match" not in server.seen()[-1], "tags of another address say nothing"
    finally:
        server.process.kill()
        server.process.communicate()
    with pytest.raises(Unavailable):
        store.load_from(
            address, fetching=lambda *_, **__: (_ for _ in ()).throw(Unavailable("down"))
        )
    assert store.outcomes()[-1] == ("failed", "Unavailable")
    kept = (store.sources.store / "history.jsonl").read_text()
    assert "s3cret" not in kept + read_manifest(store.sources.store).sources["state"].origin


def test_entries_that_no_load_brought_stay(store: Store) -> None:
    write_snapshot(store.sources.store, [make_entry("DEMO1")], T0, 7)
    store.load(csv_of("ABC1"))
    assert store.plates("state-list") == ["DEMO1"]
    assert read_manifest(store.sources.store).changes_offset == 7


def test_old_snapshots_go_and_three_stay(store: Store) -> None:
    versions = [store.load(csv_of(*MANY, f"N{n}"), overrides=Overrides(removal=True)).version
                for n in range(5)]  # fmt: skip
    kept = {Path(name).stem for name in store.files() if name.startswith("snapshots/")}
    assert kept == set(versions[-3:])


def test_a_file_that_somebody_still_writes_is_refused(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_text(csv_of("ABC1"))

    def write_on(done: int, total: int) -> None:
        if file.stat().st_size < 1000:
            with file.open("a") as more:
                more.write("XYZ9,MA,bolo,,,\n")

    with pytest.raises(Refusal, match="changed-while-read"):
        store.load_from(str(file), progress=write_on)
    assert not (store.sources.store / "current.json").exists()


def test_only_one_load_at_a_time(store: Store) -> None:
    with store.sources.lock(), pytest.raises(Unavailable, match="another load"):
        store.load(csv_of("ABC1"))
    assert store.load(csv_of("ABC1")).outcome == "done"


def test_a_source_needs_a_name_and_a_layout(store: Store) -> None:
    with pytest.raises(ConfigurationError, match="no layout"):
        store.load(csv_of("ABC1"), Source(source="state", layout="moon"))
    with pytest.raises(BadInput, match="source-name"), store.sources.lock():
        store.sources.declare(Source(source="../x"), "anna", T0)


def test_status_tells_age_counts_and_what_is_stale(store: Store) -> None:
    source = Source(source="ncic", layout="ncic", refresh_h=1, reject_limit=1)
    with store.sources.lock():
        store.sources.declare(source, "anna", T0)
        store.sources.declare(Source(source="never"), "anna", T0)

    def states(now: Any) -> dict[str, SourceStatus]:
        declared = [x for n in store.sources.names() if (x := store.sources.get(n))]
        manifest = read_manifest(store.sources.store)
        found = status_of(manifest, declared, store.sources.history(), now)
        return {state.source: state for state in found}

    good = "V123456789MA013010020200102ABC1      MA2026PC2015F0RDF504DBLU\n"
    text = good + good.replace("V1", "Q1") + "V\n"
    store.load(text, source)
    fresh = states(at(120))["ncic"]
    assert (fresh.stale, fresh.age_s, fresh.entries) == (False, 60, 2)
    assert fresh.categories == {"other": 1, "stolen-vehicle": 1}
    assert (fresh.rejected, fresh.unknown) == ({"too-short": 1}, {"Q": 1})
    assert states(at(60 + 3601))["ncic"].stale
    store.loads = 60
    store.load(text, source)  # unchanged: the source says that this is still its list
    assert not states(at(60 + 3601))["ncic"].stale
    with pytest.raises(BadInput):
        store.load("V\n" * 40, source)
    refused = states(at(60 + 3700))["ncic"]
    assert (refused.last_outcome, refused.entries) == ("refused", 2)
    assert states(at(0))["never"].stale


CHILD = """
import sys
from datetime import datetime, timezone
from ingest.hotlists.load import Request, load
from ingest.hotlists.sources import Source, Sources
load(Sources(__import__("pathlib").Path(sys.argv[1])), Request(
    source=Source(source="state", layout="plain", max_removed=1), location=sys.argv[2],
    actor="bob", at=datetime.now(timezone.utc)))
print("done", flush=True)
"""


def test_a_load_that_is_killed_leaves_the_list_in_force(store: Store, tmp_path: Path) -> None:
    store.load(csv_of("ABC1"))
    before = store.entries()
    big = tmp_path / "big"
    big.write_text("".join(f"P{number}\n" for number in range(400_000)))
    spoiled = 0
    for wait_s in (0.0, 0.3, 0.6, 0.9, 1.2, 1.6):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(store.sources.store), str(big)],
            stdout=subprocess.PIPE,
        )
        deadline = time.monotonic() + 20
        while not list((store.sources.store).glob(".fetched-*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(wait_s)
        child.send_signal(signal.SIGKILL)
        out, _ = child.communicate()
        if b"done" not in out and store.entries() == before:
            spoiled += 1
        entries = store.entries()
        assert len(entries) in (1, 400_000), "whole, or not at all"
        if len(entries) != 1:
            break
        for folder in store.sources.store.glob(".fetched-*"):
            folder.rename(tmp_path / f"left-{wait_s}")  # so that the next one is seen
    assert spoiled, "at least one was killed in the middle"
    (store.sources.store / ".fetched-left").mkdir()
    store.loads = 10**6
    store.load(csv_of("ABC1", "XYZ9"), overrides=Overrides(removal=True))
    assert store.plates() == ["ABC1", "XYZ9"]
    assert not [name for name in store.files() if ".partial" in name], "its remains are swept"
    assert not list(store.sources.store.glob(".fetched-*"))


def test_a_torn_line_of_history_is_none(store: Store) -> None:
    store.load(csv_of("ABC1"))
    path = store.sources.store / "history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"at":"2026-03-01T12')
    assert store.outcomes() == [("done", None)]
    store.load(csv_of("ABC1"))
    assert store.outcomes() == [("done", None), ("unchanged", None)]
    assert os.path.getsize(path) == sum(map(len, path.read_bytes().splitlines(keepends=True)))


some_plates = st.lists(st.sampled_from(["A1", "AI", "B2", "C3", "D4"]), max_size=5)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["complete", "incremental", "remove"]),
            st.sampled_from(["one", "two"]),
            some_plates.filter(bool),
        ),
        max_size=5,
    )
)
def test_any_loads_give_what_a_dictionary_gives(
    tmp_path_factory: pytest.TempPathFactory, loads: list[tuple[Any, str, list[str]]]
) -> None:
    store = Store(tmp_path_factory.mktemp("model"))
    truth: dict[str, set[str]] = {}
    for mode, name, plates in loads:
        source = Source(source=name, max_removed=1)
        store.load(csv_of(*plates), source, mode=mode)
        had = truth.get(name, set())
        truth[name] = {
            "complete": set(plates),
            "incremental": had | set(plates),
            "remove": had - set(plates),
        }[mode]
        for each, wanted in truth.items():
            assert store.plates(each) == sorted(wanted)
    snapshot_keys = (
        open_snapshot(store.sources.store, read_manifest(store.sources.store)).keys.tolist()
        if loads
        else []
    )
    assert snapshot_keys == sorted(snapshot_keys)


def test_refresh_time_is_twelve_hours_unless_said_otherwise() -> None:
    assert Source(source="x").refresh == timedelta(hours=12)
