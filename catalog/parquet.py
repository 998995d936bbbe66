"""How a table's rows become one Parquet file, and the Iceberg entry that registers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.typedef import Record
from pyiceberg.types import TimestamptzType

from catalog.schemas import CAPTURED, PARTITION_CLASS, PARTITION_DAY

ROW_GROUPS, FEWEST_ROWS, MOST_ROWS = 32, 4_096, 32_768
"""A look-up reads a row group of each file: a file has about so many, of so many rows each."""

STAGED_LEVEL, COMPACTED_LEVEL = 1, 3
"""zstd levels: a staged file lives for minutes, a compacted one for months."""

# How each column is written; measured on a day of made-up reads (docs/benchmarks.md). Few distinct
# values, as scores of four decimals and places of cameras have, shrink in a dictionary; times and
# offsets as differences of packed bits; sorted texts by what they share with the text before.
_DICTIONARY = frozenset(
    {
        *("agency", "camera", "retention_class", "state", "source", "source_version", "frames"),
        *("schema_version", "source_topic", "source_partition", "captured_on"),
        *("confidence", "state_confidence", "candidates.list.element.score"),
        *("latitude", "longitude", "heading", "crop.pack", "overview.pack"),
        *("list_version", "entry_id", "entry_plate", "entry_state", "category", "priority"),
        *("match", "state_match"),
    }
)
_ENCODINGS = {
    name: encoding
    for encoding, names in {
        "DELTA_BINARY_PACKED": (
            *("captured_at", "received_at", "matched_at", "source_offset"),
            *("crop.offset", "crop.length", "overview.offset", "overview.length"),
        ),
        "DELTA_BYTE_ARRAY": ("plate", "plate_raw"),
        "DELTA_LENGTH_BYTE_ARRAY": (
            *("read_id", "hit_id", "source_id", "candidates.list.element.plate"),
        ),
    }.items()
    for name in names
}

_BOUNDED = frozenset({"plate", "captured_at"})
"""Columns whose bounds a footer has: by others nobody passes over a row group, and they took more
than a third of it."""


@dataclass(frozen=True, order=True)
class Partition:
    """One partition of a table: local day of capture, in days since 1970-01-01, and its class."""

    day: int
    retention_class: str

    @property
    def date(self) -> date:
        """The day as a date."""
        return date(1970, 1, 1) + timedelta(days=self.day)

    @property
    def folder(self) -> str:
        """The partition's folder below the table's location.

        The class comes first: the days of a class that have ended are then the first of its
        folders, found without a look at those that are kept.
        """
        return f"{class_folder(self.retention_class)}/{PARTITION_DAY}={self.date}"

    @property
    def record(self) -> Record:
        """As Iceberg's metadata has it."""
        return Record(self.day, self.retention_class)


def class_folder(retention_class: str) -> str:
    """Where the folders of a class's days lie, below the table's location."""
    return f"data/{PARTITION_CLASS}={retention_class}"


@dataclass(frozen=True)
class ParquetFile:
    """A stored Parquet file: what Iceberg must know of it. Bounds in µs since 1970 (UTC)."""

    uri: str
    partition: Partition
    rows: int
    size: int
    first_captured: int
    last_captured: int
    sort_order: int | None = None


def encode(table: pa.Table, level: int) -> pa.Buffer:
    """One Parquet file: zstd, small row groups, page index, field ids, no Arrow extras."""
    leaves = _leaves(table.schema)
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=min(MOST_ROWS, max(FEWEST_ROWS, -(-table.num_rows // ROW_GROUPS))),
        compression="zstd",
        compression_level=level,
        use_dictionary=[name for name in leaves if name in _DICTIONARY],
        column_encoding={name: _ENCODINGS[name] for name in leaves if name in _ENCODINGS},
        write_page_index=True,
        write_statistics=[name for name in leaves if name in _BOUNDED],
        store_schema=False,
    )
    return sink.getvalue()


def captured_bounds(table: pa.Table) -> tuple[int, int]:
    """Smallest and largest captured_at in µs since 1970 (UTC) of a table with rows."""
    bounds = pc.min_max(table["captured_at"].cast(pa.int64()))
    return bounds["min"].as_py(), bounds["max"].as_py()


def data_file(file: ParquetFile, spec_id: int) -> DataFile:
    """The manifest entry: bounds of captured_at only (no plate text in metadata).

    split_offsets stays None, or Trino makes one split of every row group.
    """
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=file.uri,
        file_format=FileFormat.PARQUET,
        partition=file.partition.record,
        record_count=file.rows,
        file_size_in_bytes=file.size,
        column_sizes={},
        value_counts={CAPTURED: file.rows},
        null_value_counts={CAPTURED: 0},
        nan_value_counts={},
        lower_bounds={CAPTURED: to_bytes(TimestamptzType(), file.first_captured)},
        upper_bounds={CAPTURED: to_bytes(TimestamptzType(), file.last_captured)},
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=file.sort_order,
        spec_id=spec_id,
    )


def _leaves(schema: pa.Schema) -> Sequence[str]:
    """The columns as Parquet names them."""
    names: list[str] = []
    for field in schema:
        if pa.types.is_struct(field.type):
            names += (f"{field.name}.{child.name}" for child in field.type)
        elif pa.types.is_large_list(field.type):
            names += (f"{field.name}.list.element.{part.name}" for part in field.type.value_type)
        else:
            names.append(field.name)
    return names
