"""Reads in micro-batches against the hot list in force."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import apache_beam as beam
import msgspec

from alpr.matching import CoolDown, match
from alpr.records import Hit, Read
from beam_jobs.decode import Records
from beam_jobs.io.sink import Outgoing
from beam_jobs.metrics import job_metrics
from ingest.codecs import encode, message_key
from ingest.hotlists.changes import ChangeFeed, KafkaChangeFeed
from ingest.hotlists.index import HotlistIndex

JOB: Final = "match"


@dataclass(frozen=True)
class MatchConfig:
    """What a worker needs to match; times in seconds."""

    bootstrap: str
    hotlist_store: str
    cool_down_s: float = 300.0
    remembered_hits: int = 100_000


def _kafka_changes(config: MatchConfig) -> ChangeFeed:
    return KafkaChangeFeed(config.bootstrap)


class MatchReads(beam.DoFn):
    """Records[Read] in, Hit out.

    Worker memory only: the cool-down and the hits already sent. Losing it
    (a restart) sends a hit again, with the same id, or sounds once more.
    """

    def __init__(
        self,
        config: MatchConfig,
        connect: Callable[[MatchConfig], ChangeFeed] = _kafka_changes,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._config = config
        self._connect = connect
        self._now = now
        self._index: HotlistIndex | None = None
        self._cool_down = CoolDown(timedelta(seconds=config.cool_down_s))
        self._sent: OrderedDict[str, None] = OrderedDict()

    def setup(self) -> None:
        """Map the hot list into memory and catch up with its changes."""
        self._index = HotlistIndex(Path(self._config.hotlist_store), self._connect(self._config))
        job_metrics(JOB).count("hotlist_changes_bad", self._index.bad_changes)
        self._report(self._index)

    def process(self, element: Records[Read]) -> Iterator[Hit]:
        """The hits of one micro-batch, in the order of its reads."""
        index = self._index
        if index is None:
            raise ValueError("process() came before setup()")
        metrics, refused, bad = job_metrics(JOB), index.refused, index.bad_changes
        index.refresh()
        metrics.count("hotlist_changes_bad", index.bad_changes - bad)
        metrics.count("hotlist_refused", index.refused - refused)
        self._report(index)  # though nothing changed: the list has grown older
        for place, entries in index.search([read.plate for read in element.records]):
            matched_at = self._now()
            for hit in match(element.records[place], entries, index.version, matched_at):
                if self._already_sent(hit.hit_id):
                    metrics.count("hits_repeated")
                    continue
                metrics.observe(
                    "stage_latency_seconds",
                    matched_at.timestamp() - element.timestamps_ms[place] / 1000,
                    stage="read_to_hit",
                )
                if self._cool_down.sounds(hit):
                    yield hit
                else:
                    metrics.count("hits_cooled")
                    yield msgspec.structs.replace(hit, alert=False)

    def _already_sent(self, hit_id: str) -> bool:
        if hit_id in self._sent:
            return True
        self._sent[hit_id] = None
        if len(self._sent) > self._config.remembered_hits:
            self._sent.popitem(last=False)
        return False

    def _report(self, index: HotlistIndex) -> None:
        metrics = job_metrics(JOB)
        metrics.gauge("hotlist_entries", len(index))
        metrics.gauge(
            "hotlist_age_seconds", time.time() - index.snapshot.manifest.built_at.timestamp()
        )
        metrics.gauge("hotlist_changes_offset", index.next_change)


def encode_hit(hit: Hit) -> Outgoing:
    """A hit as a message, keyed like its read: one camera's hits stay in order."""
    return Outgoing(message_key(hit.agency, hit.camera), encode(hit))
