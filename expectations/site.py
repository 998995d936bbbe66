"""The start page of the Data Docs: what was checked when, what is wrong now, where to look.

Great Expectations writes a page for each check, but its own index knows only the checks of one
process; this one is made from the table of results. It needs nothing from the network (the
pages it links to fetch their style sheets when opened), and holds counts and names of cameras.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from typing import Final

from catalog.quality import Alert, Result

KEEP: Final = timedelta(days=30)
"""How long the pages of single checks are kept."""

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;
color:#1c2024;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;
border-bottom:1px solid #e3e6ea;vertical-align:top}th{font-weight:600;color:#59636e}
td.n{text-align:right;font-variant-numeric:tabular-nums}
.good{color:#116329}.bad{color:#a40e26;font-weight:600}.none{color:#6e7781}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#e6e8eb}
th,td{border-color:#2b3036}.good{color:#57ab5a}.bad{color:#ff7b72}}
"""


def write_index(
    folder: Path, results: Sequence[Result], alerts: Iterable[Alert], now: datetime
) -> Path:
    """Write `index.html` from results (the newest first) and open alerts; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    page = _page(results, list(alerts), now)
    partial = folder / ".index.tmp"
    partial.write_text(page, "utf-8")
    partial.replace(folder / "index.html")
    return folder / "index.html"


def prune_pages(folder: Path, before: datetime) -> int:
    """Delete the pages of checks made before a moment; how many checks."""
    count = 0
    # validations/<suite>/<run name>/<time of the run>/<batch>.html
    for made in (folder / "validations").glob("*/*/*"):
        if made.is_dir() and made.stat().st_mtime < before.timestamp():
            shutil.rmtree(made)
            count += 1
    return count


def _page(results: Sequence[Result], alerts: list[Alert], now: datetime) -> str:
    checks: dict[tuple[str, str, str], list[Result]] = {}
    for each in results:
        checks.setdefault((each.run_id, each.table, each.part), []).append(each)
    body = [
        "<h1>Data quality</h1>",
        f"<p class=none>as of {now:%Y-%m-%d %H:%M} UTC; times are UTC</p>",
        f"<h2>Alerts open: {len(alerts)}</h2>",
        _table(("since", "table", "rule", "about", "last found in", "found"), map(_alert, alerts))
        if alerts
        else "<p class=good>nothing is known to be wrong</p>",
        f"<h2>Checks: {len(checks)}</h2>",
        _table(
            ("checked", "table", "part", "rows", "rules", "broken"), map(_check, checks.values())
        ),
    ]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Data quality</title>"
        f'<meta name=viewport content="width=device-width"><style>{_STYLE}</style>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def _alert(alert: Alert) -> str:
    cells = (
        f"{alert.opened_at:%Y-%m-%d %H:%M}",
        alert.table,
        alert.rule,
        alert.subject or "all of it",
        alert.last_part,
        f"{alert.times} times; {alert.told}",
    )
    return "".join(f"<td>{escape(cell)}</td>" for cell in cells)


def _check(found: Sequence[Result]) -> str:
    first = found[0]
    broken = [each for each in found if each.ok is False]
    unjudged = sum(each.ok is None for each in found)
    part = escape(first.part)
    if first.page is not None:
        part = f'<a href="{escape(first.page, quote=True)}">{part}</a>'
    rules = f"{len(found) - len(broken) - unjudged} of {len(found)} hold"
    if unjudged:
        rules += f", {unjudged} not judged"
    told = "<br>".join(
        escape(f"{each.rule}: {each.error or f'{each.unexpected:,} of {each.checked:,}'}")
        for each in broken
    )
    return (
        f"<td>{first.at:%Y-%m-%d %H:%M}</td><td>{escape(first.table)}</td><td>{part}</td>"
        f"<td class=n>{first.rows:,}</td><td>{rules}</td>"
        f"<td class={'bad' if broken else 'good'}>{told or 'none'}</td>"
    )


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table>"
