"""The live view: what the jobs' own metrics say, stage by stage, and the latest hits."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alpr.records import Hit
from infra.scrape import Scraped, scrape
from ingest.codecs import decode_hit
from ingest.topics import FRAMES, HITS
from ingest.watch import Follower

_SHOWN_HITS = 6


class LiveView:
    """Made once, then asked for a new picture about twice a second."""

    def __init__(self, bootstrap: str, metrics_dir: Path, seconds: float) -> None:
        self._frames = Follower(bootstrap, FRAMES)
        self._hits = Follower(bootstrap, HITS)
        self._metrics_dir = metrics_dir
        self._seconds = seconds
        self._latest: deque[Hit] = deque(maxlen=_SHOWN_HITS)

    def render(self, elapsed_s: float) -> RenderableType:
        """Counts, lag and latency of each stage now."""
        for message in self._hits.poll():
            self._latest.append(decode_hit(message.value))
        now = scrape(self._metrics_dir)
        return Group(
            self._bar(elapsed_s), self._stages(now), self._hit_table(), Text("Ctrl-C stops it all")
        )

    def close(self) -> None:
        """Close the connections."""
        self._frames.close()
        self._hits.close()

    def _bar(self, elapsed_s: float) -> RenderableType:
        return Group(
            Text(f"cameras {min(elapsed_s, self._seconds):.0f} of {self._seconds:.0f} s"),
            ProgressBar(total=self._seconds, completed=min(elapsed_s, self._seconds), width=60),
        )

    def _stages(self, now: Scraped) -> Table:
        table = Table("stage", "in", "out", "lag", "p50", "p99", title="From camera to lake")
        for column in table.columns[1:]:
            column.justify = "right"
        table.add_row("cameras", "", str(self._frames.written()), "", "", "")
        for job, out, stage in (
            ("recognise", "passes_read_total", "frame_to_read"),
            ("match", "records_out_total", "read_to_hit"),
            ("land", "records_out_total", None),
        ):
            latency = f"platelake_{job}_stage_latency_seconds"
            if stage is None:
                latency, labels = f"platelake_{job}_commit_seconds", {}
            else:
                labels = {"stage": stage}
            table.add_row(
                job,
                f"{now.total(f'platelake_{job}_records_in_total'):.0f}",
                f"{now.total(f'platelake_{job}_{out}'):.0f}",
                f"{now.total(f'platelake_{job}_consumer_lag_records'):.0f}",
                _seconds(now.quantile(latency, 0.5, **labels)),
                _seconds(now.quantile(latency, 0.99, **labels)),
            )
        return table

    def _hit_table(self) -> Table:
        table = Table("captured", "camera", "plate", "listed as", "category", title="Latest hits")
        for hit in reversed(self._latest):
            table.add_row(
                f"{hit.captured_at:%H:%M:%S}",
                f"{hit.agency}/{hit.camera}",
                f"{hit.plate} {hit.state or '?'}",
                f"{hit.entry_plate} {hit.entry_state or 'any'}",
                hit.category if hit.alert else f"{hit.category} (silent)",
            )
        return table


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
