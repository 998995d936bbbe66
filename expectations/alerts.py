"""From findings to alerts: raised once for each thing that is wrong, closed when it is mended.

An alert is a row of `quality_alerts` and a line of the log. Nothing waits for it, and nothing in
the stream stops: who must know looks at the table (`platelake quality alerts`), the log, or the
metric `platelake_quality_alerts_open`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from catalog.lake import Lake
from catalog.quality import Alert, clear_alert, find_alerts, open_alert
from expectations.findings import Finding, Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Changes:
    """What became of alerts: table, rule and subject of those raised and those cleared."""

    raised: tuple[tuple[str, str, str], ...] = ()
    cleared: tuple[tuple[str, str, str], ...] = ()

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.raised + other.raised, self.cleared + other.cleared)


def merge(outcomes: Sequence[Outcome]) -> tuple[Finding, ...]:
    """The findings of several parts of one slice as one: broken in a part is broken."""
    merged: dict[str, Finding] = {}
    for outcome in outcomes:
        for finding in outcome.findings:
            before = merged.get(finding.rule)
            merged[finding.rule] = finding if before is None else _both(before, finding)
    return tuple(merged.values())


def apply(lake: Lake, table: str, findings: Iterable[Finding], part: str, now: datetime) -> Changes:
    """Raise and clear alerts by what was found in a part; `part`s must sort by time.

    A rule that was not judged does neither. What a later part found is not cleared by an
    earlier one: a late upload may have an old hour checked again. Raises Unavailable.
    """
    raised: list[tuple[str, str, str]] = []
    cleared: list[tuple[str, str, str]] = []
    listed = {(alert.rule, alert.subject) for alert in find_alerts(lake, table=table)}
    for finding in findings:
        broken, fine = _subjects(finding)
        for subject in broken:
            if open_alert(lake, table, finding.rule, subject, part, finding.told, now):
                raised.append((table, finding.rule, subject))
                _say("raised", table, finding.rule, subject, part, finding.told)
        for subject in fine:
            if (finding.rule, subject) in listed and clear_alert(
                lake, table, finding.rule, subject, part, f"holds in {part}", now
            ):
                cleared.append((table, finding.rule, subject))
                _say("cleared", table, finding.rule, subject, part, "it holds again")
    return Changes(tuple(raised), tuple(cleared))


def say_stale(alerts: Iterable[Alert], reason: str) -> Changes:
    """Tell of alerts that were closed because nobody judges them any more."""
    cleared = []
    for alert in alerts:
        _say("cleared", alert.table, alert.rule, alert.subject, alert.last_part, reason)
        cleared.append((alert.table, alert.rule, alert.subject))
    return Changes(cleared=tuple(cleared))


def _subjects(finding: Finding) -> tuple[Sequence[str], Iterable[str]]:
    """What an alert is about: names where there are any, else the table as a whole ("")."""
    if finding.ok is None:
        return (), ()
    if finding.subjects or finding.fine:
        return finding.subjects, (*finding.fine, "")
    return (("",), ()) if not finding.ok else ((), ("",))


def _both(one: Finding, other: Finding) -> Finding:
    worse, better = (one, other) if one.ok is False else (other, one)
    if worse.ok is None and better.ok is not None:
        worse, better = better, worse
    return replace(
        worse,
        checked=one.checked + other.checked,
        unexpected=one.unexpected + other.unexpected,
        subjects=tuple(sorted({*one.subjects, *other.subjects})),
        fine=(one.fine | other.fine) - {*one.subjects, *other.subjects},
    )


def _say(what: str, table: str, rule: str, subject: str, part: str, told: str) -> None:
    about = f" for {subject}" if subject else ""
    log.warning("quality alert %s: %s: %s%s, in %s (%s)", what, table, rule, about, part, told)
