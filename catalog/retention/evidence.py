"""Evidence: the copies that holds keep, from their registration to their end.

A hold is finished in steps, each of which can be taken again after a crash: its partitions are
registered in the tables (`interlock`); its records are copied, images first, and committed to
`evidence` in one swap; the copies are read back and compared with the records; only then is the
registration taken away. Until then no purge and no rewrite touches the partitions.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from pyiceberg.manifest import DataFile
from pyiceberg.table import Table, Transaction

from alpr.errors import Corrupt
from alpr.holds import Copied, Gone, Hold, HoldEvent, HoldState, Refused, Stuck, fold
from alpr.retention import KINDS, Kind
from catalog.commit import HOLD
from catalog.files import live_files, partition_of
from catalog.images import ImageRef, PackWriter, read_image
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.retention.copies import IMAGES, Copy, copy_of, digest, sha256
from catalog.retention.erase import delete_unnamed, forget_history
from catalog.retention.events import HOLD_EVENTS, Log
from catalog.retention.evidence_table import (
    FOLDER,
    Row,
    ensure_table,
    files_of,
    folders,
    rows_of,
    stored_holds,
    write_file,
)
from catalog.retention.interlock import as_property, pending_holds, property_of
from catalog.retention.selection import TABLE_OF, ids_in, locate, matching
from catalog.schemas import EVIDENCE, TABLES
from catalog.swap import Change, Summary, look_at, swap
from catalog.sweep import referenced, sweep

log = logging.getLogger(__name__)

_ROUNDS = 5
_ATTEMPTS = 20


@dataclass(frozen=True)
class Unfinished:
    """A hold whose records could not be copied: its partitions stay registered."""

    hold_id: str
    why: str


@dataclass(frozen=True)
class Erased:
    """The copies of a hold that has ended, deleted."""

    hold_id: str
    records: int
    objects: int
    bytes: int


class _Gone(Exception):
    """Records of a hold are not in the lake (any more)."""


def hold_log(lake: Lake) -> Log[HoldEvent]:
    """The history of all holds."""
    return Log(lake, HOLD_EVENTS, HoldEvent)  # type: ignore[arg-type]  # a union is no class


def complete_pending(
    lake: Lake, now: datetime, *, sleep: Callable[[float], None] = time.sleep
) -> Sequence[Unfinished]:
    """Copy, verify and unregister every hold that is still to be copied; what could not be.

    The purge calls it before it decides, and leaves alone whatever `interlock.pinned` still
    names. Holds that ended meanwhile, or that no history knows, lose their registration.
    Raises Unavailable if catalogue or store do not answer.
    """
    history = hold_log(lake)
    unfinished: list[Unfinished] = []
    states = {hold_id: fold(events) for hold_id, events in history.subjects().items()}
    for hold_id, state in states.items():
        if state.is_unfinished(now):
            state = complete(lake, state, now, sleep=sleep)
            if state.stuck is not None:
                unfinished.append(Unfinished(hold_id, state.stuck))
    for name in TABLES:
        for hold_id in pending_holds(lake.table(name)):
            known = history.events(hold_id)
            if not known:
                unfinished.append(
                    Unfinished(hold_id, f"table {name} registers it, but no history has it")
                )
            elif not fold(known).is_unfinished(now):
                _unregister(lake, hold_id, sleep)
    for each in unfinished:
        log.error("hold %s is not copied and keeps its partitions: %s", each.hold_id, each.why)
    return unfinished


def complete(
    lake: Lake,
    state: HoldState,
    now: datetime,
    *,
    sleep: Callable[[float], None] = time.sleep,
    new_name: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> HoldState:
    """Take a hold from wherever it is to its end: copied, stuck or refused; its state then.

    Raises Unavailable if catalogue or store do not answer: call it again.
    """
    hold, history = state.hold, hold_log(lake)
    event: HoldEvent
    try:
        where = _register(lake, hold, sleep)
        copies = _gather(lake, where)
        ensure_table(lake)
        _commit(lake, hold, copies, now, sleep, new_name)
        event = _verify(lake, hold, copies, now)
    except _Gone as error:
        event = Refused(at=now, why=str(error))
    except Corrupt as error:
        event = Stuck(at=now, why=str(error))

    def decide(events: Sequence[HoldEvent]) -> HoldEvent | None:
        known = fold(events)
        if not known.is_unfinished(now) or (isinstance(event, Stuck) and known.stuck == event.why):
            return None
        return event

    state = fold(history.decide(hold.hold_id, decide, now))
    if not state.is_unfinished(now):
        _unregister(lake, hold.hold_id, sleep)
    return state


def purge_evidence(
    lake: Lake, now: datetime, *, sleep: Callable[[float], None] = time.sleep
) -> Sequence[Erased]:
    """Delete the copies of every hold that has ended: rows, old snapshots, images.

    Safe to kill and to run again: the hold's history says `gone` only after its last byte went.
    Raises Unavailable if catalogue or store do not answer.
    """
    history = hold_log(lake)
    stored = stored_holds(lake)
    ended = {
        hold_id: state
        for hold_id, events in history.subjects().items()
        if (status := (state := fold(events)).status(now)) == "ended"
        # A copy that was under way while its hold ended may have come after the purge.
        or (status in ("refused", "gone") and hold_id in stored)
    }
    for hold_id in ended:
        _unregister(lake, hold_id, sleep)
    rows: dict[str, int] = {}
    if lake.catalog.table_exists(EVIDENCE.identifier):
        rows = _drop(lake, frozenset(ended), sleep)
        sweep(lake, EVIDENCE.name, now)
    erased = []
    for hold_id, state in ended.items():
        objects = [item for folder in folders(lake, hold_id) for item in lake.store.list(folder)]
        if objects:
            lake.store.delete(item.uri for item in objects)
        size = sum(item.size for item in objects)
        if state.status(now) == "ended":
            history.decide(hold_id, _once(Gone(at=now, objects=len(objects), bytes=size)), now)
        erased.append(Erased(hold_id, rows.get(hold_id, 0), len(objects), size))
    return erased


def _once(gone: Gone) -> Callable[[Sequence[HoldEvent]], HoldEvent | None]:
    return lambda events: None if fold(events).gone else gone


def _register(
    lake: Lake, hold: Hold, sleep: Callable[[float], None]
) -> dict[Kind, dict[str, DataFile]]:
    """Pin the partitions of a hold's records; the file of each record, now that it must stay.

    Raises _Gone if records are not there any more: what is found before registration may be
    purged, or change its class, before it.
    """
    for _ in range(_ROUNDS):
        found = _locate(lake, hold)
        where = {
            kind: {partition_of(file) for file in files.values()} for kind, files in found.items()
        }
        for kind, partitions in where.items():
            _pin(lake, kind, hold.hold_id, frozenset(partitions), sleep)
        found = _locate(lake, hold)
        if all(
            partition_of(file) in where.get(kind, ())
            for kind, files in found.items()
            for file in files.values()
        ):
            return found
    raise Corrupt(f"the records of hold {hold.hold_id} moved {_ROUNDS} times while it was made")


def _locate(lake: Lake, hold: Hold) -> dict[Kind, dict[str, DataFile]]:
    found = {kind: locate(lake, kind, hold.records) for kind in KINDS}
    missing = sorted(r.record_id for r in hold.records if r.record_id not in found[r.kind])
    if missing:
        raise _Gone(
            f"{len(missing)} of {len(hold.records)} records are not in the lake any more, "
            f"{missing[0]} the first: they had ended before the hold was made"
        )
    return {kind: files for kind, files in found.items() if files}


def _pin(
    lake: Lake,
    kind: Kind,
    hold_id: str,
    partitions: frozenset[Partition],
    sleep: Callable[[float], None],
) -> None:
    def decide(table: Table) -> Change | None:
        known = pending_holds(table).get(hold_id, frozenset())
        if partitions <= known:
            return None
        wanted = partitions | known

        def change(transaction: Transaction, summary: Summary) -> None:
            transaction.set_properties(dict(as_property(hold_id, wanted)))
            with transaction.update_snapshot(summary).fast_append():
                pass  # properties alone would not make a purge in flight fail

        return change

    swap(lake, TABLE_OF[kind].name, HOLD, decide, attempts=_ATTEMPTS, sleep=sleep)


def _unregister(lake: Lake, hold_id: str, sleep: Callable[[float], None]) -> None:
    def decide(table: Table) -> Change | None:
        if property_of(hold_id) not in table.properties:
            return None

        def change(transaction: Transaction, summary: Summary) -> None:
            transaction.remove_properties(property_of(hold_id))
            with transaction.update_snapshot(summary).fast_append():
                pass

        return change

    for name in TABLES:
        swap(lake, name, HOLD, decide, attempts=_ATTEMPTS, sleep=sleep)


def _gather(lake: Lake, where: dict[Kind, dict[str, DataFile]]) -> list[Copy]:
    """Every record, with its images, out of the files they lie in."""
    copies: dict[tuple[Kind, str], Copy] = {}
    for kind, files in where.items():
        column = TABLE_OF[kind].id_column
        for uri in sorted({file.file_path for file in files.values()}):
            own = [record for record, file in files.items() if file.file_path == uri]
            for part in matching(lake, uri, ids_in(column, own), [column]):
                for row in part.to_pylist():
                    copies[kind, row[column]] = copy_of(lake, kind, column, row, uri)
        if missing := files.keys() - {record_id for of, record_id in copies if of == kind}:
            raise Corrupt(f"{len(missing)} {kind}s were found by their ids, but not read")
    return list(copies.values())


def _commit(
    lake: Lake,
    hold: Hold,
    copies: Sequence[Copy],
    now: datetime,
    sleep: Callable[[float], None],
    new_name: Callable[[], str],
) -> None:
    if look_at(lake, EVIDENCE.name, lambda table: files_of(table, hold.hold_id), sleep=sleep):
        return  # an earlier attempt got this far

    def folder(_class: str, _day: date) -> str:
        return f"{FOLDER}/hold={hold.hold_id}"

    packs = PackWriter(
        lake.store,
        lake.config.warehouse,
        new_name=new_name,
        folder=folder,
    )
    rows = [_row(hold, copy, packs, now) for copy in copies]
    packs.flush()  # before the rows: a row must never point at an image that is not there
    file = write_file(lake, hold.hold_id, rows, new_name())

    def decide(table: Table) -> Change | None:
        if files_of(table, hold.hold_id):
            return None  # somebody else completed the same hold

        def change(transaction: Transaction, summary: Summary) -> None:
            with transaction.update_snapshot(summary).merge_append() as new:
                new.append_data_file(file)

        return change

    swap(lake, EVIDENCE.name, HOLD, decide, attempts=_ATTEMPTS, sleep=sleep)


def _row(hold: Hold, copy: Copy, packs: PackWriter, now: datetime) -> Row:
    row, record = copy.row, copy.record
    images: Row = {}
    for name in IMAGES:
        image = copy.images.get(name)
        ref = None if image is None else packs.add(image, "evidence", now.date())
        images[name] = None if ref is None else ref._asdict()
        images[f"{name}_sha256"] = None if image is None else sha256(image)
    return images | {
        **{name: row[name] for name in ("agency", "camera", "captured_at", "captured_on")},
        **{name: row.get(name) for name in ("retention_class", "plate", "plate_raw", "state")},
        "hold_id": hold.hold_id,
        "copied_at": now,
        "kind": copy.kind,
        "record_id": copy.record_id,
        "record": record,
        "record_sha256": sha256(record),
        "source_file": copy.source_file,
    }


def _verify(lake: Lake, hold: Hold, copies: Sequence[Copy], now: datetime) -> Copied:
    """Read the copies back and compare each with its record. Raises Corrupt if one differs."""
    expected = {(copy.kind, copy.record_id): sha256(copy.record) for copy in copies}
    stored = check_copies(lake, hold.hold_id)
    found = {(row["kind"], row["record_id"]): row["record_sha256"] for row in stored}
    if len(stored) != len(found) or found != expected:
        wrong = sum(found.get(key) != value for key, value in expected.items())
        raise Corrupt(
            f"the evidence of hold {hold.hold_id} is not what the lake holds: {wrong} of "
            f"{len(expected)} records differ, {len(stored)} are stored"
        )
    images = [image for copy in copies for image in copy.images.values()]
    return Copied(
        at=now,
        records=len(stored),
        images=len(images),
        image_bytes=sum(map(len, images)),
        digest=digest((kind, record_id, record) for (kind, record_id), record in found.items()),
    )


def check_copies(lake: Lake, hold_id: str) -> list[Row]:
    """The stored copies of a hold, with every record and image held against its SHA-256.

    Raises Corrupt if one differs or cannot be read.
    """
    stored = rows_of(lake, hold_id)
    for row in stored:
        if sha256(row["record"]) != row["record_sha256"]:
            raise Corrupt(f"the evidence of {row['kind']} {row['record_id']} fails its SHA-256")
        for name in IMAGES:
            if row[name] is not None and sha256(image_of(lake, row, name)) != row[f"{name}_sha256"]:
                raise Corrupt(
                    f"the {name} of {row['kind']} {row['record_id']} in evidence fails its SHA-256"
                )
    return stored


def image_of(lake: Lake, row: Row, name: str) -> bytes:
    """The image of a copy that has one. Raises Corrupt if it is missing or damaged."""
    return read_image(lake.store, lake.config.warehouse, ImageRef(**row[name]))


def _drop(lake: Lake, ended: frozenset[str], sleep: Callable[[float], None]) -> dict[str, int]:
    """Take the rows of these holds out, and every old state that shows them; rows per hold."""
    rows: dict[str, int] = {}

    def decide(table: Table) -> Change | None:
        rows.clear()
        due = [file for file in live_files(table) if file.partition[0] in ended]
        for file in due:
            rows[file.partition[0]] = rows.get(file.partition[0], 0) + file.record_count
        if not due:
            return None

        def change(transaction: Transaction, summary: Summary) -> None:
            with transaction.update_snapshot(summary).overwrite() as new:
                for file in due:
                    new.delete_data_file(file)

        return change

    swap(lake, EVIDENCE.name, HOLD, decide, attempts=_ATTEMPTS, sleep=sleep)
    if ended:
        old: set[str] = set()

        def note(table: Table) -> None:
            old.update(referenced(table))

        table = forget_history(lake, EVIDENCE.name, HOLD, seen=note, sleep=sleep)
        # At once: manifests name holds and times. What a crash leaves here the sweep takes.
        delete_unnamed(lake, table, old)
    return rows
