"""The soak's results as JSON, as a table and as two pictures (SVG)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 320, 60, 170, 30, 40
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")

Series = dict[str, list[tuple[float, float]]]


def write_report(folder: Path, result: Mapping[str, Any]) -> None:
    """Write soak.json, soak.md, checkpoints.svg and memory.svg into `folder`."""
    (folder / "soak.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (folder / "soak.md").write_text(table(result), "utf-8")
    kills = [kill["at_s"] for kill in result["kills"]]
    sizes: Series = {}
    memory: Series = {}
    for sample in result["samples"]:
        minute = sample["at_s"] / 60
        for job, checkpoint in sample["checkpoints"].items():
            if checkpoint["bytes"] is not None:
                sizes.setdefault(job, []).append((minute, checkpoint["bytes"] / 2**20))
        for name, mib in sample["rss_mib"].items():
            memory.setdefault(name, []).append((minute, mib))
    marks = [at / 60 for at in kills]
    (folder / "checkpoints.svg").write_text(chart("Checkpoint size, MiB", sizes, marks), "utf-8")
    (folder / "memory.svg").write_text(chart("Resident memory, MiB", memory, marks), "utf-8")


def table(result: Mapping[str, Any]) -> str:
    """One row a kill. Repeated: messages with an id already there, since the kill before;
    those that the senders themselves sent twice are not counted.
    """
    lines = [
        "| # | minute | killed | runs again after s | whole again after s | reads accepted so far "
        "| lost | doubled | reads repeated | hits repeated | left behind |",
        "|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    before = (0, 0)
    for kill in result["kills"]:
        now = (kill["reads_repeated"] - kill["sent_twice"], kill["hits_repeated"])
        lost = kill["lost"] + kill["hits_missing"] + kill["frame_reads_missing"]
        name = kill["what"].replace("-", " ") + (", amid frames" if kill["frames"] else "")
        lines.append(
            f"| {kill['number']} | {kill['at_s'] / 60:.1f} | {name} "
            f"| {kill['running_s'] or 'never'} | {kill['whole_s']} | {kill['accepted']:,} "
            f"| {lost} | {kill['doubled']} | {now[0] - before[0]} | {now[1] - before[1]} "
            f"| {kill['orphans']} |"
        )
        before = now
    return "\n".join(lines) + "\n"


def chart(title: str, series: Series, marks: Sequence[float]) -> str:
    """Lines over minutes as SVG; `marks` are the kills."""
    points = [point for line in series.values() for point in line]
    if not points:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    end, top = max(x for x, _ in points), max(y for _, y in points) or 1.0

    def x(minute: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * minute / (end or 1.0)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{escape(title)}</text>',
    ]
    parts += [
        f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" '
        'stroke="#ccc" stroke-dasharray="2 3"/>'
        for mark in marks
    ]
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            'stroke="#eee"/>'
        )
        minute = end * step / 4
        parts.append(
            f'<text x="{x(minute):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">'
            f"{minute:.0f} min</text>"
        )
    for index, (name, line) in enumerate(sorted(series.items())):
        colour = _COLOURS[index % len(_COLOURS)]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        parts.append(
            f'<text x="{_WIDTH - _RIGHT + 10}" y="{_TOP + 14 * index + 10}" fill="{colour}">'
            f"{escape(name)}</text>"
        )
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 6}" fill="#888">dashed: a kill</text></svg>\n')
    return "\n".join(parts)
