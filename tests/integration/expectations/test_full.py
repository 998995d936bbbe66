"""Checks on MinIO and PostgreSQL: another kind of time, of index and of lock than SQLite's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from catalog.config import LakeConfig, read_secret
from catalog.lake import Lake
from catalog.quality import find_alerts, history, open_alert, prepare
from catalog.query import connect
from catalog.slices import HOUR, floor_hour
from expectations.past import Past
from expectations.rounds import Plan, Rounds
from infra.services.minio import Minio
from infra.services.postgres import DATABASE, ROLE, Postgres
from tests.support.traffic import land_hits, land_reads, reads_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

H = datetime(2026, 11, 20, 14, tzinfo=UTC)
NOW = H + HOUR + timedelta(minutes=15)
PLAN = Plan(past=Past(weeks=2, enough=2))


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    lake = Lake(config)
    lake.init()
    return lake


def test_a_round_its_results_and_its_alerts(
    lake: Lake, services: tuple[Minio, Postgres], tmp_path: Path
) -> None:
    for week in (0, 1, 2):
        cameras = ("a/one", "a/two") if week else ("a/one",)
        then = H - week * timedelta(weeks=1)
        reads = [read for name in cameras for read in reads_of(name, then, 60)]
        land_reads(lake, reads, then + HOUR)
    land_hits(lake, reads_of("a/one", H, 60)[:2], H + HOUR)
    rounds = Rounds(lake, Plan(past=PLAN.past, pages=tmp_path))
    rounds.run(NOW)
    silent = [alert for alert in find_alerts(lake) if alert.table == "cameras"]
    assert {alert.subject for alert in silent} == {"a/two"}
    assert all(alert.last_at == NOW for alert in silent)
    assert rounds.run(NOW).outcomes == ()

    # The same rows counted by two other engines: DuckDB over the lake, psycopg over the results.
    (counted,) = connect(lake).execute(
        "SELECT count(*) FROM reads WHERE captured_at >= ? AND captured_at < ?", [H, H + HOUR]
    ).fetchall()  # fmt: skip
    postgres = services[1]
    host, _, port = postgres.address.partition(":")
    password = read_secret(postgres.password_file)
    asked = (
        "SELECT DISTINCT rows, hour FROM quality "
        "WHERE catalog = %s AND table_name = 'reads' AND hour = %s AND part LIKE '%%-1'"
    )
    with psycopg.connect(
        host=host, port=port, dbname=DATABASE, user=ROLE, password=password
    ) as direct:
        found = direct.execute(asked, (lake.config.catalog_name, H)).fetchall()
    assert [(rows, hour.astimezone(UTC)) for rows, hour in found] == [(counted[0], H)]

    land_reads(lake, reads_of("a/two", H, 60), H + HOUR)
    assert {subject for *_, subject in rounds.run(NOW).changes.cleared} == {"a/two"}
    assert history(lake, table="cameras", rule="reads an hour", limit=1)[0].ok


def test_two_services_open_one_alert_and_make_the_tables_once(config: LakeConfig) -> None:
    Lake(config).init()
    start = threading.Barrier(8)
    opened: list[bool] = []

    def work() -> None:
        lake = Lake(config)
        start.wait()
        prepare(lake)
        opened.append(open_alert(lake, "reads", "rule", "", "1", "told", NOW))
        lake.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(opened) == [False] * 7 + [True]
    (alert,) = find_alerts(Lake(config))
    assert alert.times == 8


def test_a_service_that_is_killed_is_followed_by_one_that_finishes(
    lake: Lake, config: LakeConfig, tmp_path: Path
) -> None:
    now = floor_hour(datetime.now(UTC))
    for back in range(2, 8):
        land_reads(lake, reads_of("a/one", now - back * HOUR, 300), now)
    config.save(tmp_path / "lake.toml")
    prepare(lake)
    command = [
        *(sys.executable, "-m", "cli.main", "quality", "run", "--every", "1"),
        *("--config", str(tmp_path / "lake.toml")),
    ]
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(lambda: len(hours(lake)) >= 2, "two hours checked", 120)
        finally:
            os.kill(service.pid, signal.SIGKILL)
            service.wait()
    Rounds(lake, PLAN).run(datetime.now(UTC))
    assert {now - back * HOUR for back in range(2, 8)} <= hours(lake)
    assert Rounds(lake, PLAN).run(now + timedelta(seconds=1)).outcomes == ()


def hours(lake: Lake) -> set[datetime]:
    return {each.hour for each in history(lake, table="reads", limit=5000) if each.hour}
