"""The hot list as one immutable file that every worker maps into memory.

Layout of a store (a folder):

    snapshots/<version>.arrow   Arrow IPC file, one record batch, rows sorted by `key`
    snapshots/<version>.sieve   which keys are surely not in it (`ingest.hotlists.sieve`)
    current.json                which snapshot is in force; replaced atomically

Workers of one machine share the file's pages; a search is a binary search in
the `key` column and makes Python objects only for what it finds.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import crc32c
import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta
from numpy.typing import NDArray

from alpr.errors import Corrupt, Unavailable
from alpr.records import HotlistEntry, Instant
from ingest.hotlists import sieve
from ingest.hotlists.table import SCHEMA as SCHEMA  # whoever opens a snapshot finds it here
from ingest.hotlists.table import EntryReader, Pile, by_key, from_entries, upgraded


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The load of a source that is in force."""

    layout: str
    settings: str
    """Digest of layout and settings: with others the same file would give other entries."""
    mode: Literal["complete", "incremental", "remove"]
    origin: str
    """File or address, without what an address may carry as a secret."""
    content: str
    """SHA-256 of the file."""
    etag: str | None = None
    last_modified: str | None = None
    issued: Instant | None = None
    """When the source says that it made the list."""
    loaded_at: Instant
    entries: int
    categories: dict[str, int] = {}
    rejected: dict[str, int] = {}
    unknown: dict[str, int] = {}
    """Letters without a meaning, and how many rows had them."""
    dropped: dict[str, int] = {}
    """Fields that could not be used, of rows that were kept."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Which snapshot is in force (`current.json`)."""

    version: Annotated[str, Meta(pattern=r"^[0-9TZ]{16,23}-[0-9a-f]{8}$")]
    built_at: Instant
    entries: int
    size: int
    """Bytes of the snapshot file."""
    crc32c: int
    """Checksum of the snapshot file."""
    changes_offset: int
    """Changes below this offset of `hotlist-changes` are in the snapshot."""
    sieve_crc32c: int | None = None
    """Checksum of the sieve's file; None where there is none."""
    sources: dict[str, Loaded] = {}
    """What was loaded from each source."""


class Snapshot:
    """An open snapshot: memory-mapped, read-only, safe to share between threads."""

    def __init__(
        self,
        manifest: Manifest,
        table: pa.RecordBatch,
        sifted: NDArray[np.uint64] | None = None,
        mapped: mmap.mmap | None = None,
    ) -> None:
        self.manifest = manifest
        self._table = table
        self._sieve = sifted
        self._mapped = mapped
        self._entries: EntryReader | None = None
        self.keys: NDArray[np.uint64] = table.column("key").to_numpy(zero_copy_only=True)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def rows(self) -> pa.RecordBatch:
        """All entries as columns (SCHEMA), for checks of the list as a whole."""
        return self._table

    def unload(self) -> None:
        """Let go of the pages in memory: who needs one again reads it again."""
        if self._mapped is not None:
            self._mapped.madvise(mmap.MADV_DONTNEED)

    def ranges(
        self, keys: NDArray[np.uint64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """For the k keys that occur: index into `keys`, first row, row after the last."""
        if not len(self):
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.intp)
        maybe = np.arange(len(keys)) if self._sieve is None else sieve.passing(self._sieve, keys)
        left = keys[maybe]
        first = np.searchsorted(self.keys, left, side="left")
        there = np.flatnonzero(self.keys[np.minimum(first, len(self) - 1)] == left)
        first, left = first[there], left[there]
        last = first + 1
        # Most plates are listed once: one look at the next key, which the first look brought along.
        more = np.flatnonzero(self.keys[np.minimum(last, len(self) - 1)] == left)
        more = more[last[more] < len(self)]
        if len(more):
            last[more] = np.searchsorted(self.keys, left[more], side="right")
        return maybe[there], first, last

    def entry(self, row: int) -> HotlistEntry:
        """The entry of one row."""
        if self._entries is None:
            self._entries = EntryReader(self._table)
        return self._entries.entry(row)


def write_snapshot(
    store: Path, entries: Iterable[HotlistEntry], built_at: datetime, changes_offset: int
) -> Manifest:
    """Write a snapshot of these entries and put it in force, atomically and durably; its manifest.

    An entry id that occurs twice keeps its last entry.
    """
    unique = {entry.entry_id: entry for entry in entries}
    return write_batch(store, from_entries(list(unique.values())), built_at, changes_offset)


def write_batch(
    store: Path,
    batch: pa.RecordBatch,
    built_at: datetime,
    changes_offset: int,
    sources: dict[str, Loaded] | None = None,
) -> Manifest:
    """The same with entries in columns (`table.SCHEMA`), each id once, in any order."""
    keys = batch.column("key").to_numpy()
    if np.any(keys[1:] < keys[:-1]):
        batch = Pile([batch]).take(by_key(keys))
    folder = store / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".partial-{os.getpid()}"
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        writer.write_batch(batch)
    checksum = _checksum(partial)
    sifted = folder / f".partial-{os.getpid()}-sieve"
    sieve.build(batch.column("key").to_numpy()).astype("<u8", copy=False).tofile(sifted)
    manifest = Manifest(
        version=f"{built_at:%Y%m%dT%H%M%S%fZ}-{checksum:08x}",
        built_at=built_at,
        entries=batch.num_rows,
        size=partial.stat().st_size,
        crc32c=checksum,
        changes_offset=changes_offset,
        sieve_crc32c=_checksum(sifted),
        sources=sources or {},
    )
    for made, suffix in ((sifted, "sieve"), (partial, "arrow")):
        _sync(made)
        made.replace(folder / f"{manifest.version}.{suffix}")
    _sync(folder)
    _publish(store, manifest)
    return manifest


def _publish(store: Path, manifest: Manifest) -> None:
    partial = store / f".current-{os.getpid()}.json"
    partial.write_bytes(msgspec.json.encode(manifest))
    _sync(partial)
    partial.replace(store / "current.json")
    _sync(store)


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a loss of power."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _checksum(path: Path) -> int:
    # Read, not mapped: the pages stay the kernel's, and one small buffer is enough.
    checksum, buffer = 0, memoryview(bytearray(1 << 20))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            checksum = crc32c.crc32c(buffer[:size], checksum)
    return checksum


def read_manifest(store: Path) -> Manifest:
    """The manifest in force. Raises Unavailable if no list was ever loaded, Corrupt if damaged."""
    path = store / "current.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise Unavailable(
            f"a hot list was required in {store}, none was loaded there: "
            "load one with `platelake hotlist load`"
        ) from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} is not a hot-list manifest: {error}") from error


def open_snapshot(store: Path, manifest: Manifest) -> Snapshot:
    """Map the manifest's snapshot into memory, after checking every byte. Raises Corrupt."""
    path = store / "snapshots" / f"{manifest.version}.arrow"
    try:
        size = path.stat().st_size
        checksum = _checksum(path)
        if (size, checksum) != (manifest.size, manifest.crc32c):
            raise Corrupt(
                f"{path.name} should have {manifest.size} bytes with checksum "
                f"{manifest.crc32c:08x}, and has {size} with {checksum:08x}: load the list again"
            )
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(mapped))
        batch = (
            reader.get_batch(0)
            if reader.num_record_batches
            else pa.RecordBatch.from_pylist([], schema=reader.schema)
        )
        if reader.schema != SCHEMA:
            batch = upgraded(batch)
        if batch is None:
            raise Corrupt(f"{path.name} has another layout than this version reads")
        sifted = _open_sieve(path.with_suffix(".sieve"), manifest)
    except (OSError, pa.ArrowException) as error:
        raise Corrupt(f"{path.name} cannot be read: {error}") from error
    return Snapshot(manifest, batch, sifted, mapped)


def _open_sieve(path: Path, manifest: Manifest) -> NDArray[np.uint64] | None:
    if manifest.sieve_crc32c is None:
        return None  # written by an earlier version
    if _checksum(path) != manifest.sieve_crc32c:
        raise Corrupt(f"{path.name} has not the checksum it should have: load the list again")
    return np.memmap(path, dtype="<u8", mode="r").view(np.ndarray)
