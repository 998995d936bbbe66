"""A hot list as it is in force: is each entry what it must be, and is the list fresh?

An entry that is wrong stops people: this looks at the snapshot that the jobs match against, not
at the files it came from. Pages and findings hold counts and names of sources only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from expectations.checkpoint import MAX_ROWS, run, run_numbers
from expectations.findings import Outcome
from expectations.suites import Limits, list_suites


@dataclass(frozen=True)
class HotList:
    """The entries in force, columns as `ingest.hotlists.snapshot` has them, and their version."""

    version: str
    built_at: datetime
    entries: pa.Table


def check_list(
    listed: HotList, limits: Limits, now: datetime, pages: Path | None = None
) -> Iterator[Outcome]:
    """Check entries, in parts of MAX_ROWS (entries of a plate lie together), then the sources."""
    suite, _ = list_suites(limits)
    rows = _plain(listed.entries)
    for number, first in enumerate(range(0, rows.num_rows, MAX_ROWS), start=1):
        part = f"{listed.version}-{number}"
        yield run(suite, rows.slice(first, MAX_ROWS), {}, now, part, pages)
    yield check_sources(listed, limits, now, pages)


def check_sources(
    listed: HotList, limits: Limits, now: datetime, pages: Path | None = None
) -> Outcome:
    """Check the numbers of each source: how much of it is over, how old the list is."""
    _, suite = list_suites(limits)
    rows = listed.entries
    over = pc.fill_null(
        pc.less_equal(rows["valid_to"], pa.scalar(now, rows["valid_to"].type)), False
    )
    counted = (
        pa.table({"source": rows["source"].cast(pa.string()), "over": over.cast(pa.int64())})
        .group_by("source")
        .aggregate([("over", "count"), ("over", "mean")])
        .sort_by("source")
    )
    age_h = (now - listed.built_at).total_seconds() / 3600
    numbers = pa.table(
        {
            "subject": counted["source"],
            "entries": counted["over_count"],
            "expired": counted["over_mean"],
            "age_h": pa.array([age_h] * counted.num_rows, pa.float64()),
        }
    )
    return run_numbers(suite, numbers, listed.version, pages)


def _plain(entries: pa.Table) -> pa.Table:
    """Dictionaries as the texts they stand for, and nothing that no rule looks at."""
    wanted = entries.select([name for name in entries.column_names if name != "key"])
    for place, field in enumerate(wanted.schema):
        if pa.types.is_dictionary(field.type):
            wanted = wanted.set_column(place, field.name, wanted[field.name].cast(pa.string()))
    return wanted
