"""Every rule holds for good rows, and each can break."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.rows import Origin, hits_to_arrow, reads_to_arrow
from catalog.schemas import TABLES
from catalog.slices import days_of
from expectations.checkpoint import (
    REFERENCE_GRACE,
    Outcome,
    check_day,
    check_newest_commit,
    run,
)
from expectations.specs import Columns, suites
from tests.contract.lake.samples import (
    DAY,
    NOW,
    make_hit,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
)

SUITES = suites()
LATER = NOW + timedelta(hours=1)
NO_ID = "f" * 32

# One fault a row. A fault may break more than one rule; together they must break all.
_FAULTS: dict[str, list[dict[str, Any]]] = {
    "reads": [
        {"read_id": "not hexadecimal"},
        {"source_topic": "hits"},
        {"agency": "Upper Case"},
        {"camera": "-dash first"},
        {"plate": "ABC 123"},
        {"state": "Ohio"},
        {"confidence": 1.01},
        {"state_confidence": -0.1},
        {"latitude": 91.0, "longitude": 1.0},
        {"latitude": 1.0, "longitude": -181.0},
        {"latitude": 1.0, "longitude": None},
        {"heading": 360.0},
        {"captured_at": datetime(1999, 12, 31, tzinfo=UTC)},
        {"captured_at": DAY + timedelta(minutes=6), "received_at": DAY},
        {"received_at": NOW + timedelta(minutes=6)},
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
        {"heading": -1.0},
        {"captured_at": datetime(2200, 1, 1, tzinfo=UTC)},
        {"captured_at": DAY + timedelta(minutes=6), "matched_at": DAY},
        {"matched_at": NOW + timedelta(minutes=6)},
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
    for page in tmp_path.rglob("*.html"):
        text = page.read_text()
        assert not any(plate in text for plate in plates)


def test_missing_column_breaks_its_rules_and_says_so() -> None:
    short = as_table("reads", rows("reads", 3)).drop_columns(["heading"])
    outcome = validate("reads", short)
    broken = {finding.rule: finding.error for finding in outcome.broken}
    assert len(broken) == 2
    assert "missing: heading" in " ".join(map(str, broken.values()))
    assert all(broken.values())


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
