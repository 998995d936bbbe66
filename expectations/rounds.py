"""The service: again and again, which hours have changed, are they as they must be?

A round looks for hours of capture that commits since the last round added rows to (a late upload
makes an old hour new again), measures them, and checks those that are over. It reads the lake and
writes only its own tables (`catalog.quality`, `catalog.hours`) and pages: jobs, topics and the
lake's tables are never waited for, locked or changed. Killed at any point, the next round does
what this one did not note as done.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa

from alpr.errors import Corrupt
from catalog.hours import (
    KEEP,
    changed,
    done_hour,
    known_hours,
    note_hours,
    oldest_hour,
    prune_hours,
    put_camera_hours,
    put_hit_hours,
    seen_sequence,
    waiting_hours,
)
from catalog.lake import Lake
from catalog.quality import KEEP as KEEP_RESULTS
from catalog.quality import Result, clear_stale_alerts, prepare, prune, record
from catalog.schemas import HITS, READS, TABLES
from catalog.slices import HOUR, HourCount, changed_hours, floor_hour
from expectations.alerts import Changes, apply, merge, say_stale
from expectations.checkpoint import check_hour, run_numbers
from expectations.findings import Finding, Outcome
from expectations.frames import WHY_NOT, camera_frame, hit_frame
from expectations.hotlist import HotList, check_list, check_sources
from expectations.measures import ENOUGH_PLATES, measure_cameras, measure_hits, measure_states
from expectations.past import Past
from expectations.registry import Registry
from expectations.specs import Suite
from expectations.suites import (
    Limits,
    camera_suite,
    hit_rate_suite,
    list_suites,
    state_suite,
    suites,
)

log = logging.getLogger(__name__)

READABLE: Final = "the rows can be read"
FOUND: Final = "what has changed can be found"

_MEASURED_ROWS: Final = 2_000_000
"""Rows measured at once, and so the memory, as far as a single hour allows."""

_STALE: Final = timedelta(days=14)
"""An alert that no check has found for so long is about something nobody judges any more."""

_SILENCE: Final = timedelta(hours=24)
"""So far back hours without a read are judged as such, after the service itself was away."""


@dataclass(frozen=True)
class Plan:
    """What a round does.

    `settle`: how long after its end an hour is checked, so that what is on its way can land.
    `first_look`: of a lake never looked at, hours this young are checked, older ones only
    measured (as the past that cameras are judged by). `pages`: folder of the Data Docs, or None.
    `hot_list`: gives the list in force, or None if there is none; None: do not look.
    """

    registry: Registry | None = None
    retention_classes: tuple[str, ...] = ("default",)
    limits: Limits = field(default_factory=Limits)
    past: Past = field(default_factory=Past)
    settle: timedelta = timedelta(minutes=10)
    first_look: timedelta = timedelta(hours=24)
    pages: Path | None = None
    hot_list: Callable[[], HotList | None] | None = None


@dataclass(frozen=True)
class Round:
    """What a round did: parts checked, alerts changed, hours of which more is to come."""

    outcomes: tuple[Outcome, ...]
    changes: Changes
    waiting: int
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing checked in this round is broken."""
        return all(outcome.ok for outcome in self.outcomes)


class Rounds:
    """The rounds of one process. Raises Unavailable if the catalogue does not answer."""

    def __init__(
        self,
        lake: Lake,
        plan: Plan,
        *,
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._lake = lake
        self._plan = plan
        self._stop = stop
        self._clock = clock
        self._new_id = new_id
        self._list_version: str | None = None
        self._list_hour: datetime | None = None
        prepare(lake)

    def run(self, now: datetime) -> Round:
        """One round. What it could not finish because `stop` said so waits for the next.

        Raises Unavailable if catalogue or store do not answer; what was checked stays checked.
        """
        started = self._clock()
        outcomes: list[Outcome] = []
        changes = Changes()
        for table in TABLES:
            found = [self._discover(table, now)]
            changes += self._alert(found, f"{floor_hour(now):%Y-%m-%dT%H}", now)
            if not found[0].ok:
                self._keep(found, now)
                outcomes += found
            for count in waiting_hours(self._lake, table):
                if self._stop():
                    break
                if not self._over(count.hour, now):
                    continue
                found = list(self._check(table, count, now))
                self._keep(found, now)
                changes += self._alert(found, f"{count.hour:%Y-%m-%dT%H}", now)
                if not _unreadable(found):
                    done_hour(self._lake, table, count)
                outcomes += found
        found = list(self._check_list(now))
        self._keep(found, now)
        # A list has no hour: what was looked at later counts.
        changes += self._alert(found, f"{now:%Y-%m-%dT%H:%M:%S}", now)
        outcomes += found
        reason = f"not judged for {_STALE.days} days"
        stale = clear_stale_alerts(self._lake, now - _STALE, reason, now)
        changes += say_stale(stale, reason)
        prune(self._lake, now - KEEP_RESULTS)
        prune_hours(self._lake, now - KEEP)
        waiting = sum(len(waiting_hours(self._lake, table)) for table in TABLES)
        return Round(tuple(outcomes), changes, waiting, round(self._clock() - started, 3))

    def check_hour(self, table: str, hour: datetime, now: datetime) -> list[Outcome]:
        """Check one hour, whether it waits or not; neither recorded nor made an alert."""
        for each in TABLES:
            discover(self._lake, each, now, self._plan.first_look)
        return list(self._check(table, HourCount(hour, 1, None), now))

    def _discover(self, table: str, now: datetime) -> Outcome:
        try:
            news = discover(self._lake, table, now, self._plan.first_look)
        except Corrupt as error:
            log.warning("quality: cannot find what has changed in %s: %s", table, error)
            return Outcome(table, "changes", 0, (_unread(FOUND, error),), 0.0)
        return Outcome(table, "changes", 0, (Finding(FOUND, True, len(news), 0),), 0.0)

    def _over(self, hour: datetime, now: datetime) -> bool:
        # An hour far ahead will never be over: some row's time is wrong, and must come to light.
        return hour + HOUR + self._plan.settle <= now or hour > now + HOUR

    def _check(self, table: str, count: HourCount, now: datetime) -> Iterator[Outcome]:
        plan, hour = self._plan, count.hour
        part = f"{hour:%Y-%m-%dT%H}"
        try:
            if count.rows:
                suite = suites(plan.retention_classes, plan.registry)[table]
                rows = 0
                for outcome in check_hour(self._lake, suite, hour, now, plan.pages):
                    rows += outcome.rows
                    yield outcome
                readable = Finding(READABLE, True, rows, 0)
                yield Outcome(table, part, rows, (readable,), 0.0, hour=hour)
            if table == READS.name:
                out = plan.registry.out_of_service if plan.registry else frozenset()
                numbers = camera_frame(self._lake, hour, plan.past, out).table()
                yield self._numbers(camera_suite(plan.limits), numbers, part, hour)
                states = measure_states(self._lake, hour)
                yield self._numbers(state_suite(plan.limits), states, part, hour)
            hits = hit_frame(self._lake, hour, plan.past)
            yield self._numbers(hit_rate_suite(plan.limits), hits, part, hour)
        except Corrupt as error:
            log.warning("quality: %s of %s cannot be checked: %s", part, table, error)
            yield Outcome(table, part, 0, (_unread(READABLE, error),), 0.0, hour=hour)

    def _numbers(self, suite: Suite, numbers: pa.Table, part: str, hour: datetime) -> Outcome:
        why_not = {
            **{rule.columns[-1]: WHY_NOT for rule in suite.rules},
            "unfit": f"fewer than {ENOUGH_PLATES} plates of every state",
        }
        outcome = run_numbers(suite, numbers, part, self._plan.pages, why_not)
        return replace(outcome, hour=hour)

    def _check_list(self, now: datetime) -> Iterator[Outcome]:
        if self._plan.hot_list is None:
            return
        hour = floor_hour(now)
        try:
            listed = self._plan.hot_list()
        except Corrupt as error:
            table = list_suites()[0].table
            yield Outcome(table, "in-force", 0, (_unread(READABLE, error),), 0.0)
            return
        if listed is None:
            return
        if listed.version != self._list_version:
            yield from check_list(listed, self._plan.limits, now, self._plan.pages)
        elif hour != self._list_hour:
            yield check_sources(listed, self._plan.limits, now, self._plan.pages)
        self._list_version, self._list_hour = listed.version, hour

    def _keep(self, outcomes: Sequence[Outcome], now: datetime) -> None:
        run_id = self._new_id()
        record(self._lake, [each for o in outcomes for each in results_of(o, run_id, now)])

    def _alert(self, outcomes: Sequence[Outcome], part: str, now: datetime) -> Changes:
        changes = Changes()
        for table in dict.fromkeys(outcome.table for outcome in outcomes):
            findings = merge([outcome for outcome in outcomes if outcome.table == table])
            changes += apply(self._lake, table, findings, part, now)
        return changes


def discover(lake: Lake, table: str, now: datetime, first_look: timedelta) -> list[datetime]:
    """Find the hours that changed since the last time, measure them, and have them wait.

    Of reads also hours without any, which nothing changed: silence must be judged too. Returns
    the hours that changed. Raises as `catalog.slices.changed_hours`.
    """
    since = seen_sequence(lake, table)
    sequence, counts = changed_hours(lake, table, since)
    news = changed(lake, table, counts)
    # First measured, then noted: what was not noted is found again.
    for batch in _batches(news):
        _measure(lake, table, batch)
    check_from = floor_hour(now - first_look) if since == 0 else None
    if news or sequence != since:
        note_hours(lake, table, news, sequence, check_from)
    if table == READS.name:
        _note_silence(lake, now)
    return [count.hour for count in news]


def results_of(outcome: Outcome, run_id: str, now: datetime) -> Iterator[Result]:
    """An outcome as rows of the table of results."""
    for finding in outcome.findings:
        yield Result(
            run_id=run_id,
            at=now,
            table=outcome.table,
            part=outcome.part,
            rows=outcome.rows,
            rule=finding.rule,
            ok=finding.ok,
            checked=finding.checked,
            unexpected=finding.unexpected,
            hour=outcome.hour,
            observed=finding.observed,
            expected=finding.expected,
            error=finding.error,
            subjects=finding.subjects,
            seconds=outcome.seconds,
            page=outcome.page,
        )


def _measure(lake: Lake, table: str, batch: Sequence[HourCount]) -> None:
    hours = [count.hour for count in batch]
    first, end = hours[0], hours[-1] + HOUR
    if table == READS.name:
        put_camera_hours(lake, hours, measure_cameras(lake, first, end))
    elif table == HITS.name:
        put_hit_hours(lake, hours, measure_hits(lake, first, end))


def _batches(counts: Sequence[HourCount]) -> Iterator[list[HourCount]]:
    """Hours next to each other, as many as are measured at once; sorted by time."""
    batch: list[HourCount] = []
    for count in sorted(counts, key=lambda each: each.hour):
        rows = sum(each.rows for each in batch) + count.rows
        if batch and (count.hour != batch[-1].hour + HOUR or rows > _MEASURED_ROWS):
            yield batch
            batch = []
        batch.append(count)
    if batch:
        yield batch


def _note_silence(lake: Lake, now: datetime) -> None:
    oldest = oldest_hour(lake, READS.name)
    if oldest is None:
        return
    end = floor_hour(now)
    hour = max(oldest, end - _SILENCE)
    known = known_hours(lake, READS.name, hour, end)
    silent = []
    while hour < end:
        if hour not in known:
            silent.append(HourCount(hour, 0, None))
        hour += HOUR
    note_hours(lake, READS.name, silent)


def _unread(rule: str, error: Corrupt) -> Finding:
    return Finding(rule, False, 0, 0, f"{type(error).__name__}: see the log")


def _unreadable(outcomes: Sequence[Outcome]) -> bool:
    return any(finding.rule == READABLE for o in outcomes for finding in o.broken)
