from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from catalog.lake import Lake
from catalog.quality import Alert, Result, open_alert
from expectations.alerts import Changes
from expectations.findings import Finding, Outcome
from expectations.metrics import QualityMetrics
from expectations.rounds import Round
from expectations.site import prune_pages, write_index
from infra.scrape import scrape

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
RESULT = Result(
    "r", NOW, "reads", "2026-11-20T14-1", 1234, "<rule>", True, 1234, 0, page="v/1.html"
)


def test_the_start_page(tmp_path: Path) -> None:
    broken = replace(RESULT, rule="a & b", ok=False, unexpected=7)
    unjudged = replace(RESULT, rule="no registry", ok=None, error="none")
    alert = Alert("cameras", "reads", "a/<one>", NOW, "1", NOW, "2", 3, "0 of 1")
    index = write_index(tmp_path, [RESULT, broken, unjudged], [alert], NOW)
    text = index.read_text()
    assert '<a href="v/1.html">2026-11-20T14-1</a>' in text
    assert "1 of 3 hold, 1 not judged" in text
    assert "a &amp; b: 7 of 1,234" in text
    assert "a/&lt;one&gt;" in text
    assert "Alerts open: 1" in text
    assert "http" not in text
    assert "nothing is known to be wrong" in write_index(tmp_path, [], [], NOW).read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_old_pages_go(tmp_path: Path) -> None:
    for name, age in (("old", 31), ("young", 29)):
        made = tmp_path / "validations" / "reads" / "__none__" / name
        made.mkdir(parents=True)
        (made / "page.html").write_text(name)
        at = (NOW - timedelta(days=age)).timestamp()
        os.utime(made, (at, at))
    assert prune_pages(tmp_path, NOW - timedelta(days=30)) == 1
    assert [path.read_text() for path in tmp_path.rglob("*.html")] == ["young"]
    assert prune_pages(tmp_path / "none", NOW) == 0


def test_metrics_are_served_where_the_file_says(tmp_path: Path, empty: Lake) -> None:
    good = Outcome("reads", "1", 5, (Finding("rule", True, 5, 0),), 0.1)
    bad = Outcome("cameras", "1", 5, (Finding("rule", False, 5, 1),), 0.1)
    changes = Changes((("cameras", "rule", "a"), ("cameras", "rule", "b")), ())
    done = Round((good, bad), changes, 3, 1.5)
    open_alert(empty, "cameras", "rule", "a", "1", "told", NOW)
    metrics = QualityMetrics()
    metrics.serve(tmp_path)
    try:
        metrics.done(empty, done, NOW)
        metrics.failed()
        found = scrape(tmp_path)
    finally:
        metrics.close()
    assert found.total("platelake_quality_alerts_open", table="cameras") == 1
    assert found.total("platelake_quality_alerts_raised_total") == 2
    assert found.total("platelake_quality_hours_waiting") == 3
    assert found.total("platelake_quality_round_seconds") == 1.5
    assert found.total("platelake_quality_round_at_seconds") == NOW.timestamp()
    assert found.total("platelake_quality_rounds_failed_total") == 1
    assert found.total("platelake_quality_parts_checked_total", outcome="broken") == 1
    assert found.total("platelake_quality_parts_checked_total") == 2
    assert not list(tmp_path.glob("*.json"))
