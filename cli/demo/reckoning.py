"""What the cameras showed against what came out: see `cli.balance` for how that is found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from alpr.plates import match_key
from alpr.records import Hit, HotlistEntry, Read
from catalog.lake import Lake
from cli.balance import Arrived, arrivals, balance
from ingest.simulator.truth import Shown
from ingest.topics import FRAMES, end_offsets


@dataclass
class Reckoning:
    """The demo's figures. Shares are 0 to 1, times in seconds unless the name says otherwise."""

    frames_sent: int = 0
    passes_shown: int = 0
    passes_unread: int = 0
    passes_read_twice: int = 0
    reads_emitted: int = 0
    reads_landed: int = 0
    reads_missing: int = 0
    reads_doubled: int = 0
    reads_of_no_pass: int = 0
    reads_exact_share: float = 0.0
    hits_planned: int = 0
    hits_expected: int = 0
    hits_emitted: int = 0
    hits_missing: int = 0
    hits_doubled: int = 0
    hits_unexpected: int = 0
    hits_landed: int = 0
    dead_letters: int = 0
    latency_ms: dict[str, dict[str, float | None]] = field(default_factory=dict)
    exact_by_light: dict[str, dict[str, float]] = field(default_factory=dict)
    exact_by_plate_width: dict[str, dict[str, float]] = field(default_factory=dict)
    engines_agree: bool = False

    @property
    def sound(self) -> bool:
        """Nothing missing, nothing doubled, nothing made up, and both engines count the same."""
        return self.engines_agree and not (
            self.reads_missing
            or self.reads_doubled
            or self.hits_missing
            or self.hits_doubled
            or self.hits_unexpected
            or self.hits_landed != self.hits_emitted
            or self.dead_letters
        )


def reckon(
    bootstrap: str, lake: Lake, shown: Sequence[Shown], entries: Sequence[HotlistEntry]
) -> Reckoning:
    """Work out every figure from truth, topics and lake."""
    seen = arrivals(bootstrap)
    found = balance(seen, lake, entries)
    result = Reckoning(
        frames_sent=sum(end_offsets(bootstrap, FRAMES).values()),
        passes_shown=len(shown),
        reads_emitted=found.reads_emitted,
        reads_landed=found.reads_landed,
        reads_missing=found.reads_missing,
        reads_doubled=found.reads_doubled + found.reads_unexplained,
        hits_planned=_planned(shown, entries),
        hits_expected=found.hits_expected,
        hits_emitted=found.hits_emitted,
        hits_missing=found.hits_missing + found.hits_not_landed,
        # Nothing is killed in a demo: a hit told twice is a fault here.
        hits_doubled=found.hits_doubled + found.hits_repeated,
        hits_unexpected=found.hits_unexplained,
        hits_landed=found.hits_landed,
        dead_letters=found.dead_letters,
        latency_ms=_latencies(seen.reads, seen.hits),
        engines_agree=found.engines_agree,
    )
    _compare_with_truth(result, shown, [a.record for a in seen.reads])
    return result


def _compare_with_truth(result: Reckoning, shown: Sequence[Shown], reads: Iterable[Read]) -> None:
    """Give each read to the pass that was in its picture, the nearest in text if there were two."""
    by_picture: dict[tuple[str, str, datetime], list[Shown]] = defaultdict(list)
    for each in shown:
        for showing in each.showings:
            by_picture[each.agency, each.camera, showing.captured_at].append(each)
    given: dict[str, list[Read]] = defaultdict(list)
    exact = 0
    unique = {read.read_id: read for read in reads}
    for read in unique.values():
        candidates = by_picture.get((read.agency, read.camera, read.captured_at), [])
        if not candidates:
            result.reads_of_no_pass += 1
            continue
        best = min(candidates, key=lambda each: _distance(each.plate, read.plate))
        given[best.pass_id].append(read)
        exact += best.plate == read.plate
    result.passes_unread = sum(1 for each in shown if each.pass_id not in given)
    result.passes_read_twice = sum(1 for got in given.values() if len(got) > 1)
    result.reads_exact_share = exact / len(unique) if unique else 0.0
    result.exact_by_light = _exact_by(shown, given, lambda each: str(each.light))
    result.exact_by_plate_width = _exact_by(shown, given, _width_class)


def _exact_by(
    shown: Sequence[Shown], given: dict[str, list[Read]], group: Any
) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Shown]] = defaultdict(list)
    for each in shown:
        groups[group(each)].append(each)
    return {
        name: {
            "passes": len(members),
            "exact_share": sum(
                any(read.plate == each.plate for read in given.get(each.pass_id, ()))
                for each in members
            )
            / len(members),
        }
        for name, members in sorted(groups.items())
    }


def _width_class(shown: Shown) -> str:
    for least, name in ((150, "150 px and more"), (100, "100 to 149 px"), (60, "060 to 99 px")):
        if shown.plate_width >= least:
            return name
    return "000 to 59 px"


def _distance(one: str, other: str) -> int:
    """Levenshtein distance."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def _planned(shown: Sequence[Shown], entries: Sequence[HotlistEntry]) -> int:
    """Hits that perfect reading of every pass would give."""
    listed: dict[str, list[HotlistEntry]] = defaultdict(list)
    for entry in entries:
        listed[match_key(entry.plate)].append(entry)
    return sum(
        entry.valid_from <= each.last_seen
        and (entry.valid_to is None or each.first_seen < entry.valid_to)
        for each in shown
        for entry in listed[match_key(each.plate)]
    )


def _latencies(
    reads: Sequence[Arrived], hits: Sequence[Arrived]
) -> dict[str, dict[str, float | None]]:
    arrived = {a.record.read_id: a.at for a in reversed(reads)}
    firsts: dict[str, tuple[Hit, float]] = {}
    for a in hits:
        firsts.setdefault(a.record.hit_id, (a.record, a.at))
    frame_to_hit = [at - hit.captured_at.timestamp() for hit, at in firsts.values()]
    read_to_hit = [at - arrived[hit.read_id] for hit, at in firsts.values()]
    frame_to_read = [a.at - a.record.captured_at.timestamp() for a in reads]
    return {
        "frame_to_read": _quantiles(frame_to_read),
        "frame_to_hit": _quantiles(frame_to_hit),
        "read_to_hit": _quantiles(read_to_hit),
    }


def _quantiles(seconds: Sequence[float]) -> dict[str, float | None]:
    if not seconds:
        return {"p50": None, "p99": None}
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"p50": round(float(p50) * 1000, 1), "p99": round(float(p99) * 1000, 1)}
