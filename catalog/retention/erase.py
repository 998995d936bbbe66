"""Old states of a table go, and with them the bytes that only they named."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from pyiceberg.table import Table, Transaction
from pyiceberg.table.update.snapshot import ExpireSnapshots

from catalog.lake import Lake
from catalog.swap import Change, Summary, swap
from catalog.sweep import referenced

FORGET = "forget"
"""An empty append that ends all snapshots before it; it takes no row in or out."""


def forget_history(
    lake: Lake,
    table_name: str,
    operation: str,
    *,
    seen: Callable[[Table], object] = lambda _: None,
    attempts: int = 20,
    sleep: Callable[[float], None] = time.sleep,
) -> Table:
    """End every snapshot but a new, empty one; the table after it.

    The new one is needed: manifests of the last change still list what it deleted. `seen` gets
    the state that is to be forgotten, before it is; what it raises passes through.
    Raises Unavailable as `swap`.
    """

    def decide(table: Table) -> Change:
        seen(table)
        old = [snapshot.snapshot_id for snapshot in table.metadata.snapshots]

        def change(transaction: Transaction, summary: Summary) -> None:
            with transaction.update_snapshot(summary).fast_append():
                pass
            if old:
                ExpireSnapshots(transaction).by_ids(old).commit()

        return change

    return swap(
        lake, table_name, operation, decide, attempts=attempts, sleep=sleep, ends_history=True
    ).table


def delete_unnamed(lake: Lake, table: Table, uris: Collection[str]) -> list[str]:
    """Delete those of these files that no snapshot of the table names; which they were."""
    named = set(referenced(table))
    due = sorted(uri for uri in uris if uri not in named)
    if due:
        lake.store.delete(due)
    return due
