"""Carrying out what a contributing agency orders, to the last byte, whatever is killed.

Every step can be taken again: rows that are where they are to be are left alone, and what each
swap leaves to delete was written down before it. An order is finished once its old states, its
files and its packs are gone; what is too young to be told from an upload under way is looked at
again by the next run.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.table import Table

from alpr.errors import BadInput, Corrupt
from alpr.orders import (
    Action,
    Began,
    Finished,
    Handed,
    Intended,
    Order,
    OrderEvent,
    OrderState,
    Rewrote,
    Swept,
    checked_order,
    fold_order,
)
from alpr.retention import Kind
from catalog.files import live_files, partition_of, read_rows
from catalog.images import image_folder
from catalog.lake import Lake
from catalog.lookup.index import drop_partition
from catalog.offsets import Source, read_offsets
from catalog.parquet import Partition
from catalog.retention.erase import delete_unnamed, forget_history
from catalog.retention.events import DATA_EVENTS, Log
from catalog.retention.evidence import complete_pending, hold_log
from catalog.retention.evidence_table import rows_of, stored_holds
from catalog.retention.remains import rows_of as stored_rows
from catalog.retention.rewrite import (
    REWRITE,
    Held,
    Target,
    packs_named,
    rewrite_partition,
    target_columns,
    targets_of,
)
from catalog.schemas import HITS, READS, TABLES
from catalog.store import StoredObject
from catalog.swap import look_at
from catalog.sweep import SAFE_AGE, referenced

KIND_OF: Mapping[str, Kind] = {READS.name: "read", HITS.name: "hit"}

_EPOCH = date(1970, 1, 1)
_CLOCKS = timedelta(minutes=5)
"""By how much the store's clock may be behind ours."""

OnPartition = Callable[[Lake, str, Partition], object]
"""Told each partition whose rows changed, so that what was made of them can be made anew."""


def _forget_plates(lake: Lake, table_name: str, partition: Partition) -> None:
    """The index of plates must not remember what is not there any more."""
    if table_name == READS.name:
        drop_partition(lake, partition)


def finish_orders(
    lake: Lake, now: datetime, *, sleep: Callable[[float], None] = time.sleep
) -> list[OrderState]:
    """Go on with every unfinished move and removal; raises as `Orders.finish`."""
    return Orders(lake, lambda: now, sleep=sleep).finish()


class Orders:
    """The orders of a lake. `now` gives the time (UTC)."""

    def __init__(
        self,
        lake: Lake,
        now: Callable[[], datetime],
        *,
        safe_age: timedelta = SAFE_AGE,
        on_partition: OnPartition = _forget_plates,
        sleep: Callable[[float], None] = time.sleep,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._lake = lake
        self._now = now
        self._safe_age = safe_age
        self._on_partition = on_partition
        self._sleep = sleep
        self._new_id = new_id
        self._log: Log[OrderEvent] = Log(lake, DATA_EVENTS, OrderEvent)  # type: ignore[arg-type]

    def move(
        self,
        agency: str,
        *,
        by: str,
        reason: str,
        to_class: str | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> OrderState:
        """Put an agency's rows into the class that its policy now has for them, or `to_class`.

        A row in a class that the agency's policy has is left there, unless `to_class` is given.
        Raises BadInput (`bad-order`, `unknown-retention-class`); Held if a hold cannot be copied;
        Unavailable and Corrupt as `rewrite_partition`: the next run goes on.
        """
        if to_class is not None:
            self._lake.retention.class_of("read", agency, "", to_class)
        return self._run("move", agency, by, reason, first, last, to_class)

    def remove(
        self,
        agency: str,
        *,
        by: str,
        reason: str,
        first: date | None = None,
        last: date | None = None,
    ) -> OrderState:
        """Delete an agency's rows and images; copies under a hold stay. Raises as `move`."""
        return self._run("remove", agency, by, reason, first, last, None)

    def export(
        self,
        agency: str,
        write: Callable[[], tuple[str, int]],
        *,
        by: str,
        reason: str,
        first: date | None = None,
        last: date | None = None,
    ) -> OrderState:
        """Have `write` hand out an agency's rows; it gives the manifest's SHA-256 and their number.

        The order is on record before the first row leaves: one that was never handed shows that
        it was not finished. What `write` raises passes through.
        """
        order_id = self._begin("export", agency, by, reason, first, last, None)
        digest, rows = write()
        self._note(order_id, Handed(at=self._now(), rows=rows, digest=digest))
        self._note(order_id, Finished(at=self._now(), held=()))
        return fold_order(self._log.events(order_id))

    def finish(self) -> list[OrderState]:
        """Go on with every unfinished move and removal; their states. Raises as `move`."""
        return [
            self._carry_out(order_id)
            for order_id, events in self._log.subjects().items()
            if (state := fold_order(events)).finished is None and state.order.action != "export"
        ]

    def all(self) -> list[OrderState]:
        """Every order there ever was, oldest first."""
        return [fold_order(events) for events in self._log.subjects().values()]

    def _run(
        self,
        action: Action,
        agency: str,
        by: str,
        reason: str,
        first: date | None,
        last: date | None,
        to_class: str | None,
    ) -> OrderState:
        self.finish()
        return self._carry_out(self._begin(action, agency, by, reason, first, last, to_class))

    def _begin(
        self,
        action: Action,
        agency: str,
        by: str,
        reason: str,
        first: date | None,
        last: date | None,
        to_class: str | None,
    ) -> str:
        order = checked_order(
            Order(
                order_id=self._new_id(),
                action=action,
                agency=agency,
                first=first,
                last=last,
                to_class=to_class,
                reason=reason,
                by=by,
                at=self._now(),
            )
        )
        self._log.append(order.order_id, 0, Began(order), order.at)
        return order.order_id

    def _carry_out(self, order_id: str) -> OrderState:
        order = fold_order(self._log.events(order_id)).order
        for name in TABLES:
            target = self._target(order, KIND_OF[name])
            for partition in self._partitions(order, name):
                self._rewrite(order, name, partition, target)
        swept = self._sweep(order)
        self._note(order_id, swept)
        if not swept.waiting:
            self._note(order_id, Finished(at=self._now(), held=self._holding(order)))
        return fold_order(self._log.events(order_id))

    def _partitions(self, order: Order, table_name: str) -> list[Partition]:
        """Where the order may find rows: also those that others are writing to meanwhile."""

        def look(table: Table) -> set[Partition]:
            return {partition_of(file) for file in live_files(table)}

        found = look_at(self._lake, table_name, look, sleep=self._sleep)
        return sorted(partition for partition in found if order.covers(partition.date))

    def _rewrite(self, order: Order, name: str, partition: Partition, target: Target) -> None:
        def intend(files: Sequence[str], packs: Sequence[str]) -> None:
            self._note(
                order.order_id,
                Intended(
                    table=name,
                    day=partition.date,
                    retention_class=partition.retention_class,
                    files=tuple(files),
                    packs=tuple(packs),
                ),
            )

        def once() -> None:
            cutoffs = {
                each.name: each.cutoff(self._now())
                for each in self._lake.retention.classes.values()
            }
            for done in rewrite_partition(
                self._lake, name, partition, target, cutoffs, intend=intend, sleep=self._sleep
            ):
                self._note(
                    order.order_id,
                    Rewrote(
                        table=name,
                        day=partition.date,
                        retention_class=partition.retention_class,
                        moved={f"{p.date}/{p.retention_class}": n for p, n in done.moved.items()},
                        removed=done.removed,
                        expired=done.expired,
                        duplicates=done.duplicates,
                    ),
                )
                for changed in (partition, *done.moved):
                    self._on_partition(self._lake, name, changed)

        try:
            once()
        except Held:
            complete_pending(self._lake, self._now(), sleep=self._sleep)
            once()

    def _target(self, order: Order, kind: Kind) -> Target:
        def target(rows: pa.Table) -> pa.Array:
            classes = rows["retention_class"].combine_chunks().cast(pa.large_string())
            own = pc.equal(rows["agency"].combine_chunks(), order.agency)
            if order.action == "remove":
                return pc.if_else(own, pa.scalar(None, pa.large_string()), classes)
            if not pc.any(own).as_py():
                return classes
            sources = (
                rows["source"].combine_chunks().cast(pa.large_string())
                if "source" in rows.column_names
                else pa.array([""] * rows.num_rows, pa.large_string())
            )
            pairs = pa.StructArray.from_arrays([sources, classes], ["source", "class"])
            for pair in {tuple(p.values()) for p in pairs.filter(own).to_pylist()}:
                wanted = self._wanted(order, kind, *pair)
                if wanted != pair[1]:
                    there = pc.and_(
                        own, pc.and_(pc.equal(sources, pair[0]), pc.equal(pairs.field(1), pair[1]))
                    )
                    classes = pc.if_else(there, pa.scalar(wanted, pa.large_string()), classes)
            return classes

        return target

    def _wanted(self, order: Order, kind: Kind, source: str, current: str) -> str:
        retention = self._lake.retention
        if order.to_class is not None:
            return retention.class_of(kind, order.agency, source, order.to_class).name
        try:
            return retention.class_of(kind, order.agency, source, current).name
        except BadInput:  # its policy does not have that class any more
            return retention.class_of(kind, order.agency, source).name

    def _sweep(self, order: Order) -> Swept:
        """Delete what the order's swaps left, and what others had left before of the same rows."""
        intended = fold_order(self._log.events(order.order_id)).intended
        files = packs = waiting = 0
        for name in TABLES:
            own = [each for each in intended if each.table == name]
            partitions = {_partition(each.day, each.retention_class) for each in own}
            if order.action == "remove":
                partitions |= set(self._partitions(order, name))
            if not partitions:
                continue
            forget_history(self._lake, name, REWRITE, sleep=self._sleep)
            gone = self._delete_files(name, {uri for each in own for uri in each.files})
            gone += self._delete_remnants(name, partitions, self._target(order, KIND_OF[name]))
            files += len(gone)
            if name == READS.name:
                known = {pack for each in own for pack in each.packs}
                deleted, young = self._delete_packs(order, partitions, known)
                packs, waiting = packs + deleted, waiting + young
        return Swept(at=self._now(), files=files, packs=packs, waiting=waiting)

    def _delete_files(self, name: str, uris: set[str]) -> list[str]:
        def look(table: Table) -> list[str]:
            return delete_unnamed(self._lake, table, uris)

        return look_at(self._lake, name, look, sleep=self._sleep)

    def _delete_remnants(self, name: str, partitions: set[Partition], target: Target) -> list[str]:
        """Files that a merge or an earlier crash left, with rows that are to go.

        A file whose every row lies below the committed offsets can never be committed any more,
        whatever its age: the committer would trim it all. A merge under way with such rows fails,
        since its inputs are gone.
        """
        lake = self._lake
        # Listed first: a file that is committed in between is then named, or above the offsets.
        stored = list(stored_rows(lake, name, sorted(partitions)))
        named, offsets = look_at(
            lake,
            name,
            lambda table: (set(referenced(table)), read_offsets(table)),
            sleep=self._sleep,
        )
        due = []
        for item in stored:
            if not item.uri.endswith(".parquet") or item.uri in named:
                continue
            columns = ["source_topic", "source_partition", "source_offset"]
            try:
                rows = read_rows(lake, item.uri, [*target_columns(name), *columns])
            except Corrupt:
                if lake.store.exists(item.uri):
                    raise
                continue  # a sweep took it
            if targets_of(rows, target)[1].any() and _is_committed(rows, offsets):
                due.append(item.uri)
        if due:
            lake.store.delete(due)
        return due

    def _delete_packs(
        self, order: Order, partitions: set[Partition], known: set[str]
    ) -> tuple[int, int]:
        """Delete packs that no row names; how many, and how many are too young to be sure.

        What was stored after the order was given belongs to uploads that came after it.
        """
        lake, due, young = self._lake, [], 0
        for partition in sorted(partitions):
            folder = image_folder(partition.retention_class, partition.date)
            stored: list[StoredObject] = list(lake.store.list(f"{lake.config.warehouse}/{folder}"))
            named = packs_named(lake, partition)
            for item in stored:
                pack = item.uri.removeprefix(f"{lake.config.warehouse}/")
                if pack in named or pack.endswith("/"):  # a folder's mark
                    continue
                if pack in known or item.modified <= self._now() - self._safe_age:
                    due.append(item.uri)
                elif item.modified <= order.at + _CLOCKS:
                    young += 1
        if due:
            lake.store.delete(due)
        return len(due), young

    def _holding(self, order: Order) -> tuple[str, ...]:
        """Holds that keep copies of rows the order was about."""
        known = stored_holds(self._lake) & hold_log(self._lake).subjects().keys()
        return tuple(
            hold_id
            for hold_id in sorted(known)
            if any(
                row["agency"] == order.agency and order.covers(row["captured_on"])
                for row in rows_of(self._lake, hold_id)
            )
        )

    def _note(self, order_id: str, event: OrderEvent) -> None:
        self._log.decide(order_id, lambda _: event, self._now())


def _partition(day: date, retention_class: str) -> Partition:
    return Partition((day - _EPOCH).days, retention_class)


def _is_committed(rows: pa.Table, offsets: Mapping[Source, int]) -> bool:
    """Whether every row lies below what its source has been committed up to."""
    topics, partitions = rows["source_topic"].to_pylist(), rows["source_partition"].to_pylist()
    bounds = {
        pair: offsets.get(Source(*pair), 0) for pair in set(zip(topics, partitions, strict=True))
    }
    limit = np.array([bounds[pair] for pair in zip(topics, partitions, strict=True)], np.int64)
    return bool((rows["source_offset"].to_numpy() < limit).all())
