"""Every kind of object that may lie in a lake, opened with readers that the purge does not use.

An address says what an object should be, its bytes say what it is: both are judged. What no
address pattern here fits is of an unknown kind, which is a finding of its own: nobody could say
when it ends.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alpr.errors import Corrupt, PlatelakeError, Unavailable
from catalog.images import walk
from catalog.lake import Lake
from catalog.lookup import index
from catalog.retention import journal, ledger
from catalog.retention.certificate import Signed
from catalog.retention.rules import Rules
from catalog.retention.signing import PublicKey
from catalog.retention.verification import Finding, FindingKind
from catalog.schemas import CAPTURED, EVIDENCE, NAMESPACE, PARTITION_CLASS, PARTITION_DAY

_BATCH_ROWS: Final = 262_144
_FIRST_DAY: Final = date(1970, 1, 1)
_DAY, _NAME = r"(?P<day>\d{4}-\d\d-\d\d)", r"(?P<name>[^/]+)"
_TABLES: Final = r"(?P<table>reads|hits)"
_PATTERNS: Final[tuple[tuple[str, str], ...]] = (
    (
        "rows",
        rf"{NAMESPACE}/{_TABLES}/data/{PARTITION_CLASS}=(?P<class>[^/]+)/{PARTITION_DAY}={_DAY}"
        rf"/{_NAME}\.parquet",
    ),
    ("evidence-rows", rf"{NAMESPACE}/evidence/data/hold_id=(?P<hold>[^/]+)/{_NAME}\.parquet"),
    ("metadata", rf"{NAMESPACE}/(reads|hits|evidence)/metadata/{_NAME}\.metadata\.json"),
    # Those of the investigators' views hold their SQL and no rows (`catalog.publish`).
    ("metadata", rf"{NAMESPACE}/views/[^/]+/metadata/{_NAME}\.metadata\.json"),
    ("manifests", rf"{NAMESPACE}/(?P<table>reads|hits|evidence)/metadata/{_NAME}\.avro"),
    ("index", rf"{index.FOLDER}/class=(?P<class>[^/]+)/block=(?P<block>\d+)/{_NAME}\.parquet"),
    ("packs", rf"images/class=(?P<class>[^/]+)/day={_DAY}/{_NAME}\.pack"),
    ("evidence-packs", rf"evidence/hold=(?P<hold>[^/]+)/{_NAME}\.pack"),
    ("journal", rf"{journal.FOLDER}/(?P<run>[^/]+)/{_NAME}\.json"),
    ("certificates", rf"{ledger.FOLDER}/{_NAME}\.json"),
    ("keys", rf"{ledger.KEYS}/{_NAME}\.pem"),
    # pyarrow marks the folder of an S3 object that it deletes by an empty object.
    ("folders", r".*/"),
)
KINDS: Final = tuple((kind, re.compile(pattern)) for kind, pattern in _PATTERNS)

SAMPLED: Final = frozenset({"rows", "evidence-rows", "index", "packs", "evidence-packs"})
"""Kinds of which a sample may be opened: the many and large ones. Of the others all are."""

_IMAGE_COLUMNS: Final = ("crop", "overview")
_PACK_OF_DAY: Final = re.compile(rf"images/class=(?P<class>[^/]+)/day={_DAY}/[^/]+\.pack")


@dataclass(frozen=True)
class Found:
    """An object by what its address says: `path` is the address below the warehouse."""

    uri: str
    path: str
    kind: str
    parts: dict[str, str]

    @staticmethod
    def of(uri: str, warehouse: str, size: int) -> Found:
        """What an address says; kind `unknown` if it says nothing that is known here.

        A folder's mark must be empty (`size` 0).
        """
        path = uri.removeprefix(f"{warehouse}/")
        if path.endswith("/") and size:
            return Found(uri, path, "unknown", {})
        for kind, pattern in KINDS:
            if match := pattern.fullmatch(path):
                return Found(uri, path, kind, match.groupdict())
        return Found(uri, path, "unknown", {})


@dataclass
class Seen:
    """What was in one object."""

    rows: int = 0
    images: int = 0
    held: int = 0
    findings: list[Finding] = field(default_factory=list)

    def tell(self, kind: FindingKind, where: str, what: str, count: int = 1) -> None:
        """Note a finding, unless it counts nothing."""
        if count:
            self.findings.append(Finding(kind=kind, where=where, what=what, count=count))


def judge_address(found: Found, rules: Rules) -> Iterator[Finding]:
    """What the address alone shows to be wrong, whether or not the object is opened."""
    if found.kind == "unknown":
        yield Finding(
            kind="unknown-object",
            where=found.uri,
            what="no part of the platform writes such an object: find out what did",
        )
    elif found.kind in ("rows", "packs"):
        name, day = found.parts["class"], _day(found.parts["day"])
        if day is None or not rules.knows(name):
            yield Finding(
                kind="unknown-class",
                where=found.uri,
                what=f"no policy says when class {name} ends"
                if day is not None
                else "its day is no day of the calendar",
            )
        elif rules.has_ended(name, day):
            yield Finding(
                kind="expired-object",
                where=found.uri,
                what=f"class {name} is kept from {rules.cutoffs[name]} on",
            )
    elif found.kind == "index":
        if not rules.knows(name := found.parts["class"]):
            yield Finding(
                kind="unknown-class",
                where=found.uri,
                what=f"no policy says when class {name} ends",
            )
    elif found.kind == "folders":
        for ended in rules.ended_names(found.path):
            yield Finding(kind="expired-object", where=found.uri, what=f"the mark of {ended}")
    elif "hold" in found.parts and found.parts["hold"] not in rules.in_force:
        yield Finding(
            kind="expired-object",
            where=found.uri,
            what="its hold has ended, or there is none of this id",
        )


def decode(lake: Lake, found: Found, rules: Rules) -> Seen:
    """Open an object and judge what is in it.

    Raises Corrupt if it is not what its address says, or Unavailable.
    """
    seen = Seen()
    try:
        _DECODERS[found.kind](lake, found, rules, seen)
    except Unavailable:
        raise
    except Exception as error:
        # Bytes that are not what they should be make a parser raise anything; none of it may
        # end the check, and all of it is told. What was raised may quote them, so it is not.
        detail = f": {error}" if isinstance(error, PlatelakeError) else ""
        raise Corrupt(f"{found.uri} cannot be decoded: {type(error).__name__}{detail}") from error
    return seen


def _rows(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    day, name = _day(found.parts["day"]), found.parts["class"]
    pinned = day is not None and rules.is_pinned(name, day)
    for batch in _batches(lake, found.uri):
        seen.rows += batch.num_rows
        classes = batch[PARTITION_CLASS]
        for each in pc.unique(classes).to_pylist():
            own = batch.filter(pc.equal(classes, each))
            _class_rows(found, each, own, rules, seen, pinned=pinned)
        wrong = pc.or_(
            pc.not_equal(classes, name), pc.not_equal(batch[PARTITION_DAY], pa.scalar(day))
        )
        seen.tell(
            "misplaced",
            found.uri,
            "rows of another class or day than the folder says",
            pc.sum(wrong).as_py() or 0,
        )
        _references(found, batch, rules, seen)


def _class_rows(
    found: Found, name: str, rows: pa.RecordBatch, rules: Rules, seen: Seen, *, pinned: bool
) -> None:
    if not rules.knows(name):
        seen.tell(
            "unknown-class", found.uri, f"rows of class {name}, which no policy has", rows.num_rows
        )
        return
    old_day = pc.less(rows[PARTITION_DAY], pa.scalar(rules.cutoffs[name], pa.date32()))
    moments = rows["captured_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    old_time = pc.less(moments, rules.starts[name])
    by_day, by_time = (pc.sum(each).as_py() or 0 for each in (old_day, old_time))
    if pinned:
        seen.held += max(by_day, by_time)
        return
    told = f"of class {name}, which is kept from {rules.cutoffs[name]} on"
    seen.tell("expired-rows", found.uri, f"rows {told}, by their day", by_day)
    seen.tell("expired-rows", found.uri, f"rows {told}, by their time of capture", by_time)


def _references(found: Found, batch: pa.RecordBatch, rules: Rules, seen: Seen) -> None:
    """Images that rows name must lie in a pack of the rows' own class and day."""
    own = {"class": found.parts["class"], "day": found.parts["day"]}
    for column in _IMAGE_COLUMNS:
        if column not in batch.schema.names:
            continue
        packs = pc.struct_field(batch[column], "pack")
        for value in pc.value_counts(packs).to_pylist():
            if value["values"] is None:
                continue
            match = _PACK_OF_DAY.fullmatch(value["values"])
            if match is None or match.groupdict() != own:
                seen.tell(
                    "misplaced",
                    found.uri,
                    f"rows whose {column} is in a pack of another class or day",
                    value["counts"],
                )
            for ended in rules.ended_names(value["values"]):
                seen.tell("expired-reference", found.uri, f"rows name {ended}", value["counts"])


def _evidence_rows(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    del rules  # its hold has been judged by its address
    for batch in _batches(lake, found.uri, "hold_id"):
        seen.rows += batch.num_rows
        seen.held += batch.num_rows
        strangers = pc.sum(pc.not_equal(batch["hold_id"], found.parts["hold"])).as_py() or 0
        seen.tell("misplaced", found.uri, "copies for another hold than the folder's", strangers)
        for column in _IMAGE_COLUMNS:
            for pack in pc.unique(pc.struct_field(batch[column], "pack")).to_pylist():
                if pack is not None and not pack.startswith(f"evidence/hold={found.parts['hold']}"):
                    seen.tell("misplaced", found.uri, f"a copy's {column} is not its hold's own")


def _batches(lake: Lake, uri: str, *more: str) -> Iterator[pa.RecordBatch]:
    columns = ["captured_at", PARTITION_DAY, PARTITION_CLASS, *more]
    with lake.store.open(uri) as source:
        file = pq.ParquetFile(source, pre_buffer=True)
        names = set(file.schema_arrow.names)
        if missing := sorted(set(columns) - names):
            raise Corrupt(f"{uri} has no column {', '.join(missing)}: nobody can say when it ends")
        images = [name for name in _IMAGE_COLUMNS if name in names]
        rows = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=[*columns, *images]):
            rows += batch.num_rows
            if nulls := sum(batch[name].null_count for name in columns):
                raise Corrupt(f"{uri} has {nulls} rows without a day, time or class")
            yield batch
        if rows != file.metadata.num_rows:
            raise Corrupt(f"{uri} gave {rows} rows, its footer says {file.metadata.num_rows}")


def _index(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    """A plate and, as bits, the days on which it was read: none of them may have ended."""
    name = found.parts["class"]
    if not rules.knows(name):
        return  # judged by its address
    first = int(found.parts["block"]) * index.BLOCK_DAYS
    days = [_FIRST_DAY + timedelta(days=first + bit) for bit in range(index.BLOCK_DAYS)]
    ended = sum(1 << bit for bit, day in enumerate(days) if rules.has_ended(name, day))
    with lake.store.open(found.uri) as source:
        file = pq.ParquetFile(source, pre_buffer=True)
        if file.schema_arrow.names != index.SCHEMA.names:
            raise Corrupt(f"{found.uri} has other columns than an index of plates")
        footer = file.metadata.metadata or {}
        _texts(found, list(footer.values()), rules, seen)
        for batch in file.iter_batches(_BATCH_ROWS):
            seen.rows += batch.num_rows
            bits = batch["days"]
            old = pc.not_equal(pc.bit_wise_and(bits, pa.scalar(ended, pa.uint32())), 0)
            told = f"plates said to have been read on days of class {name} that have ended"
            seen.tell("expired-rows", found.uri, told, pc.sum(old).as_py() or 0)
            none = pc.sum(pc.equal(bits, 0)).as_py() or 0
            seen.tell("expired-rows", found.uri, "plates of no day that is kept", none)


def _pack(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    del rules  # its address has been judged, and nothing in it says when it was captured
    seen.images += sum(1 for _ in walk(lake.store.read(found.uri)))


def _evidence_pack(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    _pack(lake, found, rules, seen)
    seen.held += seen.images


def _metadata(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    document = msgspec.json.decode(lake.store.read(found.uri))
    if not isinstance(document, dict) or "format-version" not in document:
        raise Corrupt(f"{found.uri} is no metadata of an Iceberg table")
    _texts(found, document, rules, seen)


def _manifest(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    """A manifest or a list of them: entries of every status, deleted ones too."""
    reader = fastavro.reader(io.BytesIO(lake.store.read(found.uri)))
    schema = reader.writer_schema
    kind = schema.get("name") if isinstance(schema, dict) else None
    if kind not in ("manifest_entry", "manifest_file"):
        raise Corrupt(f"{found.uri} holds records of kind {kind}: a manifest was required")
    for record in reader:
        if not isinstance(record, dict):
            raise Corrupt(f"{found.uri} holds a record that is none")
        if kind == "manifest_entry":
            _entry(found, record, rules, seen)
        _texts(found, record, rules, seen)


def _entry(found: Found, entry: dict[str, Any], rules: Rules, seen: Seen) -> None:
    file, status = entry["data_file"], ("existing", "added", "deleted")[entry["status"]]
    partition = file["partition"]
    bounds = {"lower": _bounds(file, "lower_bounds"), "upper": _bounds(file, "upper_bounds")}
    others = {field for of in bounds.values() for field in of if field != CAPTURED}
    seen.tell(
        "plate-in-metadata",
        found.uri,
        f"an entry ({status}) has bounds of the columns with ids {sorted(others)}",
        1 if others else 0,
    )
    if found.parts["table"] == EVIDENCE.name:
        if partition["hold_id"] not in rules.in_force:
            told = f"an entry ({status}) of a hold that has ended"
            seen.tell("expired-reference", found.uri, told)
        return
    name, day = partition[PARTITION_CLASS], partition[PARTITION_DAY]
    if not rules.knows(name):
        seen.tell("unknown-class", found.uri, f"an entry ({status}) of class {name}")
        return
    if rules.has_ended(name, day):
        seen.tell("expired-reference", found.uri, f"an entry ({status}) of {day}, class {name}")
    if rules.is_pinned(name, day):
        return
    for which, of in bounds.items():
        if (
            CAPTURED in of
            and int.from_bytes(of[CAPTURED], "little", signed=True) < rules.starts[name]
        ):
            told = f"an entry ({status}) of class {name} whose {which} bound of time has ended"
            seen.tell("expired-time", found.uri, told)


def _bounds(file: dict[str, Any], name: str) -> dict[int, bytes]:
    return {pair["key"]: pair["value"] for pair in file.get(name) or ()}


def _texts(found: Found, value: Any, rules: Rules, seen: Seen) -> None:
    for text in _strings(value):
        for ended in rules.ended_names(text):
            seen.tell("expired-reference", found.uri, f"it names {ended}")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _strings(key)
            yield from _strings(each)
    elif isinstance(value, Iterable):
        for each in value:
            yield from _strings(each)


def _folder(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    """Nothing is in it: its name has been judged, and its size."""
    del lake, found, rules, seen


def _journal(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    """Names what is to be deleted, as it must; the part of a run that is under way."""
    del rules, seen
    msgspec.json.decode(lake.store.read(found.uri), type=journal.Part)


def _certificate(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    """Names days and digests of what went, as it must; `retain certificate check` does more."""
    del rules, seen
    Signed.parse(lake.store.read(found.uri), found.uri)


def _key(lake: Lake, found: Found, rules: Rules, seen: Seen) -> None:
    del rules, seen
    PublicKey.from_pem(lake.store.read(found.uri), found.uri)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


_DECODERS: Final[dict[str, Callable[[Lake, Found, Rules, Seen], None]]] = {
    "rows": _rows,
    "evidence-rows": _evidence_rows,
    "metadata": _metadata,
    "manifests": _manifest,
    "index": _index,
    "packs": _pack,
    "evidence-packs": _evidence_pack,
    "journal": _journal,
    "certificates": _certificate,
    "keys": _key,
    "folders": _folder,
}
