"""Reading the jobs' own metrics, as Prometheus would, from the targets they announce."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]


@dataclass
class Scraped:
    """All samples of all targets that answered, summed over targets: (name, labels) -> value."""

    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 if there are none."""
        wanted = set(labels.items())
        return sum(
            value for (n, have), value in self.samples.items() if n == name and wanted <= set(have)
        )

    def quantile(self, name: str, share: float, **labels: str) -> float | None:
        """A quantile of a histogram, interpolated within its bucket; None without observations."""
        buckets: dict[float, float] = {}
        wanted = set(labels.items())
        for (n, have), value in self.samples.items():
            if n == f"{name}_bucket" and wanted <= set(have):
                bound = float(dict(have)["le"])
                buckets[bound] = buckets.get(bound, 0.0) + value
        return _quantile(buckets, share)


def _quantile(buckets: Mapping[float, float], share: float) -> float | None:
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = share * buckets[bounds[-1]]
    below, before = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if bound == float("inf"):
                return below
            inside = buckets[bound] - before
            return below + (bound - below) * ((rank - before) / inside if inside else 1.0)
        below, before = bound, buckets[bound]
    return below


def scrape(metrics_dir: Path, timeout_s: float = 1.0) -> Scraped:
    """Ask every announced target once; one that does not answer has ended and is left out."""
    scraped = Scraped()
    for url in _targets(metrics_dir):
        try:
            with urllib.request.urlopen(url, timeout=timeout_s) as response:  # noqa: S310 loopback
                text = response.read().decode()
        except (OSError, HTTPException):  # ended, and another program may have its port by now
            continue
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                scraped.samples[key] = scraped.samples.get(key, 0.0) + sample.value
    return scraped


def _targets(metrics_dir: Path) -> Iterable[str]:
    for path in sorted(metrics_dir.glob("*.json")):
        for group in json.loads(path.read_text()):
            for target in group["targets"]:
                yield f"http://{target}/metrics"
