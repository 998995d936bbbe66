"""The service on a lake in a folder: what it finds, when, and that it only reads."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from msgspec.structs import replace

from alpr.errors import Corrupt, Unavailable
from alpr.records import Read
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.hours import camera_hours, waiting_hours
from catalog.lake import Lake
from catalog.quality import find_alerts, history
from catalog.rows import Origin
from catalog.slices import HOUR
from catalog.staging import OffsetRange, stage_reads
from expectations.hotlist import HotList
from expectations.past import Past
from expectations.registry import RegisteredCamera, Registry
from expectations.rounds import FOUND, READABLE, Plan, Round, Rounds
from ingest.hotlists.snapshot import SCHEMA
from tests.contract.lake.samples import no_sleep
from tests.support.traffic import land_hits, land_reads, reads_of

H = datetime(2026, 11, 20, 14, tzinfo=UTC)
SETTLED = H + HOUR + timedelta(minutes=10)
REGISTRY = Registry(
    (
        RegisteredCamera("a", "one", "MA", "fixed", 42.36, -71.06),
        RegisteredCamera("a", "two", "MA", "fixed", 42.36, -71.06),
        RegisteredCamera("a", "broken", "MA", "fixed", 42.36, -71.06, in_service=False),
    )
)
PLAN = Plan(registry=REGISTRY, past=Past(weeks=3, enough=2))


@pytest.fixture(autouse=True)
def _short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hour of silence is judged, and takes its time."""
    monkeypatch.setattr("expectations.rounds._SILENCE", 2 * HOUR)


def broken(done: Round) -> set[tuple[str, str]]:
    return {(o.table, finding.rule) for o in done.outcomes for finding in o.broken}


def hours(done: Round, table: str = "reads") -> list[datetime]:
    return sorted({o.hour for o in done.outcomes if o.table == table and o.hour})


def open_alerts(lake: Lake) -> set[tuple[str, str, str]]:
    return {(alert.table, alert.rule, alert.subject) for alert in find_alerts(lake)}


def traffic(lake: Lake, hour: datetime, *cameras: str, count: int = 60, **more: Any) -> list[Read]:
    reads = [read for name in cameras for read in reads_of(name, hour, count, **more)]
    land_reads(lake, reads, hour + HOUR)
    return reads


def test_an_hour_is_checked_once_when_it_is_over(empty: Lake) -> None:
    rounds = Rounds(empty, PLAN)
    assert rounds.run(SETTLED).outcomes == ()
    land_hits(empty, traffic(empty, H, "a/one", "a/two")[:3], H + HOUR)
    early = rounds.run(SETTLED - timedelta(seconds=1))
    assert early.outcomes == ()
    assert early.waiting == 2  # of reads and of hits
    # Measured already: the report of cameras does not wait.
    assert camera_hours(empty, H, H + HOUR)["reads"].to_pylist() == [60, 60]

    done = rounds.run(SETTLED)
    assert done.ok
    assert done.waiting == 0
    assert hours(done) == hours(done, "hits") == [H]
    assert {outcome.table for outcome in done.outcomes} == {
        *("reads", "cameras", "states", "hits", "hit-rates"),
    }
    assert sum(outcome.rows for outcome in done.outcomes if outcome.part.endswith("-1")) == 123
    assert rounds.run(SETTLED).outcomes == ()
    # A new process knows what was done.
    assert Rounds(empty, PLAN).run(SETTLED).outcomes == ()
    recorded = history(empty, table="reads", limit=200)
    assert {(each.part, each.rows, each.ok) for each in recorded} == {
        ("2026-11-20T14-1", 120, True),
        ("2026-11-20T14", 120, True),
    }


def test_a_late_upload_makes_an_old_hour_new_again_a_compaction_does_not(empty: Lake) -> None:
    rounds = Rounds(empty, PLAN)
    for back in (3, 2, 1):
        traffic(empty, H - back * HOUR, "a/one")
    assert hours(rounds.run(H + HOUR / 2)) == [H - 3 * HOUR, H - 2 * HOUR, H - HOUR]
    compact(empty, "reads", H.date(), CompactionPolicy(2, 2), sleep=no_sleep)
    assert rounds.run(H + HOUR / 2).outcomes == ()

    land_reads(empty, reads_of("a/two", H - 3 * HOUR, 7), H)
    done = rounds.run(H + HOUR / 2)
    assert hours(done) == [H - 3 * HOUR]
    assert [o.rows for o in done.outcomes if o.part == "2026-11-20T11-1"] == [67]


def test_of_an_old_lake_young_hours_are_checked_and_the_rest_is_the_past(empty: Lake) -> None:
    for week in (1, 2):
        traffic(empty, H - week * timedelta(weeks=1), "a/one")
    traffic(empty, H, "a/one", count=5)
    done = Rounds(empty, PLAN).run(SETTLED)
    assert hours(done)[-1] == H
    assert hours(done)[0] >= H - 2 * HOUR  # silent ones
    assert ("cameras", "reads an hour are as usual, at most 4 deviations below and at most 10 "
            "deviations above") in broken(done)  # fmt: skip


def test_an_alert_is_raised_once_and_cleared(empty: Lake, caplog: pytest.LogCaptureFixture) -> None:
    rounds = Rounds(empty, PLAN)
    with caplog.at_level(logging.WARNING, "expectations"):
        traffic(empty, H, "a/one", "a/nobody")
        first = rounds.run(SETTLED)
        assert not first.ok
        rule = "agency + camera is in the registry of cameras"
        assert first.changes.raised == (("reads", rule, ""),)
        traffic(empty, H + HOUR, "a/nobody", plate="9XQZ87")
        second = rounds.run(SETTLED + HOUR)
        assert not second.ok
        assert second.changes.raised == second.changes.cleared == ()
        assert [alert.times for alert in find_alerts(empty)] == [2]
        traffic(empty, H + 2 * HOUR, "a/one")
        third = rounds.run(SETTLED + 2 * HOUR)
        assert third.changes.cleared == (("reads", rule, ""),)
    assert open_alerts(empty) == set()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "quality alert raised",
        "quality alert cleared",
    ]
    assert "60 of 120" in caplog.text
    assert "9XQZ87" not in caplog.text


def test_a_late_upload_of_bad_rows_to_an_old_hour_does_not_hide_that_later_ones_are_good(
    empty: Lake,
) -> None:
    rounds = Rounds(empty, PLAN)
    traffic(empty, H, "a/one")
    traffic(empty, H + HOUR, "a/nobody")
    rounds.run(SETTLED + HOUR)
    assert len(open_alerts(empty)) == 1
    # The older hour is checked again, and is good: the newer one is still bad.
    land_reads(empty, reads_of("a/two", H, 5), H + HOUR)
    assert rounds.run(SETTLED + HOUR).changes.cleared == ()
    assert len(open_alerts(empty)) == 1


def test_silence_is_found_though_nothing_changed(empty: Lake) -> None:
    week = timedelta(weeks=1)
    for back in (1, 2):
        traffic(empty, H - back * week, "a/one", "a/two", "a/broken")
        traffic(empty, H + HOUR - back * week, "a/one", "a/two", "a/broken")
    rounds = Rounds(empty, PLAN)
    traffic(empty, H, "a/one", "a/two")
    rounds.run(SETTLED)
    assert open_alerts(empty) == set()

    done = rounds.run(SETTLED + HOUR)  # and not a single read in that hour
    (raised, other) = sorted(done.changes.raised)
    assert (raised[2], other[2]) == ("a/one", "a/two")  # not the one out of service
    (outcome,) = (o for o in done.outcomes if o.table == "cameras")
    assert outcome.broken[0].subjects == ("a/one", "a/two")

    # They had only been late: the hour changes, and with it the verdict.
    traffic(empty, H + HOUR, "a/one", "a/two")
    again = rounds.run(SETTLED + HOUR)
    assert hours(again, "cameras") == [H + HOUR]
    assert sorted(subject for *_, subject in again.changes.cleared) == ["a/one", "a/two"]
    assert open_alerts(empty) == set()


def test_a_jump_of_hits_is_found_at_its_camera(empty: Lake) -> None:
    week = timedelta(weeks=1)
    for back in (1, 2):
        land_hits(empty, traffic(empty, H - back * week, "a/one", count=1200)[:2], H)
    rounds = Rounds(empty, PLAN)
    land_hits(empty, traffic(empty, H, "a/one", count=1200)[:40], H + HOUR)
    done = rounds.run(SETTLED)
    assert {subject for table, _, subject in done.changes.raised if table == "hit-rates"} == {
        "stolen-vehicle",
        "stolen-vehicle at a/one",
    }


def test_a_damaged_file_is_an_alert_and_stops_nothing_else(empty: Lake, tmp_path: Path) -> None:
    rounds = Rounds(empty, PLAN)
    traffic(empty, H, "a/one")
    rounds.run(H + HOUR)  # found and measured
    (file,) = (tmp_path / "lake" / "alpr" / "reads").rglob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    land_hits(empty, reads_of("a/two", H, 3), H + HOUR)
    done = rounds.run(SETTLED)
    assert ("reads", READABLE) in broken(done)
    assert ("reads", READABLE, "") in open_alerts(empty)
    # It still waits, and is told once.
    assert [count.hour for count in waiting_hours(empty, "reads")] == [H]
    assert ("reads", READABLE, "") not in rounds.run(SETTLED).changes.raised

    file.write_bytes(whole)
    mended = rounds.run(SETTLED)
    assert ("reads", READABLE, "") in mended.changes.cleared
    assert waiting_hours(empty, "reads") == []


def test_changes_that_cannot_be_found_are_an_alert(
    empty: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: object) -> None:
        raise Corrupt("a manifest is not whole")

    rounds = Rounds(empty, PLAN)
    traffic(empty, H, "a/one")
    with monkeypatch.context() as patch:
        patch.setattr("expectations.rounds.changed_hours", damaged)
        assert broken(rounds.run(SETTLED)) == {("reads", FOUND), ("hits", FOUND)}
    assert ("reads", FOUND, "") in rounds.run(SETTLED).changes.cleared


def test_killed_between_measuring_and_noting_it_is_all_done_again(
    empty: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    traffic(empty, H, "a/one", "a/two")
    for step in ("note_hours", "record", "apply", "done_hour"):
        rounds = Rounds(empty, PLAN)
        with monkeypatch.context() as patch:
            patch.setattr(f"expectations.rounds.{step}", kill)
            with pytest.raises(Killed):
                rounds.run(SETTLED)
    done = Rounds(empty, PLAN).run(SETTLED)
    assert hours(done) == [H]
    assert camera_hours(empty, H, H + HOUR)["reads"].to_pylist() == [60, 60]
    assert Rounds(empty, PLAN).run(SETTLED).outcomes == ()


def test_it_stops_after_the_hour_under_way(empty: Lake) -> None:
    for back in range(3):
        traffic(empty, H - back * HOUR, "a/one")
    asked = iter([False, True, True, True, True])
    rounds = Rounds(empty, PLAN, stop=lambda: next(asked))
    assert hours(rounds.run(SETTLED)) == [H - 2 * HOUR]
    assert hours(Rounds(empty, PLAN).run(SETTLED)) == [H - HOUR, H]


def test_it_only_reads(empty: Lake, tmp_path: Path) -> None:
    reads = traffic(empty, H, "a/one", "a/nobody")
    land_hits(empty, reads[:2], H + HOUR)
    stored = {path: path.read_bytes() for path in (tmp_path / "lake").rglob("*") if path.is_file()}
    before = [empty.table(name).metadata_location for name in ("reads", "hits")]
    committer = Committer(empty, "reads", now=lambda: H, sleep=no_sleep)
    Rounds(empty, PLAN).run(SETTLED)
    # The committer that was at work before still owns the table.
    land = reads_of("a/two", H + HOUR, 3)
    covered = [OffsetRange("reads", 0, 120, 123)]
    committer.commit(
        [stage_reads(empty, land, Origin("reads", 0, range(120, 123)), covered, H + 2 * HOUR)]
    )
    assert empty.table("hits").metadata_location == before[1]
    assert all(path.read_bytes() == data for path, data in stored.items() if path.exists())
    assert {path for path in stored if path.suffix == ".parquet"} <= set(
        (tmp_path / "lake").rglob("*.parquet")
    )


def test_no_plate_is_written_anywhere(empty: Lake, tmp_path: Path) -> None:
    plan = Plan(registry=REGISTRY, pages=tmp_path / "pages", hot_list=lambda: listed("5ECRET2"))
    bad = reads_of("a/one", H, 60, plate="5ECRET1", place=(1.0, 1.0))
    land_reads(empty, bad, H + HOUR)
    land_hits(empty, bad[:3], H + HOUR)
    done = Rounds(empty, plan).run(SETTLED)
    assert not done.ok
    assert find_alerts(empty)
    checked = [path for path in (tmp_path / "pages").rglob("*") if path.is_file()]
    checked += list(tmp_path.glob("catalog.db*"))
    assert any(path.suffix == ".html" for path in checked)
    for path in checked:
        assert b"5ECRET" not in path.read_bytes(), path
    # Each check's page is there: one that came later does not take the others away.
    pages = {o.page for o in done.outcomes if o.page}
    assert len(pages) == 7
    assert all((tmp_path / "pages" / page).exists() for page in pages)
    assert not list((tmp_path / "pages").glob(".building-*"))


def listed(plate: str, version: str = "v1", **more: Any) -> HotList:
    entry = {
        "key": 1,
        "entry_id": "e" * 32,
        "source": "police",
        "plate": plate,
        "category": "bolo",
        "priority": 9,
        "valid_from": H,
        "reason": "",
    }
    table = pa.Table.from_pylist([entry | more], schema=SCHEMA)
    return HotList(version, H, table)


def test_the_hot_list_is_checked_when_it_changes_and_its_age_every_hour(empty: Lake) -> None:
    in_force = [listed("ABC123", priority=3)]
    rounds = Rounds(empty, Plan(hot_list=lambda: in_force[-1]))
    tables = [o.table for o in rounds.run(H).outcomes]
    assert tables == ["hotlist", "hotlist-sources"]
    assert rounds.run(H + HOUR / 2).outcomes == ()
    assert [o.table for o in rounds.run(H + HOUR).outcomes] == ["hotlist-sources"]
    in_force.append(listed("ABC123", "v2"))  # with a priority that does not exist
    done = rounds.run(H + HOUR)
    assert done.changes.raised == (("hotlist", "priority lies from 1 to 5", ""),)
    old = rounds.run(H + 25 * HOUR)
    assert old.changes.raised == (
        ("hotlist-sources", "hours since the list was built are at most 24", "police"),
    )
    in_force.append(listed("ABC123", "v3", priority=3))
    assert rounds.run(H + 25 * HOUR).changes.cleared == (
        ("hotlist", "priority lies from 1 to 5", ""),
    )


def test_a_hot_list_that_cannot_be_opened_is_an_alert(empty: Lake) -> None:
    def damaged() -> HotList | None:
        raise Corrupt("the snapshot is not whole")

    assert ("hotlist", READABLE, "") in Rounds(empty, Plan(hot_list=damaged)).run(H).changes.raised
    assert Rounds(empty, Plan(hot_list=lambda: None)).run(H).outcomes == ()


def test_a_catalogue_that_does_not_answer_is_unavailable(tmp_path: Path) -> None:
    lake = Lake(LakeConfig(f"sqlite:///{tmp_path}/no/catalog.db", f"file://{tmp_path}/lake"))
    with pytest.raises(Unavailable):
        Rounds(lake, PLAN)


def test_an_hour_far_ahead_comes_to_light_at_once(empty: Lake) -> None:
    ahead = [replace(read, received_at=H) for read in reads_of("a/one", H + 5000 * HOUR, 3)]
    land_reads(empty, ahead, H)
    done = Rounds(empty, PLAN).run(H)
    assert ("reads", "captured_at is at most 0:05:00 after received_at") in broken(done)
    assert done.waiting == 0
