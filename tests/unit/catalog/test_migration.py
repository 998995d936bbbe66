"""A column added in the middle of the year: old files, new files, every reader."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyiceberg.schema import Schema
from pyiceberg.types import IntegerType, NestedField

from alpr.errors import ConfigurationError
from catalog.check import check_table
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.query import connect
from catalog.schemas import READS, TABLES
from tests.contract.lake.samples import NOW, ids_of, make_reads, no_sleep, stage, stored_ids


def _with(monkeypatch: pytest.MonkeyPatch, *, required: bool = False) -> None:
    """The version after this one, whose table has one column more."""
    lane = NestedField(READS.schema.highest_field_id + 1, "lane", IntegerType(), required=required)
    later = replace(READS, schema=Schema(*READS.schema.fields, lane))
    monkeypatch.setitem(TABLES, "reads", later)


def test_old_rows_have_no_value_and_all_are_there(
    config: LakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(config)
    lake.init()
    reads = make_reads(40)
    owner = Committer(lake, "reads", now=lambda: NOW)
    owner.commit([stage(lake, reads[:20])])
    _with(monkeypatch)
    with pytest.raises(ConfigurationError, match="lake migrate"):
        lake.check()
    assert lake.migrate() == ["reads.lane"]
    assert lake.migrate() == []
    # Workers of the version before go on until they are replaced.
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, reads[20:], first=20)])
    assert compact(lake, "reads", NOW.date(), CompactionPolicy(2, 2), sleep=no_sleep)
    assert stored_ids(lake) == ids_of(reads)
    assert check_table(lake, "reads").problems == ()
    with connect(lake) as connection:
        found = connection.sql("SELECT count(*), count(lane) FROM reads").fetchall()
    assert found == [(40, 0)]


def test_a_required_column_cannot_come_by_itself(
    config: LakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(config)
    lake.init()
    _with(monkeypatch, required=True)
    with pytest.raises(ConfigurationError, match="required column lane"):
        lake.migrate()
