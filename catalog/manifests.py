"""How a table's files are listed: in few, small manifests, each of one retention class.

Iceberg's own way of merging makes one large manifest of all days and classes, which a purge of
any day reads and writes anew: its time then grows with what is kept. Here a manifest that is
written again is split by class and ordered by day, and is never longer than MAX_FILES. A purge
reads the few that hold the day it takes out, found by the bounds in the manifest list.

Files that are taken out leave no entry behind: Iceberg would note them as deleted, with their
bounds, in a manifest that stays until the next append.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pyiceberg.manifest import (
    DataFile,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
)
from pyiceberg.table import Transaction
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _SnapshotProducer

from alpr.errors import Corrupt
from catalog.files import partition_of
from catalog.parquet import Partition

MAX_FILES: Final = 256
"""Files in one manifest at most: about 30 kB. A purge reads and writes one such manifest for each
class; with 1,000 files in each it took twice as long beside 10,000 files (`bench.purge`)."""

MERGE_AT: Final = 50
"""So many manifests below half of MAX_FILES (but one for each class) are merged."""


@dataclass(frozen=True)
class Span:
    """Which partitions a manifest may list: bounds of their days and classes, both included."""

    first_day: int
    last_day: int
    first_class: str
    last_class: str

    @property
    def only_class(self) -> str | None:
        """The class of all its files, if it is one."""
        return self.first_class if self.first_class == self.last_class else None

    def may_hold(self, partition: Partition) -> bool:
        """Whether a file of this partition can be in it."""
        return (
            self.first_day <= partition.day <= self.last_day
            and self.first_class <= partition.retention_class <= self.last_class
        )


def span_of(manifest: ManifestFile) -> Span | None:
    """The bounds in the manifest list, without reading the manifest; None: it may list anything."""
    if not manifest.partitions or len(manifest.partitions) != 2:
        return None
    day, name = manifest.partitions
    bounds = (day.lower_bound, day.upper_bound, name.lower_bound, name.upper_bound)
    if any(bound is None for bound in bounds):
        return None
    days = [int.from_bytes(bound or b"", "little", signed=True) for bound in bounds[:2]]
    names = [(bound or b"").decode() for bound in bounds[2:]]
    return Span(days[0], days[1], names[0], names[1])


def change_files(
    transaction: Transaction,
    summary: dict[str, str],
    *,
    add: Sequence[DataFile] = (),
    remove: Sequence[DataFile] = (),
    split: bool = False,
) -> None:
    """One snapshot that takes files in and out of a table partitioned by (day, class).

    `split`: also write anew every manifest that lists more than one class, so that whoever
    looks for the old days of one class need not read those of another. There are few: those of
    the newest appends. Raises Corrupt if a file to be taken out is not in the table; nothing is
    changed then.
    """
    producer = _Clustered(
        operation=(
            Operation.APPEND if not remove else Operation.OVERWRITE if add else Operation.DELETE
        ),
        transaction=transaction,
        io=transaction._table.io,
        snapshot_properties=summary,
    )
    producer.split = split
    for file in add:
        producer.append_data_file(file)
    for file in remove:
        producer.delete_data_file(file)
    producer.commit()


class _Clustered(_SnapshotProducer["_Clustered"]):
    """A snapshot whose manifests are split as the module says.

    pyiceberg has no public way to say which manifests a snapshot has. What is overridden here is
    the one method that makes the list of them; its release is pinned, and the lake's contract
    tests read every table with a second engine.
    """

    split = False

    def _deleted_entries(self) -> list[ManifestEntry]:
        return []

    def _existing_manifests(self) -> list[ManifestFile]:
        return []

    def _validate_concurrency(self) -> None:
        """Nothing: whoever loses the swap decides anew (`catalog.swap`)."""

    def _manifests(self) -> list[ManifestFile]:
        removed = {file.file_path: partition_of(file) for file in self._deleted_data_files}
        partitions = set(removed.values())
        untouched: list[ManifestFile] = []
        entries: list[ManifestEntry] = []
        taken: set[DataFile] = set()
        for manifest in self._current():
            span = span_of(manifest)
            mixed = span is None or span.only_class is None
            if (self.split and mixed) or _may_hold(span, partitions):
                found = self._live(manifest)
                kept = [each for each in found if each.data_file.file_path not in removed]
                if len(kept) < len(found) or (self.split and mixed):
                    entries += kept
                    for entry in found:
                        if removed.pop(entry.data_file.file_path, None) is not None:
                            taken.add(entry.data_file)
                    continue
            untouched.append(manifest)
        if removed:
            raise Corrupt(
                f"{len(removed)} files that are to be taken out are not in the table, "
                f"{min(removed)} the first"
            )
        self._deleted_data_files = taken  # as the table has them: for the summary
        small = [manifest for manifest in untouched if _files(manifest) < MAX_FILES // 2]
        if len(small) - len(_classes(small)) >= MERGE_AT:
            untouched = [manifest for manifest in untouched if manifest not in small]
            for manifest in small:
                entries += self._live(manifest)
        return [*self._added(), *self._written(entries), *untouched]

    def _current(self) -> Iterator[ManifestFile]:
        metadata = self._transaction.table_metadata
        parent = (
            metadata.snapshot_by_id(self._parent_snapshot_id)
            if self._parent_snapshot_id is not None
            else None
        )
        for manifest in parent.manifests(self._io) if parent is not None else ():
            if manifest.content != ManifestContent.DATA:
                raise Corrupt(f"{manifest.manifest_path} lists deletes, which nothing here writes")
            if _files(manifest):  # else it only says what an earlier snapshot took out
                yield manifest

    def _live(self, manifest: ManifestFile) -> list[ManifestEntry]:
        return self.fetch_manifest_entry(manifest, discard_deleted=True)

    def _added(self) -> list[ManifestFile]:
        if not self._added_data_files:
            return []
        with self.new_manifest_writer(self._transaction.table_metadata.spec()) as writer:
            for file in self._added_data_files:
                writer.add_entry(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.ADDED,
                        snapshot_id=self._snapshot_id,
                        sequence_number=None,
                        file_sequence_number=None,
                        data_file=file,
                    )
                )
        return [writer.to_manifest_file()]

    def _written(self, entries: Iterable[ManifestEntry]) -> list[ManifestFile]:
        """Manifests of entries that were in the table before."""
        groups: dict[tuple[int, str], list[ManifestEntry]] = {}
        for entry in entries:
            file = entry.data_file
            groups.setdefault((file.spec_id, file.partition[1]), []).append(entry)
        written = []
        for (spec_id, _), group in sorted(groups.items(), key=lambda item: item[0]):
            group.sort(key=lambda entry: (entry.data_file.partition[0], entry.data_file.file_path))
            for first in range(0, len(group), MAX_FILES):
                with self.new_manifest_writer(self.spec(spec_id)) as writer:
                    for entry in group[first : first + MAX_FILES]:
                        writer.add_entry(
                            ManifestEntry.from_args(
                                status=ManifestEntryStatus.EXISTING,
                                snapshot_id=entry.snapshot_id,
                                sequence_number=entry.sequence_number,
                                file_sequence_number=entry.file_sequence_number,
                                data_file=entry.data_file,
                            )
                        )
                written.append(writer.to_manifest_file())
        return written


def _may_hold(span: Span | None, partitions: Collection[Partition]) -> bool:
    return bool(partitions) and (span is None or any(map(span.may_hold, partitions)))


def _files(manifest: ManifestFile) -> int:
    """How many files of the table it lists."""
    return (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)


def _classes(manifests: Iterable[ManifestFile]) -> set[str]:
    """The classes of those that list one class only."""
    spans = (span_of(manifest) for manifest in manifests)
    return {name for span in spans if span is not None and (name := span.only_class) is not None}
