"""What the store holds of days that are closed, found by address and not by any table.

The class is the first folder and the day the second: so only the names of a class's days are
listed, and of the days that are kept nothing else, however many files they have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from catalog.cutoffs import Cutoffs
from catalog.images import image_folder
from catalog.lake import Lake
from catalog.parquet import Partition, class_folder
from catalog.schemas import NAMESPACE, PARTITION_CLASS, PARTITION_DAY
from catalog.store import StoredObject

_EPOCH: Final = date(1970, 1, 1)


def classes_of(lake: Lake, table_name: str) -> set[str]:
    """The classes of which anything is stored under a table, whether it names it or not."""
    return set(_named(lake, f"{_location(lake, table_name)}/data", PARTITION_CLASS))


def row_partitions(lake: Lake, table_name: str, cutoffs: Cutoffs) -> Iterator[Partition]:
    """Every partition before the cut-offs with anything under the data of a table."""
    for name, cutoff in sorted(cutoffs.items()):
        days = f"{_location(lake, table_name)}/{class_folder(name)}"
        yield from _before(_named(lake, days, PARTITION_DAY), cutoff, name)


def image_partitions(lake: Lake, cutoffs: Cutoffs) -> Iterator[Partition]:
    """Every (class, day) before the cut-offs that has a folder of image packs."""
    for name, cutoff in sorted(cutoffs.items()):
        days = f"{lake.config.warehouse}/images/class={name}"
        yield from _before(_named(lake, days, "day"), cutoff, name)


def packs_of(
    lake: Lake, partitions: Iterable[Partition]
) -> Iterator[tuple[Partition, StoredObject]]:
    """The image packs of these partitions."""
    for partition in partitions:
        folder = image_folder(partition.retention_class, partition.date)
        for item in lake.store.list(f"{lake.config.warehouse}/{folder}"):
            yield partition, item


def rows_of(lake: Lake, table_name: str, partitions: Iterable[Partition]) -> Iterator[StoredObject]:
    """Every object under the data of these partitions."""
    for partition in partitions:
        yield from lake.store.list(f"{_location(lake, table_name)}/{partition.folder}")


def partition_in(uri: str) -> Partition | None:
    """The class and day in an address of rows or images; None if it names none."""
    named = dict(part.split("=", 1) for part in uri.split("/") if "=" in part)
    day = named.get(PARTITION_DAY, named.get("day"))
    name = named.get(PARTITION_CLASS, named.get("class"))
    if day is None or name is None:
        return None
    return Partition((date.fromisoformat(day) - _EPOCH).days, name)


def _location(lake: Lake, table_name: str) -> str:
    return f"{lake.config.warehouse}/{NAMESPACE}/{table_name}"


def _named(lake: Lake, prefix: str, key: str) -> Iterator[str]:
    """The values of the folders KEY=VALUE right under a folder, in their order."""
    for folder in lake.store.folders(prefix):
        name, _, value = folder.partition("=")
        if name == key:
            yield value


def _before(days: Iterable[str], cutoff: date, name: str) -> Iterator[Partition]:
    for value in days:
        day = date.fromisoformat(value)
        if day >= cutoff:
            return
        yield Partition((day - _EPOCH).days, name)
