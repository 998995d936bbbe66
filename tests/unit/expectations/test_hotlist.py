"""Every rule of a hot list can break."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from alpr.ids import entry_id
from alpr.records import HotlistEntry
from expectations.findings import Finding
from expectations.hotlist import HotList, check_list
from expectations.suites import Limits, list_suites
from ingest.hotlists.snapshot import SCHEMA, open_snapshot, write_snapshot

NOW = datetime(2026, 11, 20, 14, tzinfo=UTC)
DAY = timedelta(days=1)


def entry(number: int, **more: Any) -> HotlistEntry:
    fields: dict[str, Any] = {
        "entry_id": entry_id("police", str(number)),
        "source": "police",
        "plate": f"PLT{number:04}",
        "state": "MA",
        "category": "bolo",
        "valid_from": NOW - DAY,
    }
    return HotlistEntry(**(fields | more))


def hot_list(tmp_path: Path, *entries: HotlistEntry, built_at: datetime = NOW) -> HotList:
    manifest = write_snapshot(tmp_path, entries, built_at, 0)
    rows = pa.Table.from_batches([open_snapshot(tmp_path, manifest).rows])
    return HotList(manifest.version, manifest.built_at, rows)


def findings(listed: HotList, pages: Path | None = None) -> dict[str, Finding]:
    outcomes = list(check_list(listed, Limits(), NOW, pages))
    assert [outcome.table for outcome in outcomes] == ["hotlist", "hotlist-sources"]
    return {finding.rule: finding for outcome in outcomes for finding in outcome.findings}


def test_a_good_list(tmp_path: Path) -> None:
    entries = [entry(number, valid_to=NOW + DAY if number % 2 else None) for number in range(100)]
    found = findings(hot_list(tmp_path, *entries))
    assert all(finding.ok for finding in found.values())
    assert found["plate is never missing"].checked == 100


def test_every_rule_can_break_and_no_page_tells_a_plate(tmp_path: Path) -> None:
    good = hot_list(tmp_path / "store", *(entry(number) for number in range(40)))
    rows = good.entries.to_pylist()
    faults: list[dict[str, Any]] = [
        {"entry_id": "no hash"},
        {"source": "Upper Case"},
        {"agency": "Upper Case"},
        {"plate": "PLT 0004"},
        {"state": "Mass"},
        {"category": "unpaid-lunch"},
        {"priority": 0},
        {"valid_from": datetime(1999, 1, 1, tzinfo=UTC), "valid_to": NOW},
        {"valid_to": NOW - 2 * DAY},
        {"plate": rows[10]["plate"]},  # the same plate, state, category and source again
    ]
    for row, fault in zip(rows, faults, strict=False):
        row.update(fault)
    required = ["entry_id", "source", "plate", "category", "priority", "valid_from", "reason"]
    for row, column in zip(reversed(rows[:-1]), required, strict=False):
        row[column] = None
    rows.append(dict(rows[-1]))
    loose = pa.schema([field.with_nullable(True) for field in SCHEMA])
    bad = HotList("bad", NOW - 2 * DAY, pa.Table.from_pylist(rows, schema=loose))
    expired = bad.entries.set_column(
        SCHEMA.get_field_index("valid_to"),
        SCHEMA.field("valid_to"),
        pa.array([NOW - 2 * DAY] * len(rows), SCHEMA.field("valid_to").type),
    )
    found = findings(HotList(bad.version, bad.built_at, expired), tmp_path / "pages")
    broken = {rule for rule, finding in found.items() if finding.ok is False}
    every = {rule.title for suite in list_suites() for rule in suite.rules}
    # A source without a name, or one twice, does not come out of counting by source.
    assert every - broken == {"subject occurs once"}
    for path in (tmp_path / "pages").rglob("*"):
        assert not path.is_file() or b"PLT0" not in path.read_bytes()


def test_a_source_that_is_over_is_named_and_a_fresh_one_is_not(tmp_path: Path) -> None:
    over = [entry(number, valid_to=NOW) for number in range(6)]
    fresh = [entry(number, source="dmv") for number in range(50, 54)]
    found = findings(hot_list(tmp_path, *over, *fresh))
    rule = "the share of entries that are over is at most 0.5"
    assert found[rule].subjects == ("police",)
    assert found[rule].fine == {"dmv"}


@pytest.mark.parametrize(("hours", "ok"), [(24, True), (24.1, False)])
def test_an_old_list(tmp_path: Path, hours: float, ok: bool) -> None:
    listed = hot_list(tmp_path, entry(1), built_at=NOW - timedelta(hours=hours))
    assert findings(listed)["hours since the list was built are at most 24"].ok is ok


def test_some_plates_may_be_listed_twice_many_may_not(tmp_path: Path) -> None:
    rule = "source + plate + state + category occurs once, in 99% of the rows"
    entries = [entry(number) for number in range(300)]
    again = entry(1000, plate="PLT0001")
    assert findings(hot_list(tmp_path, *entries, again))[rule].ok
    more = [entry(1000 + number, plate=f"PLT{number:04}") for number in range(5)]
    assert findings(hot_list(tmp_path, *entries, *more))[rule].ok is False
    # Another state makes another plate.
    others = [entry(1000 + n, plate=f"PLT{n:04}", state="NH") for n in range(50)]
    assert findings(hot_list(tmp_path, *entries, *others))[rule].ok


def test_an_empty_list_is_a_list(tmp_path: Path) -> None:
    manifest = write_snapshot(tmp_path, [], NOW, 0)
    rows = pa.Table.from_batches([open_snapshot(tmp_path, manifest).rows])
    (outcome,) = check_list(HotList(manifest.version, NOW, rows), Limits(), NOW)
    assert outcome.table == "hotlist-sources"
    assert outcome.ok
    assert len(outcome.unjudged) == len(outcome.findings)
