"""Each declared layout against the columns of its source, and what letters mean in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.errors import ConfigurationError
from alpr.ids import entry_id
from alpr.records import HotlistEntry
from ingest.hotlists.entries import Settings
from ingest.hotlists.layouts import FOLDER, Layout, builtin, layout_names, read_layout
from ingest.hotlists.origin import Limits
from ingest.hotlists.reading import Reading, read_entries
from ingest.hotlists.table import to_entry
from tests.support.hotlists import render, render_row

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LISTED = "source: state"


def read(layout: Layout, data: bytes, folder: Path) -> Reading:
    path = folder / "list"
    path.write_bytes(data)
    return read_entries([path], layout, Settings(source="state"), NOW, Limits())


def entries_of(reading: Reading) -> list[HotlistEntry]:
    batch = reading.pile.take(reading.unique())
    return [to_entry(batch, row) for row in range(batch.num_rows)]


EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "ncic": [
        {
            "plate": "AB123456",
            "state": "CA",
            "category": "stolen-vehicle",
            "category_raw": "V",
            "record": "V123456789",
            "agency": "la0570200",
            "vehicle": "2009 YAMA CYL MC BLK",
            "valid_from": datetime(2019, 5, 9, 4, tzinfo=UTC),
        },
        {"plate": "QQA7", "state": "OH", "category": "wanted-person", "record": "W200000001"},
    ],
    "nj": [
        {
            "plate": "ABC123",
            "state": "NJ",
            "category": "suspended-registration",
            "record": None,
            "vehicle": "1985 NIS SEN 04 BLUE",
        },
        {"plate": "XYZ9", "category": "unregistered", "priority": 5},
    ],
    "mi": [
        {
            "plate": "AHG5263",
            "state": "WI",
            "category": "missing-person",
            "category_raw": "MISSING PERSON NCIC",
            "record": "M035777045",
            "agency": "wimpd0063",
        }
    ],
    "wa": [{"plate": "BN0W111", "state": "WA", "category": "stolen-vehicle", "category_raw": "V"}],
    "ca-svs": [
        {
            "plate": "ABC123",
            "state": "CA",
            "category": "stolen-vehicle",
            "valid_from": datetime(2018, 6, 27, 7, tzinfo=UTC),
        },
        {"plate": "XYZ999"},
    ],
    "ca-sfr": [{"plate": "ABC123", "category": "bolo"}, {"plate": "XYZ999"}],
    "ca-slr": [{"plate": "ABC123", "category": "stolen-plate"}, {"plate": "XYZ999"}],
    "tx-tcic": [
        {
            "plate": "ABC1234",
            "state": "TX",
            "category": "stolen-vehicle",
            "category_raw": "V",
            "record": "1V10000001",
            "vehicle": "2009 F0RD F15 PK RED",
        },
        {"plate": "QRS77", "state": "OK", "category": "threat-to-officer", "priority": 1},
    ],
    "tx-ncic": [
        {
            "plate": "AB12345",
            "state": "TX",
            "category": "stolen-vehicle",
            "agency": "tx0570200",
            "vehicle": "2009 CHEV TAH 4D BLK",
            "valid_from": datetime(2019, 5, 9, 5, tzinfo=UTC),
        }
    ],
    "mn-ncic": [
        {
            "plate": "JFJ4764",
            "state": "OH",
            "category": "supervised-release",
            "vehicle": "2013 CHEV AVA PK CRM",
        }
    ],
    "ny": [
        {"plate": "ABC1234", "state": "NY", "category": "suspended-registration"},
        {"plate": "DEF5678", "category": "stolen-vehicle", "vehicle": "T0YT BL"},
    ],
    "il-leads": [
        {
            "plate": "660JEM",
            "state": "WI",
            "category": "stolen-vehicle",
            "vehicle": "05 DODG MAG 4D RED",
        },
        {"plate": "ABC123", "state": "IL", "category": "wanted-person", "vehicle": None},
    ],
    "co": [
        {"plate": "ABC123", "state": "CO", "category": "atl", "vehicle": "2002 FORD FOC BLK"},
        {"plate": "DEF456", "category": "stolen-vehicle"},
    ],
    "fl": [
        {
            "plate": "ABC123",
            "state": "FL",
            "category": "stolen-plate",
            "agency": "fl0123456",
            "case_number": "11-1234",
            "record": "P123456789",
            "valid_from": datetime(2019, 1, 3, 5, tzinfo=UTC),
        }
    ],
    "ia": [
        {
            "plate": "ABC123",
            "state": "IA",
            "category": "stolen-vehicle",
            "category_raw": "SFV",
            "case_number": "24-0042",
            "agency": "ia0770300",
        }
    ],
    "al": [
        {
            "plate": "TAGHERE1",
            "state": "WA",
            "category": "stolen-vehicle",
            "record": "V000000000",
            "vehicle": "1985 CHEV RED",
        }
    ],
    "wa-stolen": [
        {
            "plate": "921RQE",
            "state": "WA",
            "category": "stolen-vehicle",
            "agency": "wa0170600",
            "case_number": "22-08882",
            "vehicle": "2003 HOND ELE 4D SIL",
            "reason": "",
        }
    ],
    "nj-snap": [
        {
            "plate": "TEST1234",
            "state": "NJ",
            "category": "bolo",
            "record": "4",
            "case_number": "WE3456",
            "vehicle": "2019 BMW X5 White",
            "valid_from": datetime(2025, 8, 18, 17, 28, 38, 277000, tzinfo=UTC),
            "valid_to": datetime(2025, 8, 30, 17, 28, 38, 277000, tzinfo=UTC),
        }
    ],
    "genetec": [
        {
            "plate": "ABC123",
            "state": "QC",
            "category": "stolen-vehicle",
            "valid_from": datetime(2026, 1, 1, tzinfo=UTC),
            "valid_to": datetime(2027, 1, 1, tzinfo=UTC),
        }
    ],
    "entries": [
        {
            "plate": "ABC123",
            "state": "MA",
            "category": "custom",
            "case_number": "26-0042",
            "reason": "taken from a car park",
            "valid_to": datetime(2026, 12, 31, tzinfo=UTC),
        },
        {"plate": "XYZ9", "state": None},
    ],
    "plain": [{"plate": "ABC123", "state": None, "category": "custom"}, {"plate": "XYZ999"}],
    "platelake": [
        {
            "plate": "ABC123",
            "state": "MA",
            "category": "stolen-vehicle",
            "priority": 2,
            "record": "26-1",
            "agency": "pd",
            "reason": "taken, with keys",
            "vehicle": "2009 FORD RED",
            "category_raw": "V",
        }
    ],
}


def test_every_layout_of_the_field_is_there() -> None:
    assert set(layout_names()) == EXAMPLES.keys() | {"nc", "pa"}
    for name in ("nc", "pa"):  # NCIC's own columns under another name
        assert builtin(name).fields == builtin("ncic").fields
        assert builtin(name).categories == builtin("ncic").categories


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_sources_own_columns(name: str, tmp_path: Path) -> None:
    layout = builtin(name)
    reading = read(layout, layout.example.lstrip("\n").encode(), tmp_path)
    assert dict(reading.rejects.counts) == {}
    entries = entries_of(reading)
    told = [{key: getattr(e, key) for key in want} for e, want in zip(entries, EXAMPLES[name])]  # noqa: B905
    assert told == EXAMPLES[name]
    assert len(entries) == len(EXAMPLES[name])


def test_a_letter_means_what_its_own_source_says() -> None:
    assert {name: builtin(name).categories["T"] for name in ("ncic", "tx-tcic", "ny")} == {
        "ncic": "gang-terrorist-watch",
        "tx-tcic": "threat-to-officer",
        "ny": "gang-terrorist-watch",
    }
    assert builtin("ncic").categories["X"] == "sex-offender"
    assert builtin("ny").categories["X"] == "suspended-registration"
    assert builtin("ny").categories["S"] == "sex-offender"
    assert builtin("nj").categories["S"] == "suspended-registration"
    tcic = builtin("tx-tcic").categories
    assert (tcic["O"], tcic["E"]) == ("protection-order", "threat-to-officer")


plate_texts = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=1, max_size=8)
codes = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=1, max_size=4)


@st.composite
def rows(draw: st.DrawFn, layout: Layout) -> dict[str, str]:
    """Fields of one row, as wide as the layout has room for."""
    wanted: dict[str, Any] = {
        "plate": draw(plate_texts),
        "state": draw(st.sampled_from(["MA", "NY", "TX"])),
        "record": draw(st.integers(0, 10**8 - 1).map("V{:08d}".format)),
        "agency": draw(st.integers(0, 99999).map("MA{:05d}".format)),
        "case_number": draw(st.integers(0, 10**6).map("26-{}".format)),
        "reason": draw(st.sampled_from(["hit and run", "taken, with keys", 'says "no"'])),
        "priority": draw(st.sampled_from(["1", "5"])),
        "action": "ADD",
        "vehicle": "2009 FORD RED",
        "vehicle_year": draw(st.sampled_from(["2009", "1999"])),
        "category_raw": "V",
    } | {name: draw(codes) for name in ("vehicle_make", "vehicle_model", "vehicle_color")}
    categories = sorted(layout.categories) or ["bolo", "amber"]
    wanted["category"] = draw(st.sampled_from(categories))
    if layout.name in ("ncic", "nc", "pa", "mi", "tx-ncic", "mn-ncic", "wa", "tx-tcic"):
        place = {"wa": 2, "tx-tcic": 1}.get(layout.name, 0)
        letter = "V" if layout.name == "mi" else wanted["category"]
        text = list(wanted["record"])
        text[place] = letter
        wanted["record"] = "".join(text)
    day = datetime(2026, 1, draw(st.integers(1, 28)))  # noqa: DTZ001
    form = "%Y-%m-%d" if layout.dates[0] == "iso" else layout.dates[0]
    wanted["valid_from"] = day.strftime(form)
    wanted["valid_to"] = datetime(2027, 1, 1).strftime(form)  # noqa: DTZ001
    return {name: wanted[name] for name in layout.fields if name in wanted}


@pytest.mark.parametrize("name", layout_names())
def test_what_a_source_writes_is_what_is_read(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = builtin(name)
    folder = tmp_path_factory.mktemp(name)

    @settings(max_examples=10)
    @given(st.lists(rows(layout), min_size=1, max_size=6))
    def check(written: list[dict[str, str]]) -> None:
        data = render(layout, [render_row(layout, row, "zz Doe, Jane") for row in written])
        reading = read(layout, data, folder)
        assert dict(reading.rejects.counts) in ({}, {"record-elsewhere": len(reading.rejects)})
        batch = reading.pile.take(_all(reading))
        assert batch.num_rows == len(written)
        for row, fields in enumerate(written):
            _agrees(to_entry(batch, row), fields, layout)

    check()


def _all(reading: Reading) -> Any:
    import numpy as np

    return np.arange(reading.pile.rows)


def _agrees(entry: HotlistEntry, fields: dict[str, str], layout: Layout) -> None:
    assert entry.plate == fields["plate"]
    assert entry.state == fields.get("state")
    if "category" in fields:
        meaning = layout.categories.get(fields["category"], fields["category"])
        assert entry.category == meaning
    for name in ("record", "case_number"):
        if name in fields:
            assert getattr(entry, name) == fields[name]
    if "agency" in fields:
        assert entry.agency == fields["agency"].lower()
    assert entry.reason == fields.get("reason", "")
    if "valid_from" in fields:
        assert entry.valid_from < datetime(2026, 2, 1, tzinfo=UTC)
    record = fields.get("record") or f"{entry.plate}/{entry.state or ''}/{entry.category}"
    assert entry.entry_id == entry_id("state", record)


def saved(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_field_template_of_ones_own(tmp_path: Path) -> None:
    layout = read_layout(
        saved(
            tmp_path,
            """
            name = "county"
            title = "County sheriff"
            kind = "delimited"
            delimiter = "|"
            header = "names"
            category = "bolo"
            dates = ["%d.%m.%Y"]
            timezone = "America/Denver"
            [fields]
            plate = "Tag No"
            state = "ST"
            valid_to = "Until"
            """,
        )
    )
    data = b"Owner|Tag No|ST|Until\nDoe, Jane|ab-12|UT|31.12.2026\n"
    (entry,) = entries_of(read(layout, data, tmp_path))
    assert (entry.plate, entry.state, entry.category) == ("AB12", "UT", "bolo")
    assert entry.valid_to == datetime(2027, 1, 1, 7, tzinfo=UTC)  # the last day counts


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("[fields]\nstate = [0, 2]", "`plate` is required"),
        ("[fields]\nplate = [5, 5]", "end behind its beginning"),
        ("[fields]\nplate = 3", "a slice"),
        ("[fields]\nplate = [0, 8]\nowner = [8, 20]", "no such fields: owner"),
        ('timezone = "Mars/Phobos"\n[fields]\nplate = [0, 8]', "no such time zone"),
        ('footer = "("\n[fields]\nplate = [0, 8]', "no layout"),
        ("[fields]\nplate = [0, 8]\n[categories]\nA = 'robber'", "robber"),
        ("colour = 3\n[fields]\nplate = [0, 8]", "colour"),
        ("[fields", "no layout"),
        ('extends = "moon"\n[fields]\nplate = [0, 8]', "does not exist"),
    ],
)
def test_a_wrong_template_says_what_is_wrong(tmp_path: Path, change: str, wanted: str) -> None:
    head = 'name = "mine"\ntitle = "Mine"\nkind = "fixed"\n'
    with pytest.raises(ConfigurationError, match=wanted):
        read_layout(saved(tmp_path, head + change))


def test_there_is_no_layout_of_that_name() -> None:
    with pytest.raises(ConfigurationError, match="ncic"):
        builtin("../ncic")
    assert all(builtin(path.stem).name == path.stem for path in FOLDER.glob("*.toml"))
