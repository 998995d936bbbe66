"""The tables of the lake: columns, partitioning, order, properties.

Column names and meanings are those of `alpr.records`; images are not in the rows but in
packs (`catalog.images`), and each row says where it came from (topic, partition, offset).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import NullOrder, SortDirection, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    StringType,
    StructType,
    TimestamptzType,
)

NAMESPACE = "alpr"

CAPTURED, DAY, CLASS, PLATE = 4, 5, 7, 9
"""Field ids that code refers to; the same in every table.

Iceberg numbers a new table's fields itself, top level first: the ids below are those it gives.
"""

PARTITION_DAY, PARTITION_CLASS = "captured_on", "retention_class"

SORTED = 1
"""Sort order id of a file that compaction wrote: by plate, then time of capture."""

PROPERTIES = {
    "format-version": "2",
    # A lost compare-and-swap must come back to the committer: pyiceberg's own retry would
    # silently put a fenced committer's rows on top of its successor's.
    "commit.retry.num-retries": "0",
    # Column bounds of other fields would keep plate text in manifests after deletion.
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.captured_at": "full",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "3",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "50",
    "write.parquet.compression-codec": "zstd",
}


@dataclass(frozen=True)
class TableDef:
    """One table of the lake: name in the namespace, Iceberg schema, and its id column."""

    name: str
    schema: Schema
    id_column: str

    @property
    def identifier(self) -> str:
        """`alpr.reads`: the table's full name in the catalogue."""
        return f"{NAMESPACE}.{self.name}"

    @cached_property
    def arrow(self) -> pa.Schema:
        """The Arrow schema of its files, with Iceberg's field ids."""
        return schema_to_pyarrow(self.schema, include_field_ids=True)


def _field(number: int, name: str, kind: IcebergType, *, required: bool = True) -> NestedField:
    return NestedField(number, name, kind, required=required)


def _image(first: int) -> StructType:
    # Optional inside: Arrow does not write back a missing struct whose fields are required.
    return StructType(
        _field(first, "pack", StringType(), required=False),
        _field(first + 1, "offset", LongType(), required=False),
        _field(first + 2, "length", IntegerType(), required=False),
    )


_CANDIDATE = StructType(_field(29, "plate", StringType()), _field(30, "score", DoubleType()))

READS = TableDef(
    "reads",
    Schema(
        _field(1, "read_id", StringType()),
        _field(2, "agency", StringType()),
        _field(3, "camera", StringType()),
        _field(CAPTURED, "captured_at", TimestamptzType()),
        _field(DAY, "captured_on", DateType()),
        _field(6, "received_at", TimestamptzType()),
        _field(CLASS, "retention_class", StringType()),
        _field(8, "confidence", DoubleType()),
        _field(PLATE, "plate", StringType()),
        _field(10, "plate_raw", StringType()),
        _field(11, "state", StringType(), required=False),
        _field(12, "state_confidence", DoubleType(), required=False),
        _field(13, "candidates", ListType(28, _CANDIDATE, element_required=True)),
        _field(14, "latitude", DoubleType(), required=False),
        _field(15, "longitude", DoubleType(), required=False),
        _field(16, "heading", DoubleType(), required=False),
        _field(17, "source", StringType()),
        _field(18, "source_version", StringType()),
        _field(19, "source_id", StringType()),
        _field(20, "frames", IntegerType()),
        _field(21, "crop", _image(31), required=False),
        _field(22, "overview", _image(34), required=False),
        _field(23, "schema_version", IntegerType()),
        _field(24, "source_topic", StringType()),
        _field(25, "source_partition", IntegerType()),
        _field(26, "source_offset", LongType()),
        _field(27, "landed_at", TimestamptzType()),
    ),
    "read_id",
)

HITS = TableDef(
    "hits",
    Schema(
        _field(1, "hit_id", StringType()),
        _field(2, "agency", StringType()),
        _field(3, "camera", StringType()),
        _field(CAPTURED, "captured_at", TimestamptzType()),
        _field(DAY, "captured_on", DateType()),
        _field(6, "matched_at", TimestamptzType()),
        _field(CLASS, "retention_class", StringType()),
        _field(8, "confidence", DoubleType()),
        _field(PLATE, "plate", StringType()),
        _field(10, "state", StringType(), required=False),
        _field(11, "read_id", StringType()),
        _field(12, "entry_id", StringType()),
        _field(13, "list_version", StringType()),
        _field(14, "entry_plate", StringType()),
        _field(15, "entry_state", StringType(), required=False),
        _field(16, "category", StringType()),
        _field(17, "priority", IntegerType()),
        _field(18, "match", StringType()),
        _field(19, "state_match", StringType()),
        _field(20, "alert", BooleanType()),
        _field(21, "latitude", DoubleType(), required=False),
        _field(22, "longitude", DoubleType(), required=False),
        _field(23, "heading", DoubleType(), required=False),
        _field(24, "schema_version", IntegerType()),
        _field(25, "source_topic", StringType()),
        _field(26, "source_partition", IntegerType()),
        _field(27, "source_offset", LongType()),
        _field(28, "landed_at", TimestamptzType()),
    ),
    "hit_id",
)

TABLES = {table.name: table for table in (READS, HITS)}
"""What the land job writes; `evidence` is made with the first hold."""

EVIDENCE = TableDef(
    "evidence",
    Schema(
        _field(1, "hold_id", StringType()),
        _field(2, "agency", StringType()),
        _field(3, "camera", StringType()),
        _field(CAPTURED, "captured_at", TimestamptzType()),
        _field(DAY, "captured_on", DateType()),
        _field(6, "copied_at", TimestamptzType()),
        _field(CLASS, "retention_class", StringType()),
        _field(8, "kind", StringType()),
        _field(PLATE, "plate", StringType()),
        _field(10, "plate_raw", StringType(), required=False),
        _field(11, "state", StringType(), required=False),
        _field(12, "record_id", StringType()),
        _field(13, "record", StringType()),
        _field(14, "record_sha256", StringType()),
        _field(15, "crop", _image(20), required=False),
        _field(16, "crop_sha256", StringType(), required=False),
        _field(17, "overview", _image(23), required=False),
        _field(18, "overview_sha256", StringType(), required=False),
        _field(19, "source_file", StringType()),
    ),
    "record_id",
)
"""Copies of reads and hits under a hold: the columns one asks by, and the whole row as JSON.

`captured_on`, `retention_class` and `source_file` say where the row lay; `record` is its
canonical JSON (`catalog.retention.copies`), with the SHA-256 of its images in place of them.
"""

EVIDENCE_PARTITIONING = PartitionSpec(
    PartitionField(1, 1000, IdentityTransform(), "hold_id"),
)
"""By hold: its end is the end of its partition."""

PARTITIONING = PartitionSpec(
    PartitionField(DAY, 1000, IdentityTransform(), PARTITION_DAY),
    PartitionField(CLASS, 1001, IdentityTransform(), PARTITION_CLASS),
)
"""By local day of capture and retention class: what ends at the same instant lies together.

The day is the calendar day in the class's time zone (`alpr.retention`), not Iceberg's day
transform, which knows only UTC: the rows of one UTC day would end at two local midnights.
"""

ORDER = SortOrder(
    *(
        SortField(field, IdentityTransform(), SortDirection.ASC, NullOrder.NULLS_FIRST)
        for field in (PLATE, CAPTURED)
    ),
    order_id=SORTED,
)
"""Of compacted files only: one plate's reads lie together and a look-up reads few pages."""
