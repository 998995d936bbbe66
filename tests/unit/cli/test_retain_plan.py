"""`platelake retain plan` on a lake in a folder, held against what landed and the files there."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import duckdb
import msgspec
import pytest
from typer.testing import CliRunner, Result

from alpr.admission import Admission
from alpr.holds import HeldRecord
from alpr.records import Hit, Read
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.retention.holds import Holds, Purpose
from catalog.retention.plan import Touching, make_plan
from catalog.retention.plan_page import page, timeline
from catalog.retention.purge import due
from catalog.rows import Origin
from catalog.staging import OffsetRange, stage_hits, stage_reads
from cli.main import app
from tests.contract.lake.samples import make_hit, make_read, no_sleep

RUN = CliRunner()
NOW = datetime.now(UTC)
NEW_YORK = ZoneInfo("America/New_York")
CHOICES = """
default = "neutral"
[agencies]
agency-1 = "us-me"
agency-2 = "dcjis"
"""


def read(number: int, days_ago: float) -> Read:
    made = make_read(number, image=True)
    return msgspec.structs.replace(made, captured_at=NOW - timedelta(days=days_ago))


READS = [read(number, days_ago) for number, days_ago in enumerate([0, 0, 0, 5, 5, 5, 20, 20, 20])]
"""Of the agencies 0, 1 and 2 in turn: neutral (30 days), us-me (21 days) and dcjis (a year)."""
HITS = [make_hit(READS[2]), make_hit(READS[4])]


def land(lake: Lake, reads: list[Read], hits: list[Hit], at: datetime = NOW) -> None:
    door = Admission(lake.retention, lambda: at)
    kept = [door.read(each) for each in reads]
    origin = Origin("reads", 0, range(len(kept)))
    group = stage_reads(lake, kept, origin, [OffsetRange("reads", 0, 0, len(kept))], at)
    Committer(lake, "reads", now=lambda: at, sleep=no_sleep).commit([group])
    alerts = [door.hit(each) for each in hits]
    origin = Origin("hits", 0, range(len(alerts)))
    hit_group = stage_hits(lake, alerts, origin, [OffsetRange("hits", 0, 0, len(alerts))], at)
    Committer(lake, "hits", now=lambda: at, sleep=no_sleep).commit([hit_group])


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    file = tmp_path / "retention.toml"
    file.write_text(CHOICES)
    config = LakeConfig(
        f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake", retention_file=file
    )
    config.save(tmp_path / "lake.toml")
    made = Lake(config)
    made.init()
    land(made, READS, HITS)
    return made


def run(tmp_path: Path, *arguments: str) -> Result:
    return RUN.invoke(app, ["retain", "plan", "--config", str(tmp_path / "lake.toml"), *arguments])


def told(tmp_path: Path, *arguments: str) -> Any:
    result = run(tmp_path, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_class_and_day_is_there_with_its_end(lake: Lake, tmp_path: Path) -> None:
    plan = told(tmp_path)
    lines = {(line["table"], line["class"], line["day"]): line for line in plan["lines"]}
    expected: Counter[tuple[str, str, str]] = Counter()
    for each in READS:
        found = lake.retention.class_of("read", each.agency, each.source)
        expected["reads", found.name, found.local_day(each.captured_at).isoformat()] += 1
    for each_hit in HITS:
        found = lake.retention.class_of("hit", each_hit.agency, "")
        expected["hits", found.name, found.local_day(each_hit.captured_at).isoformat()] += 1
    assert {key: line["rows"] for key, line in lines.items()} == expected
    assert {line["class"] for line in plan["lines"]} == {"default", "us-me", "dcjis", "dcjis-alert"}
    day = READS[1].captured_at.astimezone(NEW_YORK).date()
    line = lines["reads", "us-me", day.isoformat()]
    end = datetime.combine(day + timedelta(days=22), datetime.min.time(), NEW_YORK)
    assert datetime.fromisoformat(line["ends_at"]) == end.astimezone(UTC)
    assert line["last_day"] == (day + timedelta(days=21)).isoformat()
    assert (line["due"], line["pinned"], line["holds"]) == (False, False, [])
    rule = plan["classes"]["us-me"]
    assert (rule["keep"], rule["minimum"], rule["maximum"]) == ("21 days", None, "21 days")
    assert rule["keep_clause"] == "MRS 29-A 2117-A(5)"
    ends = [line["ends_at"] for line in plan["lines"]]
    assert ends == sorted(ends)


def test_counts_agree_with_the_files_and_with_another_engine(lake: Lake, tmp_path: Path) -> None:
    plan = told(tmp_path)
    for table in ("reads", "hits"):
        files = [
            Path(f.file.file_path.removeprefix("file://"))
            for f in lake.table(table).scan().plan_files()
        ]
        own = [line for line in plan["lines"] if line["table"] == table]
        assert sum(line["files"] for line in own) == len(files)
        assert sum(line["bytes"] for line in own) == sum(file.stat().st_size for file in files)
        rows = duckdb.sql(
            "select captured_on, retention_class, count(*) from read_parquet($files, "
            "hive_partitioning = false) group by all",
            params={"files": [str(file) for file in files]},
        ).fetchall()
        assert {(str(day), name): count for day, name, count in rows} == {
            (line["day"], line["class"]): line["rows"] for line in own
        }
    packs = list((tmp_path / "lake" / "images").rglob("*.pack"))
    assert sum(line["packs"] for line in plan["lines"]) == len(packs) > 0
    assert sum(line["pack_bytes"] for line in plan["lines"]) == sum(p.stat().st_size for p in packs)


def test_only_what_ends_soon(lake: Lake, tmp_path: Path) -> None:
    soon = told(tmp_path, "--days", "3")["lines"]
    assert {line["class"] for line in soon} == {"us-me"}
    (line,) = soon
    assert line["rows"] == 1
    assert told(tmp_path, "--days", "0")["lines"] == []


def test_the_plan_says_what_the_purge_then_takes(lake: Lake) -> None:
    later = NOW + timedelta(days=12)
    plan = make_plan(lake, later)
    planned = {(line.table, line.retention_class, line.day) for line in plan.due}
    taken = {
        (name, partition.retention_class, partition.date)
        for name in ("reads", "hits")
        for partition in due(lake, lake.table(name), later)
    }
    assert planned == taken
    assert {name for _, name, _ in planned} == {"us-me", "default"}


def test_a_hold_is_told_and_a_pinned_day_is_not_due(lake: Lake, tmp_path: Path) -> None:
    each = READS[7]  # us-me, 20 days old
    day = each.captured_at.astimezone(NEW_YORK).date()
    held = HeldRecord("read", each.read_id, day, "us-me")
    state = Holds(lake, "inv.miller", lambda: NOW, no_sleep).add(
        [held], Purpose("case", "MRS 29-A 2117-A(5)", "robbery", "26-1")
    )
    assert state.status(NOW) == "held"
    (line,) = told(tmp_path, "--days", "3")["lines"]
    (hold,) = line["holds"]
    assert (hold["hold_id"], hold["kind"]) == (state.hold.hold_id, "case")
    assert (hold["status"], hold["pinning"]) == ("held", False)
    later = NOW + timedelta(days=5)
    (copied,) = make_plan(lake, later).due
    assert not copied.pinned

    pinning = Touching(state.hold.hold_id, "case", "S1-CP7b", "requested", None, pinning=True)
    place = Partition((copied.day - date(1970, 1, 1)).days, copied.retention_class)
    plan = make_plan(lake, later, {("reads", place): [pinning]})
    assert plan.due == ()
    assert 'class="held"' in page(plan)


def test_a_class_without_a_policy_never_ends_and_is_told(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    own = (Path(__file__).parents[3] / "policies" / "us-me.toml").read_text()
    (folder / "gone.toml").write_text(own.replace('"us-me"', '"gone"'))
    file = tmp_path / "retention.toml"
    file.write_text('default = "gone"\npolicy_folder = "own"\n')
    other = Lake(lake.config)
    land(other, [read(90, 1)], [])
    file.write_text(CHOICES)
    result = run(tmp_path, "--json")
    assert result.exit_code == 1
    plan = json.loads(result.stdout)
    assert plan["unknown_classes"] == ["gone"]
    line = plan["lines"][-1]
    assert (line["class"], line["ends_at"], line["due"]) == ("gone", None, False)
    text = run(tmp_path)
    assert text.exit_code == 1
    assert "UNKNOWN CLASS gone" in text.stdout
    html = tmp_path / "plan.html"
    assert run(tmp_path, "--html", str(html)).exit_code == 1
    assert "No policy has the class gone" in html.read_text()


def test_the_table_can_be_read_and_names_the_clauses(lake: Lake, tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "us-me: us-me, kept 21 days (MRS 29-A 2117-A(5)), at least none stated" in result.stdout
    assert "dcjis: dcjis, kept 1 year (S1-CP7b), at least 1 year (S1-CP7b)" in result.stdout
    assert "reads: never purged" in result.stdout
    assert "due now: 0 records of 0 days and tables" in result.stdout
    first = next(line for line in result.stdout.splitlines() if line.startswith("us-me "))
    assert len(first.split()) >= 9


def test_the_page_is_whole_and_shows_every_day(lake: Lake, tmp_path: Path) -> None:
    html = tmp_path / "plan.html"
    result = run(tmp_path, "--html", str(html))
    assert f"page: {html}" in result.stdout
    text = html.read_text()
    plan = make_plan(lake, NOW)
    svg = ElementTree.fromstring(timeline(plan))
    bars = [each for each in svg.iter("rect") if "key" not in each.get("class", "")]
    ends = {(line.retention_class, line.ends_at) for line in plan.lines}
    assert len(bars) == len({(name, end.date()) for name, end in ends if end is not None})
    for bar in bars:
        assert 0 <= float(bar.get("x", "-1")) <= 1000
        assert float(bar.get("height", "0")) > 0
    for name in ("default", "us-me", "dcjis", "dcjis-alert"):
        assert f"<h2>{name}</h2>" in text
    for each in READS:
        assert each.plate not in text
    assert "http" not in re.sub(r"</?[a-z]+[^>]*>", "", text)


def test_an_empty_lake(tmp_path: Path) -> None:
    config = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    config.save(tmp_path / "lake.toml")
    Lake(config).init()
    plan = told(tmp_path)
    assert (plan["lines"], plan["classes"]) == ([], {})
    assert run(tmp_path, "--html", str(tmp_path / "plan.html")).exit_code == 0
    assert "Nothing is due now" in (tmp_path / "plan.html").read_text()
    assert date.fromisoformat(plan["at"][:10]) >= NOW.date()
