"""The hot list in force in one worker: a snapshot, and the changes since.

Two things move it on without a restart: a new manifest in the store, looked
for every `poll_s`, and messages on the changes topic. A damaged or missing
snapshot is refused, counted, and the one in force stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alpr.errors import Corrupt, Unavailable
from alpr.records import HotlistChange, HotlistEntry
from ingest.hotlists.changes import ChangeFeed
from ingest.hotlists.keys import plate_keys
from ingest.hotlists.snapshot import open_snapshot, read_manifest


class HotlistIndex:
    """Search and keep current; used by one thread."""

    def __init__(
        self,
        store: Path,
        feed: ChangeFeed | None,
        *,
        poll_s: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the list in force and catch up with the changes.

        Raises Unavailable if no list was loaded, Corrupt if the one in force
        is damaged: at the start there is no older one to stay with.
        """
        self._store = store
        self._feed = feed
        self._poll_s = poll_s
        self._clock = clock
        self.refused = 0
        self._refused_version: str | None = None
        self._changes: dict[str, tuple[int, HotlistChange]] = {}
        self._by_key: dict[int, list[HotlistEntry]] = {}
        self._overlay_keys = np.empty(0, np.uint64)
        self._next_change = 0
        self.snapshot = open_snapshot(store, read_manifest(store))
        if feed is not None:
            self._next_change = feed.start(self.snapshot.manifest.changes_offset)
            self._apply(feed.catch_up())
        self._next_look = clock() + poll_s

    @property
    def version(self) -> str:
        """The version that a hit names: the snapshot and the next change to be applied."""
        return f"{self.snapshot.manifest.version}+{self._next_change}"

    @property
    def next_change(self) -> int:
        """Offset of the next change of `hotlist-changes` to be applied."""
        return self._next_change

    @property
    def bad_changes(self) -> int:
        """Changes passed over because they could not be decoded."""
        return self._feed.bad if self._feed is not None else 0

    def __len__(self) -> int:
        """Entries of the snapshot, and entries put by changes (those they replace count twice)."""
        return len(self.snapshot) + sum(len(entries) for entries in self._by_key.values())

    def refresh(self) -> None:
        """Apply the changes that have come; look for a new snapshot every `poll_s`."""
        if self._feed is not None:
            self._apply(self._feed.poll())
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + self._poll_s
        try:
            manifest = read_manifest(self._store)
        except (Corrupt, Unavailable):
            self.refused += 1
            return
        if manifest.version in (self.snapshot.manifest.version, self._refused_version):
            return
        try:
            fresh = open_snapshot(self._store, manifest)
        except Corrupt:
            self.refused += 1
            self._refused_version = manifest.version  # once is enough: it is immutable
            return
        self.snapshot = fresh
        kept = manifest.changes_offset
        self._changes = {k: (o, c) for k, (o, c) in self._changes.items() if o >= kept}
        self._next_change = max(self._next_change, kept)
        self._rebuild()

    def _apply(self, changes: Sequence[tuple[int, HotlistChange]]) -> None:
        # A new snapshot may be ahead of this worker's feed: what it holds is not put on top again.
        news = [(offset, change) for offset, change in changes if offset >= self._next_change]
        if not news:
            return
        for offset, change in news:
            self._changes[change.entry_id] = (offset, change)
            self._next_change = offset + 1
        self._rebuild()

    def _rebuild(self) -> None:
        put = [change.entry for _, change in self._changes.values() if change.entry is not None]
        keys = plate_keys([entry.plate for entry in put])
        self._by_key = {}
        for key, entry in zip(keys.tolist(), put, strict=True):
            self._by_key.setdefault(key, []).append(entry)
        self._overlay_keys = np.unique(keys)

    def search(self, plates: Sequence[str]) -> Iterator[tuple[int, list[HotlistEntry]]]:
        """(index into `plates`, entries with the same match key), where there are any."""
        keys = plate_keys(plates)
        found: dict[int, list[HotlistEntry]] = {}
        for index, first, last in zip(*self.snapshot.ranges(keys), strict=True):
            entries = [self.snapshot.entry(row) for row in range(int(first), int(last))]
            found[int(index)] = [e for e in entries if e.entry_id not in self._changes]
        for index in _members(keys, self._overlay_keys):
            found.setdefault(int(index), []).extend(self._by_key[int(keys[index])])
        for index in sorted(found):
            if found[index]:
                yield index, found[index]


def _members(keys: NDArray[np.uint64], among: NDArray[np.uint64]) -> NDArray[np.intp]:
    if not len(among):
        return np.empty(0, np.intp)
    place = np.minimum(np.searchsorted(among, keys), len(among) - 1)
    return np.flatnonzero(among[place] == keys)
