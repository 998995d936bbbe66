"""From which day on a table holds rows: a property a retention class, moved only by the purge.

It changes in the swap that takes the partitions out, so the committer can never put a row back
into a day that has been purged: whichever of the two comes second sees the other's change.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from pyiceberg.table import Table

from catalog.parquet import Partition

_PREFIX = "platelake.cutoff."

Cutoffs = Mapping[str, date]
"""Per retention class the first local day of capture that the table may hold."""


def read_cutoffs(table: Table) -> dict[str, date]:
    """The cut-offs of a loaded table; a class that was never purged has none."""
    return {
        name.removeprefix(_PREFIX): date.fromisoformat(value)
        for name, value in table.properties.items()
        if name.startswith(_PREFIX)
    }


def as_properties(cutoffs: Cutoffs) -> dict[str, str]:
    """Cut-offs as table properties."""
    return {f"{_PREFIX}{name}": day.isoformat() for name, day in cutoffs.items()}


def is_cut_off(partition: Partition, cutoffs: Cutoffs) -> bool:
    """Whether a partition lies before the cut-off of its class."""
    cutoff = cutoffs.get(partition.retention_class)
    return cutoff is not None and partition.date < cutoff
