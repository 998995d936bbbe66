"""Holds that are still to be copied: properties of the table, so that no purge overtakes them.

A hold first registers the partitions that its records lie in, in a swap of the table. Whatever
takes rows out (the purge, a rewrite) looks at the registrations of the very state that it swaps
against, and leaves such partitions alone: whichever of the two comes second sees the other.
The registration is taken away in a swap once the copies have been read back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date

from pyiceberg.table import Table

from alpr.errors import Corrupt
from catalog.parquet import Partition

_PREFIX = "platelake.hold."
_EPOCH = date(1970, 1, 1)


def pending_holds(table: Table) -> dict[str, frozenset[Partition]]:
    """Per hold that is still to be copied the partitions that must stay, of a loaded table.

    Raises Corrupt if a registration cannot be read: nothing may go then.
    """
    return {
        name.removeprefix(_PREFIX): _partitions(name, value)
        for name, value in table.properties.items()
        if name.startswith(_PREFIX)
    }


def pinned(table: Table) -> frozenset[Partition]:
    """Every partition that some hold is still to copy from."""
    return frozenset().union(*pending_holds(table).values())


def as_property(hold_id: str, partitions: Iterable[Partition]) -> Mapping[str, str]:
    """The registration of a hold, as a table property."""
    return {
        property_of(hold_id): json.dumps(
            [f"{each.date}/{each.retention_class}" for each in sorted(partitions)]
        )
    }


def property_of(hold_id: str) -> str:
    """The name of the property that registers a hold."""
    return f"{_PREFIX}{hold_id}"


def _partitions(name: str, value: str) -> frozenset[Partition]:
    try:
        parts = [text.partition("/") for text in json.loads(value)]
        return frozenset(
            Partition((date.fromisoformat(day) - _EPOCH).days, retention_class)
            for day, _, retention_class in parts
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise Corrupt(
            f"table property {name} must list DAY/CLASS, not {value!r}: nothing is taken out of "
            "the table until it does"
        ) from error
