"""The index is kept up with the table: a block is made anew when one of its closed days changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from catalog.cutoffs import is_cut_off
from catalog.lake import Lake
from catalog.lookup.index import Block, block_of, build, delete_superseded
from catalog.lookup.view import View, files_by_partition
from catalog.retention.lock import held

LOCK = "index"

_EPOCH = date(1970, 1, 1)


def refresh_index(
    lake: Lake,
    today: date,
    owner: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> list[Block]:
    """Index what is not covered, of days before yesterday; the blocks that were made.

    Younger days still get files all the time; a look-up reads those themselves. Raises
    Unavailable if another process is at it, or catalogue or store do not answer.
    """
    with held(lake, LOCK, owner, now) as lock, View(lake) as view:
        delete_superseded(lake)
        closed = (today - timedelta(days=1) - _EPOCH).days
        files = {
            partition: uris
            for partition, uris in files_by_partition(view.files).items()
            if partition.day < closed and not is_cut_off(partition, view.cutoffs)
        }
        _, bare = view.covered(file for file in view.files if file.partition in files)
        stale = {(file.partition.retention_class, block_of(file.partition.day)) for file in bare}
        made = []
        for retention_class, number in sorted(stale):
            lock.renew()
            own = {
                partition.day: uris
                for partition, uris in files.items()
                if (partition.retention_class, block_of(partition.day)) == (retention_class, number)
            }
            block = build(lake, retention_class, number, own, view.block(retention_class, number))
            made += [] if block is None else [block]
        return made
