"""Exported evidence: whole, readable by anybody, and every changed byte shows."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from alpr.errors import BadInput, ConfigurationError, Corrupt
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention.agency_data import export_agency, find
from catalog.retention.export import _cell, check_export, export_hold
from catalog.retention.seal import Sealed, check_seal
from catalog.retention.selection import select
from catalog.retention.signing import SigningKey
from tests.contract.lake.samples import (
    DAY,
    NOW,
    make_hit,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
)
from tests.contract.lake.tasks import PURPOSE, holds

READS = make_reads(9, image=True)


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    lake = Lake(config)
    lake.init()
    owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    owner.commit([stage(lake, READS[:6])])
    owner.commit([stage(lake, READS[6:], first=6)])
    Committer(lake, "hits", now=lambda: NOW).commit([stage_hit_group(lake, [make_hit(READS[3])])])
    return lake


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return SigningKey.load_or_make(tmp_path / "secrets" / "key")


@pytest.fixture
def done(lake: Lake, key: SigningKey, tmp_path: Path) -> Sealed:
    """Read 3, its hit and read 4, on a medium."""
    records = select(lake, hits=[make_hit(READS[3]).hit_id], reads=[READS[4].read_id])
    state = holds(lake).add(records, PURPOSE)
    return export_hold(
        lake,
        holds(lake),
        state.hold.hold_id,
        tmp_path / "medium" / "26-1234",
        by="inv.miller",
        at=NOW,
        key=key,
    )


def test_it_holds_records_and_pictures(done: Sealed, lake: Lake, key: SigningKey) -> None:
    assert check_export(done.folder, key.public) == []
    lines = (done.folder / "records.jsonl").read_text().splitlines()
    entries = {(e["kind"], e["record_id"]): e for e in map(json.loads, lines)}
    assert set(entries) == {
        ("read", READS[3].read_id),
        ("read", READS[4].read_id),
        ("hit", make_hit(READS[3]).hit_id),
    }
    entry = entries["read", READS[3].read_id]
    assert entry["record"]["plate"] == READS[3].plate
    assert (done.folder / entry["images"]["crop"]).read_bytes() == READS[3].crop
    assert (done.folder / entry["images"]["overview"]).read_bytes() == READS[3].overview
    (state,) = holds(lake).all()
    assert state.exports == 1


def test_another_program_can_check_it(done: Sealed) -> None:
    """With nothing but a JSON parser and SHA-256; and a second engine reads the table."""
    manifest = json.loads((done.folder / "manifest.json").read_bytes())
    for file in manifest["files"]:
        data = (done.folder / file["path"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    assert hashlib.sha256((done.folder / "manifest.json").read_bytes()).hexdigest() == done.digest
    found = duckdb.sql(
        f"SELECT kind, plate FROM read_csv('{done.folder}/records.csv') ORDER BY ALL"
    ).fetchall()
    assert found == sorted(
        [("hit", READS[3].plate), ("read", READS[3].plate), ("read", READS[4].plate)]
    )


def test_it_says_who_and_why(done: Sealed) -> None:
    manifest = json.loads((done.folder / "manifest.json").read_text())
    assert (manifest["case_number"], manifest["clause"]) == ("26-1234", "S1-CP7b.iii")
    assert (manifest["held_by"], manifest["exported_by"]) == ("inv.miller", "inv.miller")
    page = (done.folder / "index.html").read_text()
    assert READS[3].plate in page
    assert page.count("<img") == 3
    events = json.loads((done.folder / "hold.json").read_text())
    assert [event["type"] for event in events] == ["requested", "copied"]


def test_no_plate_in_a_file_name(done: Sealed) -> None:
    names = " ".join(path.name for path in done.folder.rglob("*"))
    assert not any(read.plate in names for read in READS)


def test_every_changed_byte_shows(done: Sealed) -> None:
    """Of each file, the manifest and the signature among them."""
    for path in sorted(p for p in done.folder.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        place = len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert check_export(done.folder), path.name
        path.write_bytes(whole)
    assert check_export(done.folder) == []


def test_what_is_missing_or_added_shows(done: Sealed) -> None:
    picture = next((done.folder / "images").iterdir())
    data = picture.read_bytes()
    picture.unlink()
    assert check_export(done.folder) == [f"images/{picture.name} is missing"]
    picture.write_bytes(data)
    (done.folder / "note.txt").write_text("me too")
    assert check_export(done.folder) == ["note.txt was added after sealing"]


def test_another_key_does_not_pass(done: Sealed, tmp_path: Path) -> None:
    other = SigningKey.load_or_make(tmp_path / "other" / "key")
    (problem,) = check_export(done.folder, other.public)
    assert "signed" in problem


def test_a_manifest_cannot_name_files_outside(done: Sealed) -> None:
    manifest = json.loads((done.folder / "manifest.json").read_text())
    manifest["files"].append({"path": "../../secret", "bytes": 1, "sha256": ""})
    (done.folder / "manifest.json").write_text(json.dumps(manifest))
    assert any("no file of this folder" in problem for problem in check_export(done.folder))


def test_a_folder_with_something_in_it_is_refused(
    done: Sealed, lake: Lake, key: SigningKey
) -> None:
    (state,) = holds(lake).all()
    with pytest.raises(ConfigurationError, match="new or empty"):
        export_hold(lake, holds(lake), state.hold.hold_id, done.folder, by="x", at=NOW, key=key)


def test_damaged_evidence_is_not_exported(lake: Lake, key: SigningKey, tmp_path: Path) -> None:
    state = holds(lake).add(select(lake, reads=[READS[3].read_id]), PURPOSE)
    (pack,) = lake.store.list(f"{lake.config.warehouse}/evidence")
    data = bytearray(lake.store.read(pack.uri))
    data[-1] ^= 1
    lake.store.write(pack.uri, bytes(data))
    with pytest.raises(Corrupt):
        export_hold(
            lake, holds(lake), state.hold.hold_id, tmp_path / "out", by="x", at=NOW, key=key
        )
    assert not list(tmp_path.glob("*out*"))
    with pytest.raises(BadInput, match="unknown-hold"):
        export_hold(lake, holds(lake), "0" * 32, tmp_path / "out", by="x", at=NOW, key=key)


def test_an_unsigned_folder_is_told_when_a_signature_is_asked(
    lake: Lake, key: SigningKey, tmp_path: Path
) -> None:
    done, _ = export_agency(lake, "agency-1", tmp_path / "out", by="x", at=NOW, key=None)
    assert check_seal(done.folder) == []
    assert "not signed" in check_seal(done.folder, key.public)[0]


@pytest.mark.parametrize(
    ("value", "cell"), [("=1+1", "'=1+1"), ("ABC", "ABC"), (-121.5, -121.5), (None, "")]
)
def test_no_cell_is_a_formula(value: object, cell: object) -> None:
    assert _cell(value) == cell


def test_an_agency_finds_its_own(lake: Lake) -> None:
    shares = find(lake, "agency-0")
    assert [(share.table, share.day, share.rows) for share in shares] == [
        ("hits", DAY.date(), 1),
        ("reads", DAY.date(), 3),
    ]
    assert shares[1].first == READS[0].captured_at
    assert shares[1].last == READS[6].captured_at
    assert find(lake, "agency-0", last=DAY.date().replace(day=1)) == []
    assert find(lake, "nobody") == []


@pytest.mark.parametrize("as_csv", [False, True])
def test_an_agency_gets_its_own(lake: Lake, key: SigningKey, tmp_path: Path, as_csv: bool) -> None:
    done, counts = export_agency(
        lake,
        "agency-0",
        tmp_path / "out",
        by="x",
        at=NOW,
        key=key,
        as_csv=as_csv,
        images=True,
    )
    assert counts == {"reads": 3, "hits": 1}
    assert check_seal(done.folder, key.public) == []
    own = [read for read in READS if read.agency == "agency-0"]
    if as_csv:
        with (done.folder / "reads.csv").open(newline="") as file:
            plates = [row["plate"] for row in csv.DictReader(file)]
    else:
        plates = pq.read_table(done.folder / "reads.parquet")["plate"].to_pylist()
    assert sorted(plates) == sorted(read.plate for read in own)
    assert (done.folder / f"images/{own[0].read_id}-crop.jpg").read_bytes() == own[0].crop
