"""Every rule holds for good rows, and each can break."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.parquet import data_file
from catalog.rows import Origin, hits_to_arrow, reads_to_arrow
from catalog.schemas import TABLES
from catalog.slices import days_of
from expectations.checkpoint import (
    NO_REGISTRY,
    REFERENCE_GRACE,
    check_day,
    check_hour,
    check_newest_commit,
    run,
)
from expectations.findings import Outcome
from expectations.registry import RegisteredCamera, Registry
from expectations.specs import Columns
from expectations.suites import suites
from tests.contract.lake.samples import (
    DAY,
    NOW,
    make_hit,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
)

REGISTRY = Registry(
    tuple(
        RegisteredCamera(f"agency-{number % 3}", f"camera-{number % 7}", "CA", "mobile")
        for number in range(21)
    )
)
SUITES = suites(registry=REGISTRY)
LATER = NOW + timedelta(hours=1)
NO_ID = "f" * 32

# One fault a row. A fault may break more than one rule; together they must break all.
_FAULTS: dict[str, list[dict[str, Any]]] = {
    "reads": [
        {"read_id": "not hexadecimal"},
        {"source_topic": "hits"},
        {"agency": "Upper Case"},
        {"camera": "-dash first"},
        {"agency": "nobody"},
        {"plate": "ABC 123"},
        {"state": "Ohio"},
        {"confidence": 1.01},
        {"state_confidence": -0.1},
        {"latitude": 91.0, "longitude": 1.0},
        {"latitude": 1.0, "longitude": -181.0},
        {"latitude": 1.0, "longitude": None},
        {"latitude": 45.5, "longitude": -122.6},
        {"heading": 360.0},
        {"captured_at": datetime(1999, 12, 31, tzinfo=UTC)},
        {"captured_at": DAY + timedelta(minutes=6), "received_at": DAY},
        {"received_at": NOW + timedelta(minutes=6)},
        {"captured_on": DAY.date() - timedelta(days=2)},
        {"retention_class": "for-ever"},
        {"frames": 0},
    ],
    "hits": [
        {"hit_id": "0" * 31},
        {"source_topic": "reads"},
        {"agency": ""},
        {"camera": "x" * 65},
        {"plate": "abc123"},
        {"state": "CALI"},
        {"confidence": -1.0},
        {"latitude": -91.0, "longitude": 1.0},
        {"latitude": 1.0, "longitude": 181.0},
        {"longitude": 1.0},
        {"latitude": 1.0, "longitude": 1.0},
        {"camera": "unheard-of"},
        {"heading": -1.0},
        {"captured_at": datetime(2200, 1, 1, tzinfo=UTC)},
        {"captured_at": DAY + timedelta(minutes=6), "matched_at": DAY},
        {"matched_at": NOW + timedelta(minutes=6)},
        {"captured_on": DAY.date() + timedelta(days=2)},
        {"retention_class": "for-ever"},
        {"read_id": NO_ID},
        {"entry_id": "no hash"},
        {"entry_plate": ""},
        {"entry_state": "1"},
        {"category": "unpaid-lunch"},
        {"priority": 6},
        {"match": "maybe"},
        {"state_match": "perhaps"},
    ],
}


def rows(table: str, count: int = 60) -> list[dict[str, Any]]:
    reads = make_reads(count)
    origin = Origin(table, 0, range(count))
    found = (
        reads_to_arrow(reads, origin, NOW)
        if table == "reads"
        else hits_to_arrow([make_hit(read) for read in reads], origin, NOW)
    )
    return list(found.to_pylist())


def as_table(table: str, listed: list[dict[str, Any]]) -> pa.Table:
    """As a file of a foreign writer may be: nothing is required of it."""
    fields = [field.with_nullable(True) for field in TABLES[table].arrow]
    return pa.Table.from_pylist(listed, schema=pa.schema(fields))


def validate(table: str, listed: pa.Table, pages: Path | None = None) -> Outcome:
    ids = {"reads": pa.array([read.read_id for read in make_reads(60)])}
    return run(SUITES[table], listed, ids, LATER, pages=pages)


@pytest.mark.parametrize("table", TABLES)
def test_good_rows_keep_every_rule(table: str) -> None:
    outcome = validate(table, as_table(table, rows(table)))
    assert outcome.ok
    assert outcome.rows == 60
    assert len(outcome.findings) == len(SUITES[table].rules)


@pytest.mark.parametrize("table", TABLES)
def test_every_rule_can_break_and_no_page_tells_a_plate(table: str, tmp_path: Path) -> None:
    listed = rows(table)
    for row, fault in zip(listed, _FAULTS[table], strict=False):
        row.update(fault)
    required = [field.name for field in TABLES[table].arrow if not field.nullable]
    for row, column in zip(reversed(listed[:-2]), required, strict=False):
        row[column] = None
    # Twice the same row: its id, its offset, and for hits its read and entry occur twice.
    listed.append(dict(listed[-1]))

    outcome = validate(table, as_table(table, listed), tmp_path)

    whole = {rule.title for rule in SUITES[table].rules if not isinstance(rule, Columns)}
    assert {finding.rule for finding in outcome.broken} == whole
    assert all(finding.unexpected for finding in outcome.broken)
    assert outcome.pages is not None
    assert outcome.pages.exists()
    plates = [row["plate"] for row in rows(table)] + ["ABC 123", "abc123"]
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(texts) > 3
    for text in texts:
        assert not any(plate.encode() in text for plate in plates)


def test_missing_column_breaks_its_rules_and_says_so() -> None:
    short = as_table("reads", rows("reads", 3)).drop_columns(["heading"])
    outcome = validate("reads", short)
    broken = {finding.rule: finding.error for finding in outcome.broken}
    assert len(broken) == 2
    assert "missing: heading" in " ".join(map(str, broken.values()))
    assert all(broken.values())


def test_a_column_of_another_type_breaks_its_rules_and_quotes_no_value(tmp_path: Path) -> None:
    listed = as_table("reads", rows("reads", 3))
    plates = pa.array(["SECRET1", "SECRET2", "SECRET3"])
    place = listed.schema.get_field_index("confidence")
    outcome = validate("reads", listed.set_column(place, "confidence", plates), tmp_path)
    told = {finding.rule: finding.error for finding in outcome.broken}
    assert told == {
        "confidence is never missing": "confidence is string, but double is required",
        "confidence lies from 0.0 to 1.0": "confidence is string, but double is required",
    }
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or b"SECRET" not in path.read_bytes()


def test_a_local_day_is_at_most_one_from_that_in_utc() -> None:
    listed = rows("reads", 5)
    for row, days in zip(listed, (-2, -1, 0, 1, 2), strict=True):
        row["captured_on"] = DAY.date() + timedelta(days=days)
    outcome = validate("reads", as_table("reads", listed))
    (day,) = outcome.broken
    assert day.rule == "captured_on is the local day of captured_at"
    assert (day.checked, day.unexpected) == (5, 2)


def test_without_a_registry_nothing_is_known_and_the_rules_say_so() -> None:
    outcome = run(suites()["reads"], as_table("reads", rows("reads", 3)), {}, LATER)
    assert outcome.ok
    assert {finding.rule: finding.error for finding in outcome.unjudged} == {
        "agency + camera is in the registry of cameras": NO_REGISTRY,
        "latitude + longitude lie in the camera's state": NO_REGISTRY,
    }


def test_a_place_is_judged_by_the_state_of_its_camera_only() -> None:
    listed = rows("reads", 4)
    for row in listed:
        row.update(agency="agency-0", camera="camera-0", latitude=52.0, longitude=179.0)
    listed[0].update(camera="unheard-of")  # of no state
    listed[1].update(latitude=None, longitude=None)
    registry = Registry((RegisteredCamera("agency-0", "camera-0", "AK", "mobile"),))
    outcome = run(suites(registry=registry)["reads"], as_table("reads", listed), {}, LATER)
    (place,) = (f for f in outcome.findings if f.rule.startswith("latitude + longitude lie"))
    # Beyond the 180th meridian, and still Alaska.
    assert (place.ok, place.checked, place.unexpected) == (True, 2, 0)


def test_an_id_doubled_over_two_parts_of_an_hour_comes_to_light(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubled = make_reads(1, first=3)  # read 3 is in the first file
    again = stage(lake, doubled, first=25)
    table = lake.table("reads")
    with table.transaction() as transaction, transaction.update_snapshot().fast_append() as added:
        for staged in again.files:
            added.append_data_file(data_file(staged.file, table.spec().spec_id))
    monkeypatch.setattr("expectations.checkpoint.MAX_ROWS", 1)
    outcomes = list(check_hour(lake, SUITES["reads"], DAY, LATER))
    assert sorted(outcome.rows for outcome in outcomes) == [1, 20]
    broken = [{finding.rule for finding in outcome.broken} for outcome in outcomes]
    assert broken == [{"read_id occurs once"}] * 2
    assert {outcome.hour for outcome in outcomes} == {DAY}


def test_a_hit_may_be_there_just_before_its_read() -> None:
    hit = as_table("hits", rows("hits", 1))
    young, old = NOW + REFERENCE_GRACE / 2, NOW + REFERENCE_GRACE * 2
    nothing = {"reads": pa.array([], pa.string())}
    assert run(SUITES["hits"], hit, nothing, young).ok
    assert [finding.rule for finding in run(SUITES["hits"], hit, nothing, old).broken] == [
        "read_id is in table reads"
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two commits of reads on two days, one of hits for the first."""
    lake = Lake(LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake"))
    lake.init()
    reads = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    first = make_reads(20, image=True)
    reads.commit([stage(lake, first)])
    reads.commit([stage(lake, make_reads(5, first=20, days_ago=1), first=20)])
    hits = Committer(lake, "hits", now=lambda: NOW, sleep=no_sleep)
    hits.commit([stage_hit_group(lake, [make_hit(read) for read in first[:3]])])
    return lake


def test_a_day_of_a_lake(lake: Lake) -> None:
    days = [DAY.date() - timedelta(days=1), DAY.date()]
    assert days_of(lake, "reads") == days
    found = [o for day in days for o in check_day(lake, SUITES["reads"], day, LATER)]
    assert [(o.part, o.rows, o.ok) for o in found] == [
        ("2026-11-19-1", 5, True),
        ("2026-11-20-1", 20, True),
    ]
    hits = list(check_day(lake, SUITES["hits"], DAY.date(), LATER))
    assert [(o.rows, o.ok) for o in hits] == [(3, True)]


def test_the_newest_commit_of_a_lake(lake: Lake) -> None:
    (found,) = check_newest_commit(lake, SUITES["reads"], LATER)
    assert (found.rows, found.ok) == (5, True)


def test_no_rows_no_outcome(lake: Lake) -> None:
    assert not list(check_day(lake, SUITES["reads"], date(2020, 1, 1), LATER))
