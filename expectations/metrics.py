"""What the quality service counts, for Prometheus: served like the jobs' metrics.

The registry is served on a loopback port that the system picks, and where is written to
`<directory>/quality-<pid>.json`, in the shape that Prometheus reads through file_sd.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from catalog.lake import Lake
from catalog.quality import find_alerts
from expectations.rounds import Round

CounterName = Literal[
    "rounds",  # rounds done
    "rounds_failed",  # rounds that ended because something did not answer or is damaged
    "parts_checked",  # parts of tables checked, by table and whether all their rules hold
    "alerts_raised",  # alerts raised
    "alerts_cleared",  # alerts cleared
]
GaugeName = Literal[
    "alerts_open",  # alerts open, by table
    "hours_waiting",  # hours that wait to be checked, the one under way among them
    "round_seconds",  # how long the last round took
    "round_at_seconds",  # when the last round ended, Unix seconds
]
LABELS: Final[dict[str, tuple[str, ...]]] = {
    "parts_checked": ("table", "outcome"),
    "alerts_open": ("table",),
}


class QualityMetrics:
    """The metrics of one service process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counters = {
            name: Counter(*_described(name), registry=self.registry)
            for name in get_args(CounterName)
        }
        self._gauges = {
            name: Gauge(*_described(name), registry=self.registry) for name in get_args(GaugeName)
        }
        self._target: Path | None = None

    def done(self, lake: Lake, done: Round, now: datetime) -> None:
        """A round ended. Raises Unavailable."""
        self._counters["rounds"].inc()
        for outcome in done.outcomes:
            found = "holds" if outcome.ok else "broken"
            self._counters["parts_checked"].labels(outcome.table, found).inc()
        self._counters["alerts_raised"].inc(len(done.changes.raised))
        self._counters["alerts_cleared"].inc(len(done.changes.cleared))
        self._gauges["hours_waiting"].set(done.waiting)
        self._gauges["round_seconds"].set(done.seconds)
        self._gauges["round_at_seconds"].set(now.timestamp())
        self._gauges["alerts_open"].clear()
        for alert in find_alerts(lake):
            self._gauges["alerts_open"].labels(alert.table).inc()

    def failed(self) -> None:
        """A round could not be ended."""
        self._counters["rounds_failed"].inc()

    def serve(self, directory: Path, host: str = "127.0.0.1") -> None:
        """Serve the registry, and write where to `directory`."""
        server, _ = start_http_server(0, addr=host, registry=self.registry)
        target = [{"targets": [f"{host}:{server.server_port}"], "labels": {"job": "quality"}}]
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"quality-{os.getpid()}.json"
        partial = path.with_suffix(".tmp")
        partial.write_text(json.dumps(target))
        partial.replace(path)
        self._target = path

    def close(self) -> None:
        """Take the target back; the process is about to end."""
        if self._target is not None:
            self._target.unlink(missing_ok=True)


def _described(name: str) -> tuple[str, str, tuple[str, ...]]:
    return f"platelake_quality_{name}", name.replace("_", " "), LABELS.get(name, ())
