"""Orphans: stored files that no snapshot of the table names.

They come from crashes between storing and committing, from rows dropped as duplicates,
from lost races, and from snapshots that expired. A file younger than the age given may
belong to a commit still on its way, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pyiceberg.manifest import ManifestEntryStatus
from pyiceberg.table import Table

from catalog.lake import Lake
from catalog.store import StoredObject
from catalog.swap import look_at

SAFE_AGE = timedelta(hours=24)
"""Longer than any upload waits for its commit. The committer looks whether files that it
was given more than an hour after staging are still there."""


@dataclass(frozen=True)
class Sweep:
    """Orphans found under a table, and of these the ones deleted (or, on a dry run, due)."""

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
