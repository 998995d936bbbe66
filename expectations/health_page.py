"""The health of cameras as one HTML page: needs nothing from the network, works on a phone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from expectations.health import WRONG, Health

_WIDTH, _HEIGHT = 168, 32

_STYLE: Final = """
:root{color-scheme:light dark;--line:#e3e6ea;--soft:#59636e;--bad:#a40e26;--good:#116329;
--ink:#0969da}
@media(prefers-color-scheme:dark){:root{--line:#2b3036;--soft:#9aa4ae;--bad:#ff7b72;--good:#57ab5a;
--ink:#58a6ff}}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}p{color:var(--soft);margin-top:0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:var(--soft);white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
small{color:var(--soft);display:block}.bad{color:var(--bad);font-weight:600}.good{color:var(--good)}
svg{display:block}polyline{fill:none;stroke:var(--ink);stroke-width:1.2}
line{stroke:var(--soft);stroke-dasharray:2 3}
"""

_HEAD: Final = (
    "Camera", "Verdict", "Last read", "Reads, 7 days", "Last hour", "24 hours", "Hits, 24 h",
    "Confidence", "No state", "Delay", "Ahead",
)  # fmt: skip


def page(listed: Sequence[Health], now: datetime) -> str:
    """The page; cameras in the order given."""
    counted = Counter(each.verdict for each in listed)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counted.items()) or "none"
    head = "".join(f"<th scope=col>{title}</th>" for title in _HEAD)
    rows = "".join(f"<tr>{_row(each)}</tr>" for each in listed)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Cameras</title>"
        f'<meta name=viewport content="width=device-width"><style>{_STYLE}</style><body>'
        f"<h1>Cameras: {len(listed)}</h1><p>{escape(told)}. As of {now:%Y-%m-%d %H:%M} UTC; "
        "a second line is what is usual for this hour of the week.</p>"
        f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        "</body></html>\n"
    )


def sparkline(series: Sequence[float], usual: float | None = None) -> str:
    """Numbers over time as a small SVG, gaps where there is none, a dashed line for the usual."""
    known = [value for value in series if not math.isnan(value)]
    highest = max([*known, usual or 0.0], default=0.0) or 1.0
    step = _WIDTH / max(len(series) - 1, 1)

    def height(value: float) -> float:
        return _HEIGHT - 1 - (_HEIGHT - 2) * value / highest

    runs: list[list[str]] = [[]]
    for place, value in enumerate(series):
        if math.isnan(value):
            runs.append([])
        else:
            runs[-1].append(f"{place * step:.1f},{height(value):.1f}")
    lines = "".join(
        # A single point would not be drawn: a line as long as nothing, with round ends.
        f'<polyline stroke-linecap=round points="{" ".join(run if run[1:] else run * 2)}"/>'
        for run in runs
        if run
    )
    if usual is not None:
        lines += f"<line x1=0 x2={_WIDTH} y1={height(usual):.1f} y2={height(usual):.1f} />"
    told = f"at most {highest:,.0f} an hour" if known else "no read"
    return (
        f"<svg width={_WIDTH} height={_HEIGHT} viewBox='0 0 {_WIDTH} {_HEIGHT}' role=img "
        f"aria-label='{told}'><title>{told}</title>{lines}</svg>"
    )


def _row(health: Health) -> str:
    wrong = "bad" if health.verdict in WRONG else "good" if health.verdict == "ok" else ""
    reasons = "".join(f"<small>{escape(reason)}</small>" for reason in health.reasons)
    last = "never" if health.last_read is None else f"{health.last_read:%Y-%m-%d %H:%M:%S}"
    return "".join(
        (
            f"<td>{escape(health.camera)}</td>",
            f"<td><span class='{wrong}'>{escape(health.verdict)}</span>{reasons}</td>",
            f"<td class=n>{last}</td>",
            f"<td>{sparkline(health.series, health.usual_hour)}</td>",
            f"<td class=n>{health.reads_hour:,}{_usual(health.usual_hour)}</td>",
            f"<td class=n>{health.reads_day:,}{_usual(health.usual_day)}</td>",
            f"<td class=n>{health.hits_day:,}</td>",
            f"<td class=n>{_number(health.confidence, '.2f')}"
            f"{_usual(health.usual_confidence, '.2f')}</td>",
            f"<td class=n>{_number(health.stateless, '.0%')}</td>",
            f"<td class=n>{_number(health.delay, ',.1f', ' s')}</td>",
            f"<td class=n>{_number(health.ahead, '.0%')}</td>",
        )
    )


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"


def _usual(value: float | None, form: str = ",.0f") -> str:
    return "" if value is None else f"<small>{value:{form}}</small>"
