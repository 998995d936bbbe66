"""The table `evidence`: made with the first hold, partitioned by hold."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
from pyiceberg.conversions import to_bytes
from pyiceberg.exceptions import TableAlreadyExistsError
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table import Table
from pyiceberg.typedef import Record
from pyiceberg.types import TimestamptzType

from alpr.errors import ConfigurationError
from catalog.files import live_files, read_rows
from catalog.lake import Lake
from catalog.parquet import COMPACTED_LEVEL, captured_bounds, encode
from catalog.schemas import CAPTURED, EVIDENCE, EVIDENCE_PARTITIONING, NAMESPACE, PROPERTIES
from catalog.swap import look_at

FOLDER = "evidence"
"""Where the image packs of all holds lie, below the warehouse."""

Row = dict[str, Any]
"""One copy, by the column names of `catalog.schemas.EVIDENCE`."""


def ensure_table(lake: Lake) -> None:
    """Make the table if it is missing. Raises ConfigurationError if it is another version's."""
    if not lake.catalog.table_exists(EVIDENCE.identifier):
        with suppress(TableAlreadyExistsError):  # another hold was faster
            lake.catalog.create_table(
                EVIDENCE.identifier,
                EVIDENCE.schema,
                location=_location(lake),
                partition_spec=EVIDENCE_PARTITIONING,
                properties=PROPERTIES,
            )
    if lake.table(EVIDENCE.name).schema().as_struct() != EVIDENCE.schema.as_struct():
        raise ConfigurationError(
            f"table {EVIDENCE.identifier} has other columns than this version writes: "
            "it was made by another version"
        )


def files_of(table: Table, hold_id: str) -> list[DataFile]:
    """The files with a hold's copies."""
    return [file for file in live_files(table) if file.partition[0] == hold_id]


def rows_of(lake: Lake, hold_id: str) -> list[Row]:
    """The copies of a hold, by time of capture; none if there is no such table yet."""
    if not lake.catalog.table_exists(EVIDENCE.identifier):
        return []

    def look(table: Table) -> list[Row]:
        rows: list[Row] = []
        for file in files_of(table, hold_id):
            rows += read_rows(lake, file.file_path).to_pylist()
        return rows

    rows = look_at(lake, EVIDENCE.name, look)
    return sorted(rows, key=lambda row: (row["captured_at"], row["kind"], row["record_id"]))


def write_file(lake: Lake, hold_id: str, rows: Sequence[Row], name: str) -> DataFile:
    """Store copies as one file, which is not in the table yet."""
    data = pa.Table.from_pylist(list(rows), EVIDENCE.arrow)
    encoded = encode(data, COMPACTED_LEVEL)
    uri = f"{_data(lake, hold_id)}/{name}.parquet"
    lake.store.write(uri, encoded)
    first, last = captured_bounds(data)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=uri,
        file_format=FileFormat.PARQUET,
        partition=Record(hold_id),
        record_count=data.num_rows,
        file_size_in_bytes=encoded.size,
        column_sizes={},
        value_counts={CAPTURED: data.num_rows},
        null_value_counts={CAPTURED: 0},
        nan_value_counts={},
        # Of no other column: bounds would leave plate text in manifests.
        lower_bounds={CAPTURED: to_bytes(TimestamptzType(), first)},
        upper_bounds={CAPTURED: to_bytes(TimestamptzType(), last)},
        key_metadata=None,
        split_offsets=None,
        equality_ids=None,
        sort_order_id=None,
        spec_id=EVIDENCE_PARTITIONING.spec_id,
    )


def folders(lake: Lake, hold_id: str) -> tuple[str, str]:
    """Where a hold's image packs and rows lie, and nothing else."""
    return f"{lake.config.warehouse}/{FOLDER}/hold={hold_id}", _data(lake, hold_id)


def stored_holds(lake: Lake) -> set[str]:
    """The holds that have a row or a stored object."""
    found = set()
    if lake.catalog.table_exists(EVIDENCE.identifier):
        found |= look_at(lake, EVIDENCE.name, _holds_of)
    for folder, mark in (
        (f"{lake.config.warehouse}/{FOLDER}", "hold="),
        (f"{_location(lake)}/data", "hold_id="),
    ):
        for item in lake.store.list(folder):
            name = item.uri.removeprefix(f"{folder}/").partition("/")[0]
            if name.startswith(mark):
                found.add(name.removeprefix(mark))
    return found


def _holds_of(table: Table) -> set[str]:
    return {file.partition[0] for file in live_files(table)}


def _location(lake: Lake) -> str:
    return f"{lake.config.warehouse}/{NAMESPACE}/{EVIDENCE.name}"


def _data(lake: Lake, hold_id: str) -> str:
    return f"{_location(lake)}/data/hold_id={hold_id}"
