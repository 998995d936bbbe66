"""SQL for those who may only ask: what is answered, and every way out that is shut."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from alpr.errors import BadInput, Unavailable
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.reader import Reader
from tests.contract.lake.samples import NOW, make_reads, stage


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    lake = Lake(config)
    lake.init()
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, make_reads(40, image=True))])
    return lake


@pytest.fixture
def reader(lake: Lake) -> Iterator[Reader]:
    with Reader(lake) as found:
        yield found


def test_a_question_is_answered_with_its_parameters(reader: Reader) -> None:
    read = make_reads(1, first=7)[0]
    found = reader.ask("SELECT read_id FROM reads WHERE plate = ?", [read.plate])
    assert found.to_pylist() == [{"read_id": read.read_id}]
    named = reader.ask("SELECT count(*) AS n FROM reads WHERE state = $state", {"state": "CA"})
    assert named.to_pylist() == [{"n": 20}]


QUESTIONS = [
    "WITH few AS (FROM reads LIMIT 3) SELECT count(*) FROM few JOIN reads USING (plate)",
    "FROM reads SELECT max(len(candidates))",
    "SELECT x FROM unnest([1, 2]) t(x)",
    "SELECT * FROM range(3)",
    "SELECT (SELECT count(*) FROM hits), plate FROM main.reads ORDER BY plate LIMIT 1 -- ;",
    "SELECT ';' FROM reads LIMIT 1",
    "SHOW TABLES",
    "DESCRIBE reads",
    "SELECT camera, row_number() OVER (ORDER BY captured_at) FROM sightings",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) FROM t",
]


def test_what_a_select_can_say(reader: Reader) -> None:
    for sql in QUESTIONS:
        assert reader.ask(sql).num_rows, sql


def test_the_limit_and_the_types_of_nothing(reader: Reader) -> None:
    assert reader.ask("SELECT plate FROM reads", limit=7).num_rows == 7
    none = reader.ask("SELECT plate, captured_at FROM reads WHERE false")
    assert none.column_names == ["plate", "captured_at"]
    for limit in (0, 1_000_001):
        with pytest.raises(BadInput, match="bad-limit"):
            reader.ask("SELECT 1", limit=limit)


def test_new_reads_are_seen_without_a_new_connection(reader: Reader, lake: Lake) -> None:
    owner = Committer(lake, "reads", now=lambda: NOW)
    for number in range(1, 4):
        owner.commit([stage(lake, make_reads(10, first=100 * number), first=30 + 10 * number)])
    assert reader.ask("SELECT count(*) FROM reads").to_pylist() == [{"count_star()": 70}]


NO_QUESTION = [
    "COPY reads TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{lake}/alpr/reads/data/x.parquet' (FORMAT parquet)",
    "EXPLAIN ANALYZE COPY reads TO '{folder}/stolen.csv'",
    "CREATE SECRET mine (TYPE s3, KEY_ID 'a', SECRET 'b')",
    "DROP SECRET lake",
    "ATTACH '{folder}/x.db'",
    "INSTALL spatial",
    "LOAD spatial",
    "SET memory_limit = '20GB'",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL enable_logging('FileSystem', storage := 'file', storage_path := '{folder}/log')",
    "CREATE TABLE mine AS SELECT * FROM reads",
    "CREATE MACRO f(x) AS x",
    "DROP VIEW reads",
    "INSERT INTO reads SELECT * FROM reads",
    "DELETE FROM reads",
    "EXPORT DATABASE '{folder}/all'",
    "PREPARE p AS SELECT 1",
    "BEGIN",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY reads TO '{folder}/stolen.csv'",
    "",
    "-- nothing",
    "PIVOT reads ON state",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{lake}/catalog.db')",
    "SELECT * FROM READ_CSV('http://127.0.0.1:9/x')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM iceberg_scan('{lake}/alpr/hits')",
    "SELECT * FROM '/etc/passwd'",
    "FROM '{lake}/x.parquet'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM NO_QUESTION",
    "DESCRIBE '/etc/passwd'",
    "SUMMARIZE '{lake}/x.parquet'",
    'WITH "/etc/x.csv" AS (SELECT 1) SELECT * FROM "/etc/x.csv"',
    "SELECT (SELECT max(content) FROM read_text('/etc/passwd')) FROM reads",
    "SELECT * FROM reads WHERE plate IN (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS (SELECT * FROM read_text('/etc/passwd')) FROM x",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table(['reads'])",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM enable_logging('FileSystem')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM system.main.duckdb_secrets",
    "SELECT * FROM json_execute_serialized_sql('x')",
    "SELECT * FROM seq_scan(1)",
    "SELECT current_setting('allowed_directories')",
    "SELECT Write_Log('x') FROM reads",
    "SELECT sleep_ms(1000)",
    "SELECT '" + "x" * 100_000 + "'",
]


def test_what_is_no_question_is_refused(reader: Reader, config: LakeConfig, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    lake = config.warehouse.removeprefix("file://")
    before = sorted(os.walk(lake))
    for sql in NO_QUESTION:
        with pytest.raises(BadInput) as caught:
            reader.ask(sql.replace("{folder}", str(folder)).replace("{lake}", lake))
        assert caught.value.reason == "refused-sql", sql
    assert list(folder.iterdir()) == []
    assert sorted(os.walk(lake)) == before
    assert reader.ask("SELECT count(*) AS n FROM reads").to_pylist() == [{"n": 40}]


SHUT = [
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '{folder}/x.csv'",
    "ATTACH '{folder}/x.db'",
    "INSTALL spatial",
    "SET memory_limit = '20GB'",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SELECT * FROM read_blob('{lake}/../catalog.db')",
    "SELECT * FROM read_blob('{lake}/alpr/reads/../../../catalog.db')",
    "SELECT * FROM read_text('{lake}/images/*')",
]


def test_the_engine_refuses_by_itself(reader: Reader, config: LakeConfig, tmp_path: Path) -> None:
    """Past the look at the statement, should that ever have a hole."""
    lake = config.warehouse.removeprefix("file://")
    refusals = (duckdb.PermissionException, duckdb.InvalidInputException)
    for sql in SHUT:
        with pytest.raises(refusals):
            reader._connection.execute(
                sql.replace("{folder}", str(tmp_path)).replace("{lake}", lake)
            )
    assert not (tmp_path / "x.csv").exists()
    assert not (tmp_path / "x.db").exists()


def test_no_python_variable_is_a_table(reader: Reader) -> None:
    secret = reader.ask("SELECT 1 AS a")
    assert secret.num_rows == 1
    with pytest.raises(duckdb.CatalogException):
        reader._connection.execute("SELECT * FROM secret")


MISTAKES = [
    "SELCT 1",
    "SELECT nothing FROM reads",
    "SELECT CAST(plate AS integer) FROM reads",
    "SELECT plate FROM reads WHERE plate = ?",
]


def test_mistakes_are_told(reader: Reader) -> None:
    for sql in MISTAKES:
        with pytest.raises(BadInput) as caught:
            reader.ask(sql)
        assert caught.value.reason == "bad-sql", sql
        assert "\n" not in str(caught.value)


def rows_of(reader: Reader, sql: str) -> int:
    """How many rows the whole answer has."""
    with reader.stream(sql) as (_, batches):
        return sum(batch.num_rows for batch in batches)


ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000000) b"
ENDLESS_ROWS = "SELECT a.range * b.range FROM range(100000000) a, range(100000000) b"


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_ROWS])
def test_a_query_that_takes_too_long_is_stopped_and_the_next_is_not(lake: Lake, sql: str) -> None:
    with Reader(lake, seconds=0.5) as reader:
        with pytest.raises(BadInput, match="too-slow"):
            rows_of(reader, sql)
        assert reader.ask("SELECT count(*) AS n FROM reads").to_pylist() == [{"n": 40}]
    assert threading.active_count() < 20


def test_what_fails_half_way_is_told_the_same(reader: Reader) -> None:
    """The first parts are out by then, and the error comes through Arrow, which knows no kinds."""
    query = "SELECT CASE WHEN range > 500000 THEN error('no luck') END FROM range(1000000)"
    with pytest.raises(BadInput, match=r"bad-sql.*no luck"):
        rows_of(reader, query)


def test_a_query_that_needs_too_much_memory_is_stopped(lake: Lake) -> None:
    with (
        Reader(lake, memory="100MB", seconds=30) as reader,
        pytest.raises(BadInput, match="too-large"),
    ):
        reader.ask("SELECT list(range ORDER BY hash(range)) FROM range(30000000)")


def test_a_lake_that_went_away_is_told(lake: Lake, config: LakeConfig) -> None:
    with Reader(lake) as reader:
        data = Path(config.warehouse.removeprefix("file://"), "alpr/reads/data")
        data.rename(data.with_name("gone"))
        with pytest.raises(Unavailable, match="ask again"):
            reader.ask("SELECT * FROM reads")
