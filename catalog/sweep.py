"""Orphans: stored files that no snapshot of the table names.

They come from crashes between storing and committing, from rows dropped as duplicates,
from lost races, and from snapshots that expired. A file younger than the age given may
belong to a commit still on its way, and is left alone.

So it is with packs of images that no row points into. None outlives its day: the purge takes
all packs of a day, whoever points into them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow.compute as pc
from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table

from catalog.files import live_files, partition_of, read_rows
from catalog.images import image_folder
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.schemas import READS
from catalog.store import StoredObject
from catalog.swap import look_at

SAFE_AGE = timedelta(hours=24)
"""Longer than any upload waits for its commit. The committer looks whether files that it
was given more than an hour after staging are still there."""


PACK_WINDOW = timedelta(days=7)
"""So far back packs are looked for by default, beyond their age."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Sweep:
    """Orphans found under a table, and of these the ones deleted (or, on a dry run, due).

    Of packs `orphans` counts those that were looked at.
    """

    orphans: int
    deleted: int
    deleted_bytes: int


def sweep(
    lake: Lake,
    table_name: str,
    now: datetime,
    age: timedelta = SAFE_AGE,
    *,
    dry_run: bool = False,
) -> Sweep:
    """Delete the orphans that were written more than `age` before `now`.

    Raises Unavailable if catalogue or store do not answer; what was deleted until then
    was an orphan, so running again is safe.
    """
    found = orphans(lake, table_name)
    due = [item for item in found if item.modified <= now - age]
    if due and not dry_run:
        lake.store.delete(item.uri for item in due)
    return Sweep(len(found), len(due), sum(item.size for item in due))


def sweep_packs(
    lake: Lake,
    now: datetime,
    age: timedelta = SAFE_AGE,
    window: timedelta = PACK_WINDOW,
    *,
    dry_run: bool = False,
) -> Sweep:
    """Delete packs of images that no row points into, written in `window` before `age` ago.

    Reads which packs the rows name, of those days only that have such packs; days of capture
    from before the window (late uploads) are left to the purge. Raises as `sweep`, and Corrupt
    if a file of rows is not whole.
    """
    newest = now - age
    oldest = newest - window
    examined = 0
    due: list[StoredObject] = []
    for partition in _pack_partitions(lake, oldest.date() - timedelta(days=1)):
        folder = image_folder(partition.retention_class, partition.date)
        packs = [
            item
            for item in lake.store.list(f"{lake.config.warehouse}/{folder}")
            if oldest <= item.modified <= newest
        ]
        if not packs:
            continue
        # First list, then ask what is named: a row committed in between is then known.
        named = look_at(lake, READS.name, lambda table, p=partition: _named_packs(lake, table, p))  # type: ignore[misc]
        examined += len(packs)
        due += (item for item in packs if item.uri not in named)
    if due and not dry_run:
        lake.store.delete(item.uri for item in due)
    return Sweep(examined, len(due), sum(item.size for item in due))


def orphans(lake: Lake, table_name: str) -> list[StoredObject]:
    """Every stored file under the table's location that its metadata does not name."""
    location = lake.table(table_name).location()
    # First list, then ask what is named: a file committed in between is then known.
    stored = list(lake.store.list(location))
    named = look_at(lake, table_name, lambda table: set(referenced(table)))
    return [item for item in stored if item.uri not in named]


def metadata_of(table: Table) -> set[str]:
    """The metadata files, manifest lists and manifests that a table names; none is opened twice."""
    named = {table.metadata_location, *(e.metadata_file for e in table.metadata.metadata_log)}
    for snapshot in table.metadata.snapshots:
        named.add(snapshot.manifest_list)
        named.update(manifest.manifest_path for manifest in snapshot.manifests(table.io))
    return named


def referenced(table: Table) -> Iterator[str]:
    """Every file that the table's metadata names, in all of its snapshots."""
    yield table.metadata_location
    for entry in table.metadata.metadata_log:
        yield entry.metadata_file
    seen: set[str] = set()
    for snapshot in table.metadata.snapshots:
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in seen:
                continue
            seen.add(manifest.manifest_path)
            yield manifest.manifest_path
            for item in manifest.fetch_manifest_entry(table.io, discard_deleted=False):
                if item.status != ManifestEntryStatus.DELETED:
                    yield item.data_file.file_path


def _pack_partitions(lake: Lake, first: date) -> Iterator[Partition]:
    images = f"{lake.config.warehouse}/images"
    for name in lake.store.folders(images):
        for folder in lake.store.folders(f"{images}/{name}"):
            day = date.fromisoformat(folder.removeprefix("day="))
            if day >= first:
                yield Partition((day - _EPOCH).days, name.removeprefix("class="))


def _named_packs(lake: Lake, table: Table, partition: Partition) -> set[str]:
    """The packs that the rows of a partition point into."""
    named: set[str] = set()
    for file in live_files(table, partition.day):
        if partition_of(file) == partition:
            rows = read_rows(lake, file.file_path, ["crop.pack", "overview.pack"])
            for column in rows.columns:
                packs = pc.unique(pc.struct_field(column, "pack")).drop_null().to_pylist()
                named.update(f"{lake.config.warehouse}/{pack}" for pack in packs)
    return named
