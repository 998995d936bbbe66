"""The views on the embedded lake: what they hold, and how they are put into a catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    StringType,
    TimestamptzType,
)
from sqlalchemy import text

from alpr.errors import ConfigurationError
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.publish import publish, view_location
from catalog.query import connect
from catalog.schemas import TABLES
from catalog.views import VIEWS
from tests.contract.lake.landing import committer
from tests.contract.lake.samples import NOW, make_hit, make_reads, stage, stage_hit_group

DUCKDB_TYPES: dict[IcebergType, str] = {
    StringType(): "VARCHAR",
    DoubleType(): "DOUBLE",
    LongType(): "BIGINT",
    IntegerType(): "INTEGER",
    BooleanType(): "BOOLEAN",
    DateType(): "DATE",
    TimestamptzType(): "TIMESTAMP WITH TIME ZONE",
}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = Lake(LakeConfig(f"sqlite:///{tmp_path}/catalog.db", (tmp_path / "wh").as_uri()))
    lake.init()
    yield lake
    lake.close()


def rows_of(lake: Lake) -> dict[str, Any]:
    with lake.catalog.engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT table_name, metadata_location FROM iceberg_tables WHERE iceberg_type='VIEW'"
            )
        )
        return {row.table_name: row.metadata_location for row in found}


@pytest.mark.parametrize("name", VIEWS)
def test_the_columns_are_those_that_are_stated(lake: Lake, name: str) -> None:
    reads = make_reads(20, image=True)
    committer(lake).commit([stage(lake, reads)])
    committer(lake, "hits").commit([stage_hit_group(lake, [make_hit(read) for read in reads[:9]])])
    connection = connect(lake)
    described = connection.execute(f'DESCRIBE "{name}"').fetchall()
    assert [(column[0], column[1]) for column in described] == [
        (field.name, DUCKDB_TYPES[field.field_type]) for field in VIEWS[name].schema.fields
    ]
    counted = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
    assert counted is not None
    assert counted[0] > 0
    connection.close()


def test_no_view_has_the_name_of_a_table_or_ends_a_statement() -> None:
    assert not set(VIEWS) & (set(TABLES) | {"evidence"})
    for view in VIEWS.values():
        assert ";" not in view.select
        assert view.comment


def test_publishing_again_changes_nothing(lake: Lake) -> None:
    assert publish(lake, "lake", NOW) == list(VIEWS)
    before = rows_of(lake)
    assert set(before) == set(VIEWS)
    assert publish(lake, "lake", NOW) == []
    assert rows_of(lake) == before
    metadata = json.loads(lake.store.read(before["sightings"]))
    (version,) = metadata["versions"]
    assert version["representations"][0]["sql"] == VIEWS["sightings"].select
    assert (version["default-catalog"], version["default-namespace"]) == ("lake", ["alpr"])
    assert "trino.run-as-owner" not in metadata["properties"]


def test_a_view_that_this_version_has_otherwise_is_renewed_and_its_old_file_goes(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, "lake", NOW)
    before = rows_of(lake)["hit_days"]
    same = json.loads(lake.store.read(before))["view-uuid"]
    monkeypatch.setitem(VIEWS, "hit_days", replace(VIEWS["hit_days"], comment="other words"))
    assert publish(lake, "lake", NOW) == ["hit_days"]
    after = rows_of(lake)["hit_days"]
    assert [item.uri for item in lake.store.list(view_location(lake, "hit_days"))] == [after]
    assert not lake.store.exists(before)
    assert json.loads(lake.store.read(after))["view-uuid"] == same


def test_a_view_whose_file_was_lost_is_written_anew(lake: Lake) -> None:
    publish(lake, "lake", NOW)
    lake.store.delete([rows_of(lake)["hit_log"]])
    assert publish(lake, "lake", NOW) == ["hit_log"]
    assert lake.store.exists(rows_of(lake)["hit_log"])


def test_a_table_with_a_views_name_is_not_taken_for_it(lake: Lake) -> None:
    lake.catalog.create_table("alpr.hit_log", VIEWS["hit_log"].schema)
    with pytest.raises(ConfigurationError, match=r"alpr\.hit_log is a table"):
        publish(lake, "lake", NOW)


def test_tables_do_not_hear_of_views(lake: Lake) -> None:
    publish(lake, "lake", NOW)
    assert {name for _, name in lake.catalog.list_tables("alpr")} == set(TABLES)
    lake.check()
