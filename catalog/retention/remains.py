"""What the store holds of each day, found by address and not by any table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Final

from catalog.cutoffs import Cutoffs, is_cut_off
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.schemas import NAMESPACE, PARTITION_CLASS, PARTITION_DAY
from catalog.store import StoredObject

_EPOCH: Final = date(1970, 1, 1)
_FOLDER: Final = re.compile(rf"/data/{PARTITION_DAY}=([0-9-]+)/{PARTITION_CLASS}=([^/]+)/")


def rows_by_partition(lake: Lake, table_name: str) -> dict[Partition, list[StoredObject]]:
    """Every object under the data of a table, whether the table names it or not."""
    found: dict[Partition, list[StoredObject]] = {}
    for item in lake.store.list(f"{lake.config.warehouse}/{NAMESPACE}/{table_name}/data"):
        if match := _FOLDER.search(item.uri):
            day = date.fromisoformat(match[1])
            found.setdefault(Partition((day - _EPOCH).days, match[2]), []).append(item)
    return found


def image_partitions(lake: Lake, cutoffs: Cutoffs) -> Iterator[Partition]:
    """Every (class, day) before the cut-offs that has a folder of image packs."""
    for retention_class in sorted(cutoffs):
        images = f"{lake.config.warehouse}/images/class={retention_class}"
        for folder in lake.store.folders(images):
            day = date.fromisoformat(folder.removeprefix("day="))
            partition = Partition((day - _EPOCH).days, retention_class)
            if is_cut_off(partition, cutoffs):
                yield partition


def packs_of(
    lake: Lake, partitions: Iterable[Partition]
) -> Iterator[tuple[Partition, StoredObject]]:
    """The image packs of these partitions."""
    for partition in partitions:
        folder = f"class={partition.retention_class}/day={partition.date}"
        for item in lake.store.list(f"{lake.config.warehouse}/images/{folder}"):
            yield partition, item


def rows_of(lake: Lake, table_name: str, partitions: Iterable[Partition]) -> Iterator[StoredObject]:
    """Every object under the data of these partitions."""
    for partition in partitions:
        location = f"{lake.config.warehouse}/{NAMESPACE}/{table_name}"
        yield from lake.store.list(f"{location}/{partition.folder}")
