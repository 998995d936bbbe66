"""The demo's summary for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

_ROWS = (
    ("Frames sent", "frames_sent"),
    ("Passes shown", "passes_shown"),
    ("  left unread by the recogniser", "passes_unread"),
    ("  read more than once", "passes_read_twice"),
    ("Reads emitted", "reads_emitted"),
    ("  of no shown pass", "reads_of_no_pass"),
    ("  landed in the lake", "reads_landed"),
    ("  missing there", "reads_missing"),
    ("  doubled there", "reads_doubled"),
    ("Hits that perfect reading would give", "hits_planned"),
    ("Hits that the rows and the lists imply", "hits_expected"),
    ("  emitted", "hits_emitted"),
    ("  missing", "hits_missing"),
    ("  doubled", "hits_doubled"),
    ("  unexpected", "hits_unexpected"),
    ("Dead letters", "dead_letters"),
)


def print_summary(console: Console, summary: dict[str, Any], sound: bool) -> None:
    """Print the figures, the shares by light and plate width, the latencies and the verdict."""
    table = Table("what", "count", title="What the cameras showed, and what came out")
    table.columns[1].justify = "right"
    for title, name in _ROWS:
        table.add_row(title, f"{summary[name]:,}")
    table.add_row("Share of reads exactly right", f"{summary['reads_exact_share']:.1%}")
    console.print(table)
    shares = Table("passes by", "", "shown", "read exactly")
    for title, name in (("light", "exact_by_light"), ("plate width", "exact_by_plate_width")):
        for group, figures in summary[name].items():
            shares.add_row(
                title, group.lstrip("0"), f"{figures['passes']}", f"{figures['exact_share']:.0%}"
            )
            title = ""
    console.print(shares)
    latency = Table("latency", "p50", "p99")
    for name, figures in summary["latency_ms"].items():
        latency.add_row(name.replace("_", " "), *(_ms(figures[q]) for q in ("p50", "p99")))
    console.print(latency)
    engine = summary["engine"]
    console.print(
        f"Beam {engine['beam_sdk']} (Python), {engine['runner']} {engine['flink_version']}, "
        f"runner {engine['beam_runner']}; {summary['wall_s']:.0f} s in all",
        markup=False,
        highlight=False,
    )
    console.print(
        "[green]Nothing missing, nothing doubled; DuckDB and pyiceberg count the same rows.[/green]"
        if sound
        else "[red]Something is missing or doubled: see the table.[/red]"
    )


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"
