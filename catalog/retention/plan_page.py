"""A plan as a page: what ends when on a line of time, and the rule of each class beside it.

HTML and SVG without anything from outside, without scripts, and without any plate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from html import escape
from typing import Final

from alpr.retention import Period, RetentionClass
from catalog.retention.plan import Plan, PlanLine

_WIDTH, _LANE, _LEFT, _TOP = 1000, 56, 150, 26
_SHOWN: Final = 400
"""So many days of a class are listed one by one; the rest is in the timeline and in the sums."""

_Place = Callable[[date], float]
"""Where on the line of time a day lies."""

_STYLE: Final = """
:root{color-scheme:light dark;--line:#e3e6ea;--soft:#59636e;--bad:#a40e26;--held:#9a6700;
--ink:#0969da}
@media(prefers-color-scheme:dark){:root{--line:#2b3036;--soft:#9aa4ae;--bad:#ff7b72;--held:#d29922;
--ink:#58a6ff}}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}
p{color:var(--soft);margin:.2rem 0}.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.85rem}
th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.due{color:var(--bad);font-weight:600}.held{color:var(--held)}
svg{display:block;width:100%;min-width:40rem;height:auto}svg text{font-size:12px;fill:var(--soft)}
svg .lane{stroke:var(--line)}svg .tick{stroke:var(--line);stroke-dasharray:2 3}
svg .now{stroke:var(--bad)}rect.kept{fill:var(--ink)}rect.due{fill:var(--bad)}
rect.held{fill:var(--held)}rect.key{width:10px;height:10px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.3rem 0}dd{margin:0}
summary{cursor:pointer;color:var(--soft)}
"""


def page(plan: Plan) -> str:
    """The whole page."""
    due = plan.due
    told = (
        f"{sum(line.rows for line in due):,} records of {len(due)} days and tables are due now."
        if due
        else "Nothing is due now."
    )
    unknown = "".join(
        f'<p class="due">No policy has the class {escape(name)}: nothing of it ever goes.</p>'
        for name in plan.unknown
    )
    sections = "".join(_section(plan, name) for name in _classes(plan))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Retention plan</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Retention plan</h1><p>As of {plan.at:%Y-%m-%d %H:%M} UTC. {told}</p>{unknown}"
        f'<div class="wide">{timeline(plan)}</div>{sections}</body></html>\n'
    )


def timeline(plan: Plan) -> str:
    """Every class a lane, every local day a bar where it ends, as high as its share of rows."""
    ending = [(line, end.date()) for line in plan.lines if (end := line.ends_at) is not None]
    if not ending:
        return ""
    today = plan.at.date()
    first = min(today, *(day for _, day in ending)) - timedelta(days=1)
    last = max(today, *(day for _, day in ending)) + timedelta(days=1)
    scale = (_WIDTH - _LEFT - 20) / (last - first).days

    def x(day: date) -> float:
        return _LEFT + (day - first).days * scale

    names = [name for name in _classes(plan) if name in plan.rules]
    height = _TOP + _LANE * len(names) + 24
    parts = [_ticks(first, last, x, height), _key()]
    for number, name in enumerate(names):
        base = _TOP + _LANE * (number + 1) - 6
        parts.append(
            f'<line class="lane" x1="{_LEFT}" x2="{_WIDTH - 20}" y1="{base}" y2="{base}"/>'
            f'<text x="0" y="{base - 16}">{escape(name)}</text>'
            f'<text x="0" y="{base - 2}">{escape(str(plan.rules[name].keep))}</text>'
        )
        parts += _bars(
            plan, [(e, d) for e, d in ending if e.retention_class == name], x, base, scale
        )
    at = x(today)
    parts.append(
        f'<line class="now" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{height - 20}"/>'
        f'<text x="{at + 3:.1f}" y="{height - 8}">today</text>'
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="When each day of each class ends">{"".join(parts)}</svg>'
    )


def _bars(
    plan: Plan,
    ending: Sequence[tuple[PlanLine, date]],
    x: _Place,
    base: float,
    scale: float,
) -> list[str]:
    by_end: dict[date, list[PlanLine]] = {}
    for line, day in ending:
        by_end.setdefault(day, []).append(line)
    most = max(sum(line.rows for line in lines) for lines in by_end.values()) or 1
    bars = []
    for day, lines in sorted(by_end.items()):
        rows = sum(line.rows for line in lines)
        high = 2 + (_LANE - 18) * rows / most
        days = ", ".join(sorted({line.day.isoformat() for line in lines}))
        title = f"captured {days}: {rows:,} records end {lines[0].ends_at:%Y-%m-%d %H:%M} UTC"
        bars.append(
            f'<rect class="{_state(plan, lines)}" x="{x(day):.1f}" y="{base - high:.1f}" '
            f'width="{max(scale * 0.8, 0.8):.2f}" height="{high:.1f}">'
            f"<title>{escape(title)}</title></rect>"
        )
    return bars


def _state(plan: Plan, lines: Sequence[PlanLine]) -> str:
    if any(line.pinned for line in lines):
        return "held"
    return "due" if any(line.is_due(plan.at) for line in lines) else "kept"


def _ticks(first: date, last: date, x: _Place, height: int) -> str:
    months = (last.year - first.year) * 12 + last.month - first.month
    step = max(1, -(-months // 12))
    parts = []
    for number in range(step, months + 1, step):
        month = first.month - 1 + number
        day = date(first.year + month // 12, month % 12 + 1, 1)
        if first <= day <= last:
            parts.append(
                f'<line class="tick" x1="{x(day):.1f}" x2="{x(day):.1f}" y1="{_TOP}" '
                f'y2="{height - 20}"/><text x="{x(day) + 3:.1f}" y="{_TOP + 8}">{day:%Y-%m}</text>'
            )
    return "".join(parts)


def _key() -> str:
    told = (("kept", "ends later"), ("due", "due now"), ("held", "stays for a hold"))
    return "".join(
        f'<rect class="key {name}" x="{_LEFT + 130 * n}" y="4"/>'
        f'<text x="{_LEFT + 130 * n + 15}" y="13">{words}</text>'
        for n, (name, words) in enumerate(told)
    )


def _section(plan: Plan, name: str) -> str:
    lines = [line for line in plan.lines if line.retention_class == name]
    rows = sum(line.rows for line in lines)
    size = sum(line.bytes + line.pack_bytes for line in lines)
    rule = plan.rules.get(name)
    shown = lines[:_SHOWN]
    more = len(lines) - len(shown)
    head = (
        "<th>Captured on<th>Table<th class=n>Records<th class=n>Files<th class=n>Packs"
        "<th class=n>Bytes<th>Kept through<th>Ends (UTC)<th>Holds"
    )
    body = "".join(_row(plan, line) for line in shown)
    told = f"<p>and {more:,} more</p>" if more else ""
    is_open = " open" if len(lines) <= 62 else ""
    return (
        f"<h2>{escape(name)}</h2><p>{rows:,} records, {size:,} bytes</p>{_rule(rule)}"
        f"{_cutoffs(plan, name)}<details{is_open}><summary>{len(lines):,} days and tables</summary>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div>{told}</details>"
    )


def _rule(rule: RetentionClass | None) -> str:
    if rule is None:
        return '<p class="due">No policy has this class.</p>'
    facts = (
        ("Policy", rule.policy),
        ("Kept", f"{rule.keep} ({rule.clause})"),
        ("At least", f"{_bound(rule.minimum)} ({rule.minimum_clause})"),
        ("At most", f"{_bound(rule.maximum)} ({rule.maximum_clause})"),
        ("Days end at", f"midnight in {rule.zone}"),
        ("Why", rule.why),
    )
    return f"<dl>{''.join(f'<dt>{k}<dd>{escape(v)}' for k, v in facts)}</dl>"


def _cutoffs(plan: Plan, name: str) -> str:
    told = ", ".join(
        f"{table} before {days[name]}" for table, days in plan.cutoffs.items() if name in days
    )
    return f"<p>Purged so far: {told or 'nothing'}.</p>"


def _row(plan: Plan, line: PlanLine) -> str:
    end = "never" if line.ends_at is None else f"{line.ends_at:%Y-%m-%d %H:%M}"
    state = "due" if line.is_due(plan.at) else "held" if line.pinned else ""
    holds = "<br>".join(
        escape(
            f"{hold.hold_id[:12]} {hold.kind} ({hold.clause}): {hold.status}"
            + ("" if hold.until is None else f" until {hold.until}")
            + (", not copied yet: the day stays" if hold.pinning else "")
        )
        for hold in line.holds
    )
    return (
        f"<tr><td>{line.day}<td>{line.table}<td class=n>{line.rows:,}<td class=n>{line.files:,}"
        f"<td class=n>{line.packs:,}<td class=n>{line.bytes + line.pack_bytes:,}"
        f'<td>{line.last_day or "for ever"}<td class="{state}">{end}<td>{holds}</tr>'
    )


def _classes(plan: Plan) -> list[str]:
    return sorted({line.retention_class for line in plan.lines})


def _bound(period: Period | None) -> str:
    return "none stated" if period is None else str(period)
