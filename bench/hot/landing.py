"""Reads to a Parquet file, and a file into the lake."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from bench.hot import Ways
from bench.traffic import make_messages

_ROWS: Final = 20_000
_COMMIT_ROWS: Final = 500
_COMMITS: Final = 300


def _reads(number: int) -> list[Any]:
    from ingest.codecs import decode_read

    return [decode_read(value) for value in make_messages(1, number, 0.0).values]


def _ours() -> tuple[Callable[[], object], int]:
    from catalog.parquet import STAGED_LEVEL, encode
    from catalog.rows import Origin, reads_to_arrow

    reads, now = _reads(_ROWS), datetime.now(UTC)
    origin = Origin("reads", 0, range(_ROWS))
    return lambda: encode(reads_to_arrow(reads, origin, now), STAGED_LEVEL), _ROWS


def _pandas() -> tuple[Callable[[], object], int]:
    import msgspec
    import pandas as pd

    reads, now = _reads(_ROWS), datetime.now(UTC)

    def work() -> bytes:
        frame = pd.DataFrame([msgspec.structs.asdict(read) for read in reads])
        frame["candidates"] = pd.Series(
            [[{"plate": c.plate, "score": c.score} for c in read.candidates] for read in reads]
        )
        frame = frame.assign(
            source_topic="reads", source_partition=0, source_offset=range(_ROWS), landed_at=now
        )
        file = io.BytesIO()
        frame.to_parquet(file, engine="pyarrow", compression="zstd", index=False)
        return file.getvalue()

    return work, _ROWS


def _pylist() -> tuple[Callable[[], object], int]:
    import msgspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    reads = _reads(_ROWS)

    def work() -> pa.Buffer:
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pylist([msgspec.to_builtins(read) for read in reads])
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()

    return work, _ROWS


def _commit() -> tuple[Callable[[], object], int]:
    from catalog.commit import Committer
    from catalog.config import LakeConfig
    from catalog.lake import Lake
    from catalog.rows import Origin
    from catalog.staging import OffsetRange, stage_reads

    folder = tempfile.TemporaryDirectory(prefix="platelake-bench-")
    lake = Lake(LakeConfig(f"sqlite:///{folder.name}/catalog.db", f"file://{folder.name}/lake"))
    lake.init()
    committer = Committer(lake, "reads")
    reads = _reads(_COMMITS * _COMMIT_ROWS)
    begins = iter(range(0, len(reads), _COMMIT_ROWS))

    def work(_keep: object = folder) -> object:
        first = next(begins)
        end = first + _COMMIT_ROWS
        group = stage_reads(
            lake,
            reads[first:end],
            Origin("reads", 0, range(first, end)),
            [OffsetRange("reads", 0, first, end)],
            datetime.now(UTC),
        )
        return committer.commit([group])

    return work, 1


STEPS: Final[tuple[tuple[str, str, Ways], ...]] = (
    (
        "rows to Parquet",
        "read",
        {"a column at a time": _ours, "pandas": _pandas, "Table.from_pylist": _pylist},
    ),
    ("commit", "commit of 500 reads", {"stage and commit": _commit}),
)
