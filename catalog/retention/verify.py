"""Is everything gone that has ended? From the stored bytes, and from nothing the purge says.

Every object under the warehouse is listed and judged by its address; metadata is decoded in
full, data in full or as a sample; a row is judged by its day and, by another way, by its time of
capture. With access to the store's disks what lies there is compared with what the store lists.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from alpr.errors import ConfigurationError, Corrupt
from alpr.retention import Retention
from catalog.lake import Lake
from catalog.retention import disk
from catalog.retention.bucket import hidden
from catalog.retention.decoders import SAMPLED, Found, Seen, decode, judge_address
from catalog.retention.rules import Rules
from catalog.retention.topics import Topics, judge_topics
from catalog.retention.verification import KEPT_FINDINGS, Finding, Verification
from catalog.store import StoredObject

ALL_PPM: Final = 1_000_000
_THREADS: Final = 4
_ROUNDS: Final = 2
"""The second one judges what came while the first was under way."""

_SETTLE_S, _LOOK_EVERY_S = 360.0, 2.0
"""How long the store's trash may take to be emptied, and how often it is looked at.

MinIO empties it every 10 s, as it is set here, but first 5 minutes after its start.
"""


class Progress(NamedTuple):
    """How far a check is: objects judged of those listed so far, and their bytes."""

    objects: int
    of: int
    bytes: int
    of_bytes: int


@dataclass
class _Tally:
    listed: Counter[str] = field(default_factory=Counter)
    decoded: Counter[str] = field(default_factory=Counter)
    listed_bytes: int = 0
    decoded_bytes: int = 0
    rows: int = 0
    images: int = 0
    held: int = 0
    gone: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, findings: Iterable[Finding]) -> None:
        for each in findings:
            self.found += each.count
            if len(self.findings) < KEPT_FINDINGS:
                self.findings.append(each)


def verify(
    lake: Lake,
    retention: Retention,
    now: datetime,
    *,
    share_ppm: int = ALL_PPM,
    seed: int = 0,
    store_disk: Path | None = None,
    topics: Topics | None = None,
    more: Sequence[Finding] | None = None,
    progress: Callable[[Progress], object] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> Verification:
    """Look for everything that had ended by `now` and is not held.

    `share_ppm`: millionths of the data objects to open, drawn by `seed`; addresses and metadata
    are always judged in full. `store_disk`: MinIO's folder; its trash is waited for. `topics`: asks
    Kafka. `more`: what a search for canaries found (None: there was none). `progress` is told after
    every object, and while the trash is waited for. Memory: the listing (some hundred bytes an
    object) and, of each of four threads, a pack or some 100,000 rows.
    Raises Unavailable if catalogue or store do not answer, ConfigurationError if `store_disk` is
    no folder of MinIO.
    """
    if not 0 < share_ppm <= ALL_PPM:
        raise ConfigurationError("a share above 0 and up to 1 is required")
    if store_disk is not None:
        disk.check_folder(store_disk)
        if lake.config.s3 is None:
            raise ConfigurationError("the lake is a local folder: it has no store with disks")
    started = clock()
    rules = Rules.of(lake, retention, now)
    tally, scope, limits = _Tally(), ["store"], []
    tally.add(hidden(lake))
    known = _judge_all(lake, rules, tally, share_ppm, seed, progress)
    if store_disk is not None:
        scope.append("disk")
        whole = Progress(len(known), len(known), tally.listed_bytes, tally.listed_bytes)
        tally.add(_disk(lake, store_disk, known, sleep, lambda: progress(whole)))
    elif lake.config.s3 is not None:
        limits.append("the store's disks were not looked at: its trash and half-written objects")
    if topics is not None:
        scope.append("topics")
        tally.add(judge_topics(topics(), clock()))
    else:
        limits.append("Kafka was not asked")
    if more is not None:
        scope.append("canary")
        tally.add(more)
    limits.append(
        "of rows only the columns are decoded that say when they end and which images they name"
    )
    limits.append(
        "free blocks of file systems, worn-out cells of solid-state disks, swap, backups and "
        "whatever was copied out of the platform cannot be seen from here"
    )
    if lake.config.s3 is not None:
        limits.append(f"objects of the bucket outside {lake.config.warehouse}")
    return Verification(
        judged_at=now,
        started_at=started,
        finished_at=clock(),
        share_ppm=share_ppm,
        seed=seed,
        cutoffs=dict(rules.cutoffs),
        scope=tuple(scope),
        listed=dict(sorted(tally.listed.items())),
        decoded=dict(sorted(tally.decoded.items())),
        listed_bytes=tally.listed_bytes,
        decoded_bytes=tally.decoded_bytes,
        rows=tally.rows,
        images=tally.images,
        held=tally.held,
        gone=tally.gone,
        found=tally.found,
        findings=tuple(tally.findings),
        limits=tuple(limits),
    )


def _judge_all(
    lake: Lake,
    rules: Rules,
    tally: _Tally,
    share_ppm: int,
    seed: int,
    progress: Callable[[Progress], object],
) -> set[str]:
    """Judge everything listed, then whatever came while that was done; the addresses listed."""
    known: set[str] = set()
    objects = of_bytes = done_bytes = 0
    for _ in range(_ROUNDS):
        fresh = [item for item in lake.store.list(lake.config.warehouse) if item.uri not in known]
        known |= {item.uri for item in fresh}
        of_bytes += sum(item.size for item in fresh)
        for item, found, seen in _opened(lake, rules, fresh, share_ppm, seed):
            objects += 1
            done_bytes += item.size
            progress(Progress(objects, len(known), done_bytes, of_bytes))
            tally.listed[found.kind] += 1
            tally.listed_bytes += item.size
            wrong = list(judge_address(found, rules))
            if isinstance(seen, Corrupt):
                # Compaction, sweeps and the table itself delete files that were listed before.
                if not lake.store.exists(item.uri):
                    tally.gone += 1
                    continue
                wrong.append(Finding(kind="undecodable", where=item.uri, what=str(seen)))
            elif seen is not None:
                tally.decoded[found.kind] += 1
                tally.decoded_bytes += item.size
                tally.rows += seen.rows
                tally.images += seen.images
                tally.held += seen.held
                wrong += seen.findings
            if wrong and not lake.store.exists(item.uri):
                tally.gone += 1
                continue
            tally.add(wrong)
    return known


def _opened(
    lake: Lake, rules: Rules, items: Sequence[StoredObject], share_ppm: int, seed: int
) -> Iterator[tuple[StoredObject, Found, Seen | Corrupt | None]]:
    """Each object with what was in it: Corrupt if it cannot be decoded, None if not drawn."""

    def look(item: StoredObject, found: Found) -> Seen | Corrupt | None:
        if found.kind == "unknown":
            return None
        if found.kind in SAMPLED and not _drawn(item.uri, share_ppm, seed):
            return None
        try:
            return decode(lake, found, rules)
        except Corrupt as error:
            return error

    waiting: list[tuple[StoredObject, Found, Future[Seen | Corrupt | None]]] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        for item in items:
            found = Found.of(item.uri, lake.config.warehouse, item.size)
            waiting.append((item, found, threads.submit(look, item, found)))
            if len(waiting) > 2 * _THREADS:
                first, what, result = waiting.pop(0)
                yield first, what, result.result()
        for first, what, result in waiting:
            yield first, what, result.result()


def _drawn(uri: str, share_ppm: int, seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}:{uri}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % ALL_PPM < share_ppm


def _disk(
    lake: Lake,
    root: Path,
    listed: set[str],
    sleep: Callable[[float], None],
    tick: Callable[[], object],
) -> Iterator[Finding]:
    """What lies on the store's disk and in no listing; `tick` is called while it waits."""
    warehouse = lake.config.warehouse
    bucket, _, prefix = warehouse.removeprefix("s3://").partition("/")
    seen, suspects = 0, dict[str, Path]()
    for item in disk.objects(root, bucket, prefix):
        seen += 1
        uri = f"s3://{bucket}/{item.key}"
        if item.versions != 1 and item.folder.exists():
            yield Finding(
                kind="versions" if item.versions else "undecodable",
                where=str(item.folder),
                what=f"{item.versions} versions are kept"
                if item.versions
                else f"its {disk.META} is none that is known here",
            )
        if uri not in listed:
            suspects[uri] = item.folder
    if listed and not seen:
        raise ConfigurationError(
            f"{root} has nothing of {warehouse}, which holds {len(listed)} objects: give the "
            "folder of the store that the lake is in"
        )
    # What came since the listing is not hidden: the store lists it now. Nor is what went.
    now = {item.uri for item in lake.store.list(warehouse)} if suspects else set()
    for uri, folder in suspects.items():
        if uri not in now and folder.exists():
            yield Finding(
                kind="unlisted", where=str(folder), what="an object that the store does not list"
            )
    # Uploads and deletions pass through these folders at all times: what stays is left over.
    left = {each.path: each for each in disk.leftovers(root)}
    waited = 0.0
    while left and waited < _SETTLE_S:
        sleep(_LOOK_EVERY_S)
        tick()
        waited += _LOOK_EVERY_S
        still = {each.path for each in disk.leftovers(root)}
        left = {path: each for path, each in left.items() if path in still}
    for each in left.values():
        yield Finding(
            kind="leftover",
            where=str(each.path),
            what=f"{each.size} bytes in the store's {each.area} after {waited:.0f} s",
        )
