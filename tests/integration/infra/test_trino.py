"""Trino over the lake: who may ask what, what nobody may, and what stays out of logs."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator

import psutil
import psycopg
import pytest

from catalog.lake import Lake
from catalog.schemas import TABLES
from catalog.views import VIEWS
from cli.installation import Installation
from infra.services.postgres import READER
from infra.settings import Profile
from tests.contract.lake.landing import committer
from tests.contract.lake.samples import make_reads, stage
from tests.stacks import make_settings
from tests.support.trino import Client, Refused

pytestmark = pytest.mark.integration

PLATE = "SECRET7"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """MinIO, PostgreSQL and Trino, with some rows in several files."""
    settings = make_settings(
        tmp_path_factory.mktemp("trino"),
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
        stack.trino.start()  # before there is a lake: `platelake up` does so too
        lake = installation.prepare_lake()
        write(lake, 3)
        lake.close()
        yield installation
    finally:
        stack.trino.stop()
        stack.postgres.stop()
        stack.minio.stop()
        stack.destroy()


def write(lake: Lake, files: int) -> None:
    for number in range(files):
        reads = make_reads(50, first=100 * number)
        committer(lake).commit([stage(lake, reads, first=50 * number)])


@pytest.fixture
def investigator(up: Installation) -> Client:
    return Client.of(up.stack.trino, "investigator")


@pytest.fixture
def admin(up: Installation) -> Client:
    return Client.of(up.stack.trino, "admin")


def files_of(up: Installation) -> set[str]:
    lake = up.lake()
    try:
        return {item.uri for item in lake.store.list(lake.config.warehouse)}
    finally:
        lake.close()


def test_an_investigator_sees_the_tables_and_views_and_nothing_else(investigator: Client) -> None:
    assert investigator.ask("SELECT count(*) FROM reads") == [(150,)]
    assert {name for (name,) in investigator.ask("SHOW TABLES")} == {*TABLES, *VIEWS}
    for view in VIEWS:
        investigator.ask(f'SELECT * FROM "{view}"')


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT * FROM "reads$files"',
        'SELECT * FROM "reads$snapshots"',
        'SELECT * FROM "reads$partitions"',
        "SELECT * FROM system.runtime.queries",
        "SELECT * FROM system.metadata.catalogs",
        "SELECT * FROM TABLE(lake.system.table_changes('alpr', 'reads', 1, 2))",
    ],
)
def test_an_investigator_does_not_see_what_lies_behind_the_tables(
    investigator: Client, statement: str
) -> None:
    with pytest.raises(Refused, match="Access Denied"):
        investigator.ask(statement)


WRITING = [
    "DELETE FROM reads WHERE true",
    "UPDATE reads SET plate = 'X'",
    "INSERT INTO hits SELECT * FROM hits",
    "TRUNCATE TABLE reads",
    "DROP TABLE reads",
    "DROP VIEW sightings",
    "CREATE TABLE copied AS SELECT * FROM reads",
    "CREATE VIEW mine AS SELECT 1 AS one",
    "CREATE SCHEMA lake.mine",
    "ALTER TABLE reads DROP COLUMN plate",
    "ALTER TABLE reads EXECUTE optimize",
    "ALTER TABLE reads EXECUTE expire_snapshots(retention_threshold => '7d')",
    "ALTER TABLE reads EXECUTE remove_orphan_files(retention_threshold => '7d')",
    "CALL lake.system.rollback_to_snapshot('alpr', 'reads', 1)",
    "SET SESSION lake.parquet_max_read_block_size = '1MB'",
]


@pytest.mark.parametrize("statement", WRITING)
def test_an_investigator_changes_nothing(
    up: Installation, investigator: Client, statement: str
) -> None:
    before = files_of(up)
    with pytest.raises(Refused, match="Access Denied"):
        investigator.ask(statement)
    assert investigator.ask("SELECT count(*) FROM reads") == [(150,)]
    assert files_of(up) == before


@pytest.mark.parametrize("statement", WRITING[:-1])
def test_an_admin_changes_no_row_either(up: Installation, admin: Client, statement: str) -> None:
    before = files_of(up)
    with pytest.raises(Refused, match="Access Denied"):
        admin.ask(statement)
    assert files_of(up) == before


def test_an_admin_sees_how_it_runs_and_may_end_a_query(admin: Client) -> None:
    assert admin.ask('SELECT count(*) FROM "reads$files"') == [(3,)]
    assert admin.ask("SELECT count(*) > 0 FROM system.runtime.queries") == [(True,)]
    with pytest.raises(Refused, match="NOT_FOUND"):
        admin.ask("CALL system.runtime.kill_query('20200101_000000_00000_aaaaa', 'late')")


def test_who_has_no_password_or_claims_to_be_another_is_turned_away(
    up: Installation, investigator: Client
) -> None:
    with pytest.raises(Refused, match="HTTP 401"):
        Client(up.stack.trino, "investigator", "guessed").ask("SELECT 1")
    with pytest.raises(Refused, match="HTTP 401"):
        Client(up.stack.trino, "stranger", investigator.password).ask("SELECT 1")
    other = Client.of(up.stack.trino, "investigator")
    other.headers = {"X-Trino-User": "admin"}
    with pytest.raises(Refused, match=r"HTTP 403|Access Denied"):
        other.ask("SELECT 1")


def status_of(port: int, method: str, path: str, user: str) -> int:
    """The status of one plain request; its connection is its own: a refusal closes it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers={"X-Trino-User": user})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_plain_port_tells_health_and_figures_and_takes_no_statement(
    up: Installation, investigator: Client
) -> None:
    port = up.settings.ports.trino_http
    investigator.ask(f"SELECT count(*) FROM reads WHERE plate = '{PLATE}'")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        figures = answer.read().decode()
    assert "RunningQueries" in figures
    assert PLATE not in figures
    assert status_of(port, "GET", "/v1/info", "anybody") == 200
    for user in ("admin", "investigator", "metrics"):
        assert status_of(port, "POST", "/v1/statement", user) == 403
        assert status_of(port, "GET", "/v1/query", user) == 403


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELEC 1", "SYNTAX_ERROR"),
        (f"SELECT nothing FROM reads WHERE plate = '{PLATE}'", "COLUMN_NOT_FOUND"),
        ("SELECT * FROM nowhere", "TABLE_NOT_FOUND"),
        (f"SELECT CAST(plate || '{PLATE}' AS integer) FROM reads", "INVALID_CAST_ARGUMENT"),
        ("SELECT 1 / (frames - frames) FROM reads", "DIVISION_BY_ZERO"),
    ],
)
def test_a_bad_query_ends_with_an_error(investigator: Client, statement: str, error: str) -> None:
    with pytest.raises(Refused) as refused:
        investigator.ask(statement)
    assert refused.value.name == error


def test_neither_plates_nor_secrets_are_in_the_log_or_the_arguments(
    up: Installation, investigator: Client
) -> None:
    assert investigator.ask(f"SELECT count(*) FROM sightings WHERE plate = '{PLATE}'") == [(0,)]
    with pytest.raises(Refused):
        investigator.ask(f"SELECT CAST('{PLATE}' AS integer) FROM reads")
    (process,) = up.stack.trino.processes
    assert process.pid is not None
    log = process.log.read_text()
    assert PLATE not in log
    secrets = [
        path.read_text()
        for path in up.stack.secrets_dir.iterdir()
        if "password" in path.name or "secret" in path.name
    ]
    assert len(secrets) > 5
    arguments = " ".join(psutil.Process(process.pid).cmdline())
    assert not any(secret in log or secret in arguments for secret in secrets)
    for path in (up.settings.run_dir / "trino").iterdir():
        assert path.name == "ca.pem" or path.stat().st_mode & 0o777 == 0o600
        assert not any(secret in path.read_text() for secret in secrets)


def test_the_catalogues_reader_reads_two_tables_and_writes_none(up: Installation) -> None:
    postgres = up.stack.postgres
    with psycopg.connect(
        host="127.0.0.1",
        port=up.settings.ports.postgres,
        user=READER,
        dbname="platelake",
        password=postgres.reader_password_file.read_text(),
        autocommit=True,
    ) as connection:
        assert connection.execute("SELECT count(*) FROM iceberg_tables").fetchone() == (
            len(TABLES) + len(VIEWS),
        )
        for statement in (
            "UPDATE iceberg_tables SET metadata_location = 'x'",
            "DELETE FROM iceberg_tables",
            "CREATE TABLE mine (v integer)",
            "SELECT * FROM pg_authid",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_it_is_back_after_a_crash_with_the_same_passwords(up: Installation) -> None:
    service = up.stack.trino
    client = Client.of(service, "investigator")
    assert service.kill()
    assert not service.healthy()
    with pytest.raises(urllib.error.URLError):
        client.ask("SELECT 1")
    assert service.start()
    assert client.ask("SELECT count(*) FROM reads") == [(150,)]
    assert [status.state for status in service.status()] == ["up"]
