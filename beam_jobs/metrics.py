"""What every job counts, under one list of names, for Prometheus and for the engine's own view.

Each worker process serves its own registry on a port the system picks, and
writes where to `<directory>/<job>-<pid>.json` in the shape Prometheus reads
through file_sd. Counters are also Beam metrics, so that the runner shows them.
Labels never hold plate text.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from apache_beam.metrics import Metrics
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

CounterName = Literal[
    "records_in",  # messages taken from Kafka
    "records_out",  # messages acknowledged by Kafka, or rows committed to the lake
    "dead_letters",  # messages that could not be used, by reason
    "source_bytes",  # message bytes taken from Kafka
    "frames_still",  # frames the motion gate found unchanged
    "passes_read",  # vehicle passes that gave a read
    "passes_unread",  # vehicle passes seen but not readable
    "hits_repeated",  # hits already sent by this worker (a replay), not sent again
    "hits_cooled",  # hits inside their cool-down, sent without sounding
    "rows_replayed",  # rows the lake already had by (partition, offset)
    "rows_expired",  # rows whose day was purged before they could be committed
    "rows_duplicate",  # rows the lake already had by id
    "commits",  # lake commits
    "commit_conflicts",  # lake commits tried again because another writer was first
    "hotlist_changes_bad",  # hot-list changes passed over because they could not be decoded
    "hotlist_refused",  # hot-list snapshots refused as damaged
]
GaugeName = Literal[
    "consumer_lag_records",  # messages in the topic and not yet taken, by partition
    "hotlist_entries",  # entries in force in this worker
    "hotlist_age_seconds",  # since the snapshot in force was built
    "hotlist_changes_offset",  # next offset of hotlist-changes this worker will take
    "watermark_seconds",  # event-time watermark of the source, Unix seconds
]
HistogramName = Literal[
    "stage_latency_seconds",  # from the stage's start of time to its output, by stage
    "commit_seconds",  # one lake commit
    "frame_seconds",  # recognising one frame, by outcome
    "batch_records",  # messages in one micro-batch
]

_LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "dead_letters": ("reason",),
    "consumer_lag_records": ("topic", "partition"),
    "stage_latency_seconds": ("stage",),
    "commit_seconds": ("table",),
    "commits": ("table",),
    "commit_conflicts": ("table",),
    "rows_replayed": ("table",),
    "rows_expired": ("table",),
    "rows_duplicate": ("table",),
    "frame_seconds": ("outcome",),
}
_LATENCY: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 30, 60,
)  # fmt: skip
_SIZES: Final = (1, 10, 50, 100, 250, 500, 1000, 2000, 5000)

_processes: dict[str, JobMetrics] = {}
_lock = threading.Lock()


class JobMetrics:
    """The metrics of one job in this process; get it with `job_metrics`."""

    def __init__(self, job: str) -> None:
        self.job = job
        self.registry = CollectorRegistry()
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        self._served = False

    def count(self, name: CounterName, by: int = 1, **labels: str) -> None:
        """Add `by` to a counter."""
        if not by:
            return
        with _lock:
            if name not in self._counters:
                self._counters[name] = Counter(*self._described(name), registry=self.registry)
        metric = self._counters[name]
        (metric.labels(**labels) if labels else metric).inc(by)
        Metrics.counter(f"platelake.{self.job}", name).inc(by)

    def gauge(self, name: GaugeName, value: float, **labels: str) -> None:
        """Set a gauge."""
        with _lock:
            if name not in self._gauges:
                self._gauges[name] = Gauge(*self._described(name), registry=self.registry)
        metric = self._gauges[name]
        (metric.labels(**labels) if labels else metric).set(value)

    def observe(self, name: HistogramName, value: float, **labels: str) -> None:
        """Add one observation (seconds, or records) to a histogram."""
        with _lock:
            if name not in self._histograms:
                self._histograms[name] = Histogram(
                    *self._described(name),
                    registry=self.registry,
                    buckets=_SIZES if name == "batch_records" else _LATENCY,
                )
        metric = self._histograms[name]
        (metric.labels(**labels) if labels else metric).observe(value)

    def _described(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        return f"platelake_{self.job}_{name}", name.replace("_", " "), _LABELS.get(name, ())

    def serve(self, directory: str | None, host: str = "127.0.0.1") -> None:
        """Serve this registry, once per process, and write where to `directory` unless None."""
        with _lock:
            if self._served or not directory:
                return
            self._served = True
        server, _ = start_http_server(0, addr=host, registry=self.registry)
        target = [{"targets": [f"{host}:{server.server_port}"], "labels": {"job": self.job}}]
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.job}-{os.getpid()}.json"
        partial = path.with_suffix(".tmp")
        partial.write_text(json.dumps(target))
        partial.replace(path)


def job_metrics(job: str) -> JobMetrics:
    """The one JobMetrics of this job in this process."""
    with _lock:
        return _processes.setdefault(job, JobMetrics(job))
