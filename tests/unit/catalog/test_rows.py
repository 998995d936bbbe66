"""Rows, files and their entries: what is stored, and what must not be in the metadata."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import Unavailable
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.files import live_files
from catalog.images import ImageRef
from catalog.lake import Lake
from catalog.parquet import FEWEST_ROWS, MOST_ROWS, encode
from catalog.rows import Images, Origin, hits_to_arrow, local_days, reads_to_arrow
from catalog.schemas import CAPTURED, HITS, PLATE, READS
from catalog.staging import OffsetRange, split
from tests.contract.lake.samples import NOW, make_hit, make_read, make_reads, stage


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    lake = Lake(config)
    lake.init()
    return lake


def test_partitions_and_offsets_row_by_row() -> None:
    table = reads_to_arrow(make_reads(3), Origin("reads", [4, 5, 4], [7, 1, 8]), NOW)
    assert table.schema.equals(READS.arrow)
    assert table["source_partition"].to_pylist() == [4, 5, 4]
    assert table["source_offset"].to_pylist() == [7, 1, 8]


def test_other_time_zones_become_utc() -> None:
    local = datetime(2026, 11, 20, 23, 30, tzinfo=timezone(timedelta(hours=-8)))
    read = msgspec.structs.replace(make_read(1), captured_at=local)
    table = reads_to_arrow([read], Origin("reads", 0, [0]), NOW)
    assert table["captured_at"][0].as_py() == local
    ((partition, _),) = split(table)
    assert partition.date.isoformat() == "2026-11-21"


def test_times_before_1970_fall_on_their_day() -> None:
    early = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    read = msgspec.structs.replace(make_read(1), captured_at=early)
    ((partition, _),) = split(reads_to_arrow([read], Origin("reads", 0, [0]), NOW))
    assert (partition.day, partition.date.isoformat()) == (-1, "1969-12-31")


def test_the_day_is_the_calendar_day_where_the_class_applies() -> None:
    """The last millisecond of a local day is on it, though Greenwich is a day further."""
    zones = {"east": "America/New_York", "far": "Pacific/Kiritimati", "default": "UTC"}
    last = datetime(2026, 11, 21, 4, 59, 59, 999000, tzinfo=UTC)
    reads = [
        msgspec.structs.replace(make_read(1), captured_at=moment, retention_class=name)
        for name in zones
        for moment in (last, last + timedelta(milliseconds=1))
    ]
    table = reads_to_arrow(reads, Origin("reads", 0, range(6)), NOW, zone_of=zones.__getitem__)
    days = [day.day for day in table["captured_on"].to_pylist()]
    assert days == [20, 21, 21, 21, 21, 21]
    folders = [partition.folder for partition, _ in split(table)]
    assert folders[0] == "data/retention_class=east/captured_on=2026-11-20"
    assert len(folders) == 4


def since_1970(micros: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)


@given(
    st.lists(
        st.tuples(
            st.integers(-(2**50), 2**51).map(since_1970),
            st.sampled_from(["America/New_York", "Asia/Beirut", "America/Santiago", "UTC"]),
        ),
        max_size=20,
    )
)
def test_local_days_are_those_of_the_calendar(moments: list[tuple[datetime, str]]) -> None:
    """Arrow's time zones against Python's, over summer times that begin at midnight too."""
    captured = pa.array([moment for moment, _ in moments], pa.timestamp("us", "UTC"))
    zones = pa.array([zone for _, zone in moments], pa.large_string())
    assert local_days(captured, zones, str).to_pylist() == [
        moment.astimezone(ZoneInfo(zone)).date() for moment, zone in moments
    ]


def test_images_and_candidates_keep_their_rows() -> None:
    reads = make_reads(4)
    refs = [None, ImageRef("p", 16, 5), None, ImageRef("q", 99, 6)]
    images = Images(crops=refs, overviews=[None] * 4)
    rows = reads_to_arrow(reads, Origin("reads", 0, range(4)), NOW, images).to_pylist()
    assert [row["crop"] for row in rows] == [ref and ref._asdict() for ref in refs]
    assert [row["overview"] for row in rows] == [None] * 4
    assert [len(row["candidates"]) for row in rows] == [0, 1, 2, 0]


def test_no_rows_at_all() -> None:
    assert reads_to_arrow([], Origin("reads", 0, []), NOW).num_rows == 0
    assert hits_to_arrow([], Origin("hits", 0, []), NOW).schema.equals(HITS.arrow)
    assert split(reads_to_arrow([], Origin("reads", 0, []), NOW)) == []


def test_split_keeps_every_row_in_order() -> None:
    mixed = [
        make_read(n, days_ago=n % 3, retention_class="toll" if n % 4 else "default")
        for n in range(50)
    ]
    parts = split(reads_to_arrow(mixed, Origin("reads", 0, range(50)), NOW))
    assert len({partition for partition, _ in parts}) == len(parts) == 6
    for partition, rows in parts:
        offsets = rows["source_offset"].to_pylist()
        assert offsets == sorted(offsets)
        assert set(rows["retention_class"].to_pylist()) == {partition.retention_class}
        assert set(rows["captured_on"].to_pylist()) == {partition.date}
    assert sorted(n for _, rows in parts for n in rows["source_offset"].to_pylist()) == list(
        range(50)
    )


def test_files_have_small_row_groups_and_field_ids() -> None:
    hits = [make_hit(read) for read in make_reads(5)]
    table = hits_to_arrow(hits, Origin("hits", 0, range(5)), NOW)
    for rows, group in ((20_000, FEWEST_ROWS), (320_000, 10_000), (2_000_000, MOST_ROWS)):
        big = pa.concat_tables([table] * (rows // 5))
        file = pq.ParquetFile(pa.BufferReader(encode(big, 1)))
        assert file.metadata.row_group(0).num_rows == group
    plate = file.schema_arrow.field("plate")
    assert plate.metadata[b"PARQUET:field_id"] == str(PLATE).encode()
    columns = [file.metadata.row_group(0).column(n) for n in range(file.metadata.num_columns)]
    encodings = {column.path_in_schema: column.encodings for column in columns}
    assert "RLE_DICTIONARY" in encodings["agency"]
    assert "RLE_DICTIONARY" not in encodings["hit_id"]
    assert {column.compression for column in columns} == {"ZSTD"}


def test_no_plate_text_in_any_metadata(lake: Lake) -> None:
    """Default metrics put the smallest and largest plate into manifests, which outlive rows."""
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, make_reads(30))])
    (file,) = live_files(lake.table("reads"))
    assert set(file.lower_bounds) == set(file.upper_bounds) == {CAPTURED}
    assert file.split_offsets is None
    assert file.record_count == 30


def test_a_failed_write_is_unavailable_and_leaves_nothing(tmp_path: Path, lake: Lake) -> None:
    (tmp_path / "taken.parquet").mkdir()
    with pytest.raises(Unavailable, match="cannot write"):
        lake.store.write(f"file://{tmp_path}/taken.parquet", b"data")
    assert not list(tmp_path.glob(".taken*"))


def test_an_offset_range_must_go_up() -> None:
    with pytest.raises(ValueError, match="not an offset range"):
        OffsetRange("reads", 0, 5, 4)
