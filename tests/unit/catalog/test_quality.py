"""Results and alerts, on SQLite; PostgreSQL has a test of its own with the services."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from alpr.errors import Unavailable
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.quality import (
    Result,
    clear_alert,
    clear_stale_alerts,
    find_alerts,
    history,
    open_alert,
    prepare,
    prune,
    record,
)
from catalog.schemas import TABLES

AT = datetime(2026, 11, 20, 15, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
RESULT = Result(
    run_id="r1",
    at=AT,
    table="reads",
    part="2026-11-20T14-1",
    rows=100,
    rule="plate is never missing",
    ok=True,
    checked=100,
    unexpected=0,
    hour=datetime(2026, 11, 20, 14, tzinfo=UTC),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake"))
    lake.init()
    prepare(lake)
    return lake


def test_what_was_recorded_comes_back_the_newest_first(lake: Lake) -> None:
    broken = replace(
        RESULT,
        at=AT + HOUR,
        rule="reads an hour are as usual",
        table="cameras",
        ok=False,
        unexpected=2,
        subjects=("a/one", "a/two"),
        page="validations/cameras/1.html",
    )
    unjudged = replace(RESULT, at=AT + 2 * HOUR, ok=None, error="no registry", hour=None)
    record(lake, [RESULT, broken, unjudged])
    record(lake, [])
    assert history(lake) == [unjudged, broken, RESULT]
    assert history(lake, table="cameras") == [broken]
    assert history(lake, rule="an hour") == [broken]
    assert history(lake, rule="%") == []
    assert history(lake, since=AT + HOUR) == [unjudged, broken]
    assert history(lake, broken=True) == [broken]
    assert history(lake, limit=1) == [unjudged]
    assert broken.as_json()["at"] == "2026-11-20T16:10:00+00:00"


def test_preparing_again_keeps_what_is_there(lake: Lake) -> None:
    record(lake, [RESULT])
    prepare(lake)
    assert history(lake) == [RESULT]
    assert all(lake.table(name) for name in TABLES)  # and the catalogue's own tables


def test_two_that_prepare_at_once(tmp_path: Path) -> None:
    config = LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
    Lake(config).init()
    failures: list[Exception] = []

    def work() -> None:
        try:
            prepare(Lake(config))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_alert_is_opened_once_and_counted(lake: Lake) -> None:
    assert open_alert(lake, "cameras", "reads", "a/one", "2026-11-20T14", "0", AT)
    assert not open_alert(lake, "cameras", "reads", "a/one", "2026-11-20T15", "1", AT + HOUR)
    assert open_alert(lake, "cameras", "reads", "a/two", "2026-11-20T15", "2", AT + HOUR)
    one, two = find_alerts(lake)
    assert (one.subject, one.times, one.told, one.opened_at) == ("a/one", 2, "1", AT)
    assert (one.first_part, one.last_part) == ("2026-11-20T14", "2026-11-20T15")
    assert (two.subject, two.times) == ("a/two", 1)
    assert find_alerts(lake, table="reads") == []


def test_an_alert_is_cleared_but_not_by_an_earlier_part(lake: Lake) -> None:
    open_alert(lake, "reads", "rule", "", "2026-11-20T14", "told", AT)
    # A late upload had an older hour checked again, and broken it was too: still the same alert.
    assert not open_alert(lake, "reads", "rule", "", "2026-11-20T02", "told", AT)
    assert find_alerts(lake)[0].last_part == "2026-11-20T14"
    assert not clear_alert(lake, "reads", "rule", "", "2026-11-20T13", "why", AT)
    assert not clear_alert(lake, "reads", "rule", "a/one", "2026-11-20T15", "why", AT)
    assert clear_alert(lake, "reads", "rule", "", "2026-11-20T14", "mended", AT + HOUR)
    assert not clear_alert(lake, "reads", "rule", "", "2026-11-20T14", "again", AT + HOUR)
    assert find_alerts(lake) == []
    (closed,) = find_alerts(lake, closed=True)
    assert (closed.cleared_at, closed.cleared_by) == (AT + HOUR, "mended")
    # It can come back: a new row beside the old one.
    assert open_alert(lake, "reads", "rule", "", "2026-11-20T16", "told", AT + 2 * HOUR)
    assert len(find_alerts(lake, closed=True)) == 2


def test_two_that_check_the_same_open_one_alert(lake: Lake) -> None:
    opened: list[bool] = []
    start = threading.Barrier(6)

    def work() -> None:
        start.wait()
        opened.append(open_alert(lake, "reads", "rule", "", "2026-11-20T14", "told", AT))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False] * 5 + [True]
    assert len(find_alerts(lake)) == 1


def test_an_alert_that_nobody_judges_ends(lake: Lake) -> None:
    open_alert(lake, "reads", "rule", "a/one", "2026-11-01T14", "told", AT - timedelta(days=15))
    open_alert(lake, "reads", "rule", "a/two", "2026-11-20T14", "told", AT)
    (ended,) = clear_stale_alerts(lake, AT - timedelta(days=14), "nobody looks", AT)
    assert ended.subject == "a/one"
    assert [alert.subject for alert in find_alerts(lake)] == ["a/two"]
    assert clear_stale_alerts(lake, AT - timedelta(days=14), "nobody looks", AT) == []


def test_results_and_closed_alerts_end_by_age_open_alerts_do_not(lake: Lake) -> None:
    record(lake, [RESULT, replace(RESULT, at=AT + HOUR)])
    open_alert(lake, "reads", "rule", "a", "1", "told", AT)
    open_alert(lake, "reads", "rule", "b", "1", "told", AT)
    clear_alert(lake, "reads", "rule", "b", "1", "mended", AT)
    assert prune(lake, AT + HOUR) == 2
    assert history(lake) == [replace(RESULT, at=AT + HOUR)]
    assert [alert.subject for alert in find_alerts(lake, closed=True)] == ["a"]


def test_catalogues_that_share_a_database_do_not_see_each_other(lake: Lake) -> None:
    other = Lake(replace(lake.config, catalog_name="other"))
    record(lake, [RESULT])
    open_alert(lake, "reads", "rule", "", "1", "told", AT)
    assert not history(other)
    assert not find_alerts(other)
    assert open_alert(other, "reads", "rule", "", "1", "told", AT)
    assert prune(other, AT + HOUR) == 0


def test_a_database_that_is_gone_is_unavailable(lake: Lake) -> None:
    with lake.catalog.engine.begin() as connection:
        connection.execute(text("DROP TABLE quality"))
    with pytest.raises(Unavailable, match="does not answer"):
        history(lake)
