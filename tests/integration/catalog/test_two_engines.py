"""Every row of every table and view, as Trino gives it and as DuckDB does: they must agree."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alpr.records import Hit, Read
from catalog.compact import compact
from catalog.lake import Lake
from catalog.publish import publish, view_location
from catalog.query import connect
from catalog.schemas import TABLES
from catalog.views import VIEWS
from cli.installation import Installation
from infra.settings import Profile
from tests.contract.lake.landing import committer
from tests.contract.lake.samples import NOW, make_hit, make_reads, stage, stage_hit_group
from tests.stacks import make_settings
from tests.support.trino import Client

pytestmark = pytest.mark.integration

READS, A_GROUP, HITS = 4_000, 500, 400
# Doubles are summed in another order by each engine; 1e-12 is a few units in the last place.
_TOLERANCE = 1e-12


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """MinIO, PostgreSQL and Trino, and a lake with varied rows, some of them compacted."""
    settings = make_settings(
        tmp_path_factory.mktemp("two"),
        Profile.FULL,
        trino=True,
        memory={"trino": 1536},
        start_deadline_s=300.0,
    )
    installation = Installation(settings)
    stack = installation.stack
    try:
        stack._make_folders()
        stack.minio.start()
        stack.postgres.start()
        lake = installation.prepare_lake()
        land(lake)
        lake.close()
        stack.trino.start()
        yield installation
    finally:
        stack.trino.stop()
        stack.postgres.stop()
        stack.minio.stop()
        stack.destroy()


def reads() -> list[Read]:
    """Days around both changes of the clocks, a leap day, the ends of days; two classes."""
    days = [date(2026, 3, 8), date(2026, 11, 1), date(2026, 11, 20), date(2024, 2, 29)]
    made = []
    for number, read in enumerate(make_reads(READS, image=True)):
        day = days[number % len(days)]
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        # From a minute before midnight, UTC, over the whole day, with every microsecond used.
        at += timedelta(seconds=number * 22 - 60, microseconds=number * 7_919 % 1_000_000)
        made.append(
            msgspec.structs.replace(
                read,
                captured_at=at,
                received_at=at + timedelta(microseconds=number * 1_237),
                retention_class="toll" if number % 5 == 0 else "default",
                plate_raw=["", "ÅÄ 1", "'\"\\;--", read.plate_raw][number % 4],
                crop=read.crop if number % 3 else None,
                overview=None if number % 2 else read.overview,
                confidence=number % 997 / 996,
                latitude=None if number % 5 == 1 else 38.5 + number / 7e5,
            )
        )
    return made


def hits(of: list[Read]) -> list[Hit]:
    """Hits of some reads, repetitions among them; the last ones' reads are not in the lake."""
    gone = [
        msgspec.structs.replace(read, read_id=read.read_id[::-1])
        for read in make_reads(20, first=READS)
    ]
    made = []
    for number, read in enumerate([*of[:: READS // HITS], *gone]):
        hit = make_hit(read, f"{number % 11:032x}")
        made.append(
            msgspec.structs.replace(
                hit,
                match="exact" if number % 3 else "lookalike",
                category=["stolen-vehicle", "amber-alert"][number % 2],
                entry_state="MA" if number % 2 else None,
                alert=number % 4 != 0,
                priority=1 + number % 5,
            )
        )
    return made


def land(lake: Lake) -> None:
    rows = reads()
    for first in range(0, READS, A_GROUP):
        committer(lake).commit([stage(lake, rows[first : first + A_GROUP], first=first)])
    assert compact(lake, "reads", NOW.date())  # sorted files, with small row groups
    committer(lake).commit(
        [stage(lake, make_reads(10, first=READS + 100), first=READS)]  # and one that is not
    )
    committer(lake, "hits").commit([stage_hit_group(lake, hits(rows))])


@pytest.mark.parametrize("name", [*TABLES, *VIEWS])
def test_the_engines_give_the_same_rows(up: Installation, name: str) -> None:
    lake = up.lake()
    try:
        connection = connect(lake)
        cursor = connection.execute(f'SELECT * FROM "{name}"')
        columns = [column[0] for column in cursor.description or ()]
        theirs = [tuple(plain(value) for value in row) for row in cursor.fetchall()]
        connection.close()
    finally:
        lake.close()
    client = Client.of(up.stack.trino, "investigator")
    described = client.ask(f'DESCRIBE "{name}"')
    assert [row[0] for row in described] == columns
    kinds = [row[1] for row in described]
    rows = client.ask(f'SELECT * FROM "{name}"')
    ours = [
        tuple(typed(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows
    ]
    assert len(theirs) > 10
    assert len(ours) == len(theirs)
    for mine, other in zip(in_order(ours), in_order(theirs), strict=True):
        for column, one, two in zip(columns, mine, other, strict=True):
            assert same(one, two), (column, one, two, mine, other)


def test_the_views_say_what_the_rows_are(up: Installation) -> None:
    """Not only the same in both engines, but right: counted by hand from what was landed."""
    client = Client.of(up.stack.trino, "investigator")
    landed = reads()
    log = hits(landed)
    assert client.ask("SELECT count(*), count(DISTINCT read_id) FROM sightings") == [
        (READS + 10, READS + 10)
    ]
    assert client.ask("SELECT count(*) FROM hit_log") == [(len(log),)]
    assert client.ask("SELECT count(*) FROM hit_log WHERE NOT read_kept") == [(20,)]
    assert client.ask("SELECT sum(reads) FROM camera_days") == [(READS + 10,)]
    assert client.ask("SELECT sum(reads) FROM camera_hours") == [(READS + 10,)]
    assert client.ask("SELECT sum(alerts), sum(exact) FROM hit_days") == [
        (sum(hit.alert for hit in log), sum(hit.match == "exact" for hit in log))
    ]
    one = landed[1]
    (row,) = client.ask(
        "SELECT plate, other_readings, has_picture, seconds_to_arrive FROM sightings "
        f"WHERE read_id = '{one.read_id}'"
    )
    assert row[:3] == (one.plate, len(one.candidates), True)
    assert math.isclose(row[3], 1_237e-6, abs_tol=1e-5)


def test_the_examples_of_the_documentation_run_in_both(up: Installation) -> None:
    text = (Path(__file__).parents[3] / "docs" / "sql.md").read_text("utf-8")
    examples = [
        part for block in re.findall(r"```sql\n(.*?)```", text, re.S) for part in block.split(";")
    ]
    asked = [example for example in examples if "SELECT" in example and "GRANT" not in example]
    assert len(asked) == 2
    client = Client.of(up.stack.trino, "investigator")
    lake = up.lake()
    try:
        connection = connect(lake)
        for example in asked:
            client.ask(example)
            connection.execute(example).fetchall()
        connection.close()
    finally:
        lake.close()


def test_a_view_that_was_changed_is_put_right_and_then_left_alone(up: Installation) -> None:
    lake = up.lake()
    try:
        assert publish(lake, "lake", NOW) == []
        before = VIEWS["hit_days"]
        changed = replace(before, select=before.select.replace("count(*)", "count(*) + 1"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(VIEWS, "hit_days", changed)
            assert publish(lake, "lake", NOW) == ["hit_days"]
        client = Client.of(up.stack.trino, "investigator")
        days = len(client.ask("SELECT * FROM hit_days"))
        assert client.ask("SELECT sum(hits) FROM hit_days") == [(HITS + 20 + days,)]
        assert publish(lake, "lake", NOW) == ["hit_days"]
        assert client.ask("SELECT sum(hits) FROM hit_days") == [(HITS + 20,)]
        stored = list(lake.store.list(view_location(lake, "hit_days")))
        assert len(stored) == 1  # what was superseded is gone
        assert {name for _, name in lake.catalog.list_tables("alpr")} >= set(TABLES)
        assert not {name for _, name in lake.catalog.list_tables("alpr")} & set(VIEWS)
    finally:
        lake.close()


def typed(value: Any, kind: str) -> Any:
    """A value of Trino's JSON in Python's terms."""
    if value is None:
        return None
    if kind.startswith("timestamp"):
        return datetime.strptime(value, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC)
    if kind == "date":
        return date.fromisoformat(value)
    return plain(value)


def plain(value: Any) -> Any:
    """Structs and lists as tuples, moments in UTC."""
    if isinstance(value, dict):
        return tuple(plain(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """By what cannot differ in the last place."""

    def key(row: tuple[Any, ...]) -> str:
        return repr([value for value in row if not isinstance(value, float)])

    return sorted(rows, key=key)


def same(one: Any, two: Any) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return type(one) is type(two) and bool(one == two)
