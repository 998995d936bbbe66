"""Personal data rides along in the sources' files, and goes no further than the parser.

Every layout is fed rows with marked personal data in every place that is not a field; then every
byte that a load writes, and everything that it prints, is searched for the marks.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from ingest.codecs import encode
from ingest.hotlists.layouts import Layout, builtin, layout_names
from ingest.hotlists.snapshot import open_snapshot, read_manifest
from tests.support.hotlists import header_names, render, render_row
from tests.support.records import make_change

runner = CliRunner()

NAME, BIRTH, STREET = "DOE QUINCY", "19700131", "12 ELM ST"
PHONE, LICENCE, NOTE = "555-010-9876", "D12345678", "carries a knife"
MARKS = ("DOE", "QUINCY", "Quincy", BIRTH, "01/31/1970", "ELM ST", "010-9876", LICENCE, "knife")
AROUND = f"{NAME}, {BIRTH} 01/31/1970 {STREET} {PHONE} {LICENCE} {NOTE} "


def fields(layout: Layout, number: int) -> dict[str, str]:
    categories = sorted(layout.categories.keys() - set(layout.vehicle_only_for)) or ["bolo"]
    wanted = {
        "plate": f"ABC{number:03d}",
        "state": "MA",
        "record": f"V{number:08d}",
        "agency": "MA0130100",
        "case_number": f"26-{number}",
        "reason": "hit and run",
        "action": "ADD",
        "category": categories[0],
    }
    if layout.dates[0] == "%m/%d/%Y":
        wanted["valid_from"] = "01/02/2026"
    elif layout.dates[0] == "%Y%m%d":
        wanted["valid_from"] = "20260102"
    return {name: text for name, text in wanted.items() if name in layout.fields}


def file_of(layout: Layout) -> bytes:
    """Good rows and bad ones, every one of them with marks."""
    good = [render_row(layout, fields(layout, n), AROUND) for n in range(6)]
    strange = fields(layout, 6) | {"category": f"WANTED {NAME}"}
    no_plate = {**fields(layout, 7), "plate": ""}
    bad_state = fields(layout, 8) | {"state": "M1" if "state" in layout.fields else ""}
    long_plate = fields(layout, 9) | {"plate": f"{NAME}*"}
    bad = [
        render_row(layout, row, AROUND)
        for row in (
            {name: text for name, text in strange.items() if name in layout.fields},
            no_plate,
            {name: text for name, text in bad_state.items() if name in layout.fields},
            # In columns a name in the plate's place is a plate.
            no_plate if layout.kind == "fixed" else long_plate,
        )
    ]
    return render(layout, [*good, *bad])


def stored_bytes(home: Path) -> bytes:
    found = []
    for path in sorted(home.rglob("*")):
        found.append(str(path.relative_to(home)).encode())
        if path.is_file():
            found.append(path.read_bytes())
    return b"\0".join(found)


def run(home: Path, *command: str) -> str:
    done = runner.invoke(app, ["hotlist", *command, "--home", str(home)])
    text = done.output + (repr(done.exception) if done.exception else "")
    return text + (done.stderr if done.stderr_bytes else "")


@pytest.mark.parametrize("name", layout_names())
@pytest.mark.parametrize("limit", ["1", "0"])
def test_no_output_holds_personal_data(
    name: str, limit: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    layout = builtin(name)
    data = file_of(layout)
    if name not in ("genetec", "tx-tcic"):  # which have no place that is not a field
        assert all(mark.encode() in data for mark in (BIRTH, LICENCE, "knife"))
    source = tmp_path / "list"
    source.write_bytes(data)
    home = tmp_path / "home"
    caplog.set_level(logging.DEBUG)
    said = run(home, "declare", "s", "--layout", name, "--reject-limit", limit)
    for command in (
        ("load", str(source), "--source", "s"),
        ("load", str(source), "--source", "s", "--json"),
        ("status",),
        ("status", "--json"),
        ("sources", "--json"),
        ("history", "--json"),
        ("show", "--plate", "ABC001", "--json"),
        ("show", "--plate", "ABC006"),
        ("export", "--source", "s", "--out", str(home / "out.csv")),
    ):
        said += run(home, *command)
    store = next(home.rglob("history.jsonl")).parent
    changes = b""
    if limit == "1":
        snapshot = open_snapshot(store, read_manifest(store))
        assert len(snapshot) >= 6, "the good rows were loaded"
        entries = [snapshot.entry(row) for row in range(len(snapshot))]
        changes = b"".join(encode(make_change(entry)) for entry in entries)
    else:
        assert not (store / "current.json").exists(), "the bad rows were too many"
        assert list((store / "rejects").glob("*.csv"))
    everything = stored_bytes(home) + said.encode() + changes + caplog.text.encode()
    assert [mark for mark in MARKS if mark.encode() in everything] == []


AS_SENT = {
    "il-leads": f"ABC123  ILPCWANTED {NAME}, M W {BIRTH} 12 ELM ST SPRINGFIELD   {PHONE}  W12B3"
    "456\n",
    "wa-stolen": "EVS,WA0170600,ABC123,WA,2023,PC,5J6YH28573L041133,2003,HOND,ELE,4D,SIL,"
    f"07/31/2022,22-08882,CALL {NAME} {PHONE}, {STREET}, YES TO SEARCH\n",
    "fl": f"STOLEN VEHICLE;FL0123456;{NAME};11-1234;{LICENCE};P123456789;P554433221;01/03/2019;N;"
    f"01/31/1970;ABC123;2019;FL;{STREET};{PHONE}\n",
    "nj-snap": '{"POIs": [{"ID": "4", "Status": "ADD", "PlateNumber": "ABC123", "PlateSt": "NJ", '
    f'"Reason": "BOLO ALERT", "ContactName": "{NAME}", "ContactNo": "{PHONE}", "ContactEmail": '
    f'"quincy@example.org", "Comment": "{NOTE}", "DeptName": "{STREET}"}}]}}',
    "entries": '[{"plate": "ABC123", "caseNumber": "1", "reason": "hit and run", '
    f'"note": "{NAME}, {PHONE}, {NOTE}"}}]',
    "platelake": "owner,plate,dob,phone,licence,remarks\n"
    f"{NAME},ABC123,{BIRTH},{PHONE},{LICENCE},{NOTE}\n",
    "mi": "M035777045WIMPD006320200403ABC123    WI2020PC2003CHEVSUBLLBLK    "
    f"MISSING PERSON NCIC{'':16}{NAME} {BIRTH} {STREET}\n",
    "ncic": f"V123456789LA057020020190509ABC123    CA2009MC2009YAMACYLMCBLK     {NAME} {BIRTH}\n",
}
"""As the sources send them: written without a look at the layouts."""


@pytest.mark.parametrize("name", sorted(AS_SENT))
def test_what_sources_send_along_stays_behind(name: str, tmp_path: Path) -> None:
    source, home = tmp_path / "list", tmp_path / "home"
    source.write_text(AS_SENT[name])
    said = run(home, "load", str(source), "--source", "s", "--layout", name)
    said += run(home, "show", "--plate", "ABC123", "--json")
    assert '"plate": "ABC123"' in said
    everything = stored_bytes(home) + said.encode()
    marks = (*MARKS, "example.org", "SPRINGFIELD", "SEARCH")
    assert [mark for mark in marks if mark.encode() in everything] == []


def test_the_search_would_find_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"..." + NAME.encode())
    assert b"QUINCY" in stored_bytes(tmp_path)


def test_a_header_that_is_somebodys_row_is_not_told(tmp_path: Path) -> None:
    source = tmp_path / "list"
    source.write_text(f"{NAME},{PHONE}\nABC1,MA\n")
    said = run(tmp_path / "home", "load", str(source), "--source", "s")
    assert "no-plate-column" in said
    assert not [mark for mark in MARKS if mark in said]


def test_json_that_is_broken_is_not_told(tmp_path: Path) -> None:
    source = tmp_path / "list"
    entry: dict[str, Any] = {"plate": "ABC1", "caseNumber": "1", "reason": "x", "note": NOTE}
    for text in (
        json.dumps([entry])[:-5],
        json.dumps([entry | {"plate": {"owner": NAME}}]),
        json.dumps([[NAME]]),
    ):
        source.write_text(text)
        said = run(tmp_path / "home", "load", str(source), "--source", "s", "--layout", "entries")
        assert not [mark for mark in MARKS if mark in said]


def test_the_marks_are_where_no_field_is() -> None:
    layout = builtin("platelake")
    assert "owner_name" not in header_names(layout)
    assert render(layout, []).decode().strip().endswith("owner_name")
