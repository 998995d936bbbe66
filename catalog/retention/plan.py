"""What will go, when and why: every class and local day that the lake has, with its end.

Counts come from the manifests and from the list of image packs; no data file is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from alpr.holds import HoldState, fold
from alpr.retention import RetentionClass
from catalog.cutoffs import read_cutoffs
from catalog.files import live_files, partition_of
from catalog.lake import Lake
from catalog.parquet import Partition
from catalog.retention.evidence import hold_log
from catalog.retention.interlock import pending_holds
from catalog.retention.remains import partition_in
from catalog.schemas import READS, TABLES

_KINDS: Final = {"reads": "read", "hits": "hit"}
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, order=True)
class Touching:
    """A hold that has, or had, records of a partition.

    `status`: as `alpr.holds`; `pinning`: its records are not copied yet, so the partition stays.
    """

    hold_id: str
    kind: str
    clause: str
    status: str
    until: date | None
    pinning: bool


@dataclass
class _Counts:
    rows: int = 0
    files: int = 0
    bytes: int = 0
    packs: int = 0
    pack_bytes: int = 0


@dataclass(frozen=True)
class PlanLine:
    """One class and local day of one table.

    `rule`: its class; None: no policy has it, so nothing of it ever goes. `ends_at`: the moment
    (UTC) from which it must not be there. `packs`: objects with images, of table `reads` only.
    """

    table: str
    retention_class: str
    day: date
    rule: RetentionClass | None
    rows: int
    files: int
    bytes: int
    packs: int
    pack_bytes: int
    holds: tuple[Touching, ...]

    @property
    def last_day(self) -> date | None:
        """The last local day on which it is kept."""
        return None if self.rule is None else self.rule.last_day(self.day)

    @property
    def ends_at(self) -> datetime | None:
        """The moment it ends, UTC."""
        return None if self.rule is None else self.rule.ends_at(self.day)

    @property
    def pinned(self) -> bool:
        """Whether it stays beyond its end until a hold has copied its records."""
        return any(hold.pinning for hold in self.holds)

    def is_due(self, now: datetime) -> bool:
        """Whether the next purge takes it."""
        return (end := self.ends_at) is not None and end <= now and not self.pinned

    def as_json(self, now: datetime) -> dict[str, Any]:
        """Plain values, for JSON."""
        rule, end = self.rule, self.ends_at
        return {
            "table": self.table,
            "class": self.retention_class,
            "day": self.day.isoformat(),
            "rows": self.rows,
            "files": self.files,
            "bytes": self.bytes,
            "packs": self.packs,
            "pack_bytes": self.pack_bytes,
            "last_day": rule and rule.last_day(self.day).isoformat(),
            "ends_at": end and end.isoformat(),
            "due": self.is_due(now),
            "pinned": self.pinned,
            "holds": [
                {
                    "hold_id": hold.hold_id,
                    "kind": hold.kind,
                    "clause": hold.clause,
                    "status": hold.status,
                    "until": hold.until and hold.until.isoformat(),
                    "pinning": hold.pinning,
                }
                for hold in self.holds
            ],
        }


@dataclass(frozen=True)
class Plan:
    """What will go. `cutoffs`: per table and class the first day that the table may hold so far.

    `lines` are in the order in which they end; those that never end come last.
    """

    at: datetime
    lines: tuple[PlanLine, ...]
    cutoffs: Mapping[str, Mapping[str, date]]
    rules: Mapping[str, RetentionClass] = field(default_factory=dict)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Stored classes that no policy has."""
        return tuple(sorted({line.retention_class for line in self.lines if line.rule is None}))

    @property
    def due(self) -> tuple[PlanLine, ...]:
        """What the next purge takes."""
        return tuple(line for line in self.lines if line.is_due(self.at))

    def within(self, days: int) -> Plan:
        """Only what has ended, ends within so many times 24 hours, or never ends."""
        until = self.at + timedelta(days=days)
        lines = tuple(line for line in self.lines if (end := line.ends_at) is None or end <= until)
        return Plan(self.at, lines, self.cutoffs, self.rules)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON; a bound that a policy does not state is null."""
        return {
            "at": self.at.isoformat(),
            "unknown_classes": list(self.unknown),
            "classes": {name: _rule_as_json(rule) for name, rule in sorted(self.rules.items())},
            "cutoffs": {
                table: {name: day.isoformat() for name, day in sorted(days.items())}
                for table, days in self.cutoffs.items()
            },
            "lines": [line.as_json(self.at) for line in self.lines],
        }


Holds = Mapping[tuple[str, Partition], Iterable[Touching]]
"""Which holds touch a partition of a table."""


def make_plan(lake: Lake, now: datetime, holds: Holds | None = None) -> Plan:
    """The plan of a lake at a moment; `holds` None: as their history and the tables say.

    Raises Unavailable if catalogue or store do not answer, Corrupt for a table that this
    version did not write.
    """
    counts: dict[tuple[str, Partition], _Counts] = {}
    cutoffs: dict[str, dict[str, date]] = {}
    pending: dict[str, dict[str, frozenset[Partition]]] = {}
    for name in TABLES:
        table = lake.table(name)
        cutoffs[name] = read_cutoffs(table)
        pending[name] = pending_holds(table)
        for file in live_files(table):
            found = counts.setdefault((name, partition_of(file)), _Counts())
            found.rows += file.record_count
            found.files += 1
            found.bytes += file.file_size_in_bytes
    for partition, size in _packs(lake):
        found = counts.setdefault((READS.name, partition), _Counts())
        found.packs += 1
        found.pack_bytes += size
    if holds is None:
        holds = _holds(lake, now, pending)
    rules = lake.retention.classes
    lines = [
        PlanLine(
            table=table,
            retention_class=partition.retention_class,
            day=partition.date,
            rule=rules.get(partition.retention_class),
            rows=each.rows,
            files=each.files,
            bytes=each.bytes,
            packs=each.packs,
            pack_bytes=each.pack_bytes,
            holds=tuple(sorted(holds.get((table, partition), ()))),
        )
        for (table, partition), each in counts.items()
    ]
    lines.sort(
        key=lambda line: (
            line.ends_at is None,
            line.ends_at or now,
            line.retention_class,
            line.day,
            line.table,
        )
    )
    used = {line.retention_class for line in lines}
    return Plan(
        now, tuple(lines), cutoffs, {name: rules[name] for name in sorted(used) if name in rules}
    )


def _packs(lake: Lake) -> Iterator[tuple[Partition, int]]:
    for item in lake.store.list(f"{lake.config.warehouse}/images"):
        if (partition := partition_in(item.uri)) is not None:
            yield partition, item.size


def _holds(
    lake: Lake, now: datetime, pending: Mapping[str, Mapping[str, frozenset[Partition]]]
) -> dict[tuple[str, Partition], set[Touching]]:
    states = {name: fold(events) for name, events in hold_log(lake).subjects().items()}
    found: dict[tuple[str, Partition], set[Touching]] = {}
    for name, state in states.items():
        for table, kind in _KINDS.items():
            pins = pending[table].get(name, frozenset())
            places = {
                Partition((record.captured_on - _EPOCH).days, record.retention_class)
                for record in state.hold.records
                if record.kind == kind
            }
            for partition in places | pins:
                touching = _touching(state, now, partition in pins and state.is_unfinished(now))
                found.setdefault((table, partition), set()).add(touching)
    return found


def _touching(state: HoldState, now: datetime, pinning: bool) -> Touching:
    hold = state.hold
    return Touching(hold.hold_id, hold.kind, hold.clause, state.status(now), state.until, pinning)


def _rule_as_json(rule: RetentionClass) -> dict[str, Any]:
    return {
        "policy": rule.policy,
        "zone": rule.zone,
        "keep": str(rule.keep),
        "keep_clause": rule.clause,
        "minimum": rule.minimum and str(rule.minimum),
        "minimum_clause": rule.minimum_clause,
        "maximum": rule.maximum and str(rule.maximum),
        "maximum_clause": rule.maximum_clause,
        "why": rule.why,
    }
