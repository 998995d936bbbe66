"""The match job as it is usually written for Beam: one element per record.

Source, decoding, matching rules, hot list and sink are the product's own; only
what passes between the steps differs.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from alpr.matching import match
from alpr.records import Hit, Read
from beam_jobs.io.sink import WriteToKafka
from beam_jobs.io.source import Batch, ReadFromKafka, shards_of
from beam_jobs.match.options import MatchOptions
from beam_jobs.match.pipeline import preflight
from beam_jobs.match.transforms import JOB, encode_hit
from beam_jobs.options import JobOptions
from beam_jobs.run import run_job
from ingest.codecs import decode_read
from ingest.hotlists.index import HotlistIndex
from ingest.topics import HITS, READS, partitions_of


def values(batch: Batch) -> list[bytes | None]:
    """One element a message."""
    return batch.values


class MatchRead(beam.DoFn):
    """Read in, Hit out."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._index: HotlistIndex | None = None

    def setup(self) -> None:
        """Map the hot list into memory."""
        self._index = HotlistIndex(Path(self._store), None)

    def process(self, element: Read) -> Iterator[Hit]:
        """The hits of one read."""
        if self._index is not None:
            for _, entries in self._index.search([element.plate]):
                yield from match(element, entries, self._index.version, datetime.now(UTC))


def build_pipeline(pipeline: Any, options: PipelineOptions) -> None:
    """Wire the job."""
    job = options.view_as(JobOptions)
    shards = shards_of(READS, partitions_of(job.bootstrap, READS), job.shards)
    _ = (
        pipeline
        | "Reads" >> ReadFromKafka(job.source(JOB, READS), shards)
        | "Messages" >> beam.FlatMap(values)
        | "Decode" >> beam.Map(decode_read)
        | "Match" >> beam.ParDo(MatchRead(options.view_as(MatchOptions).hotlist_store))
        | "EncodeHits" >> beam.Map(encode_hit)
        | "Hits" >> beam.ParDo(WriteToKafka(job.bootstrap, HITS, JOB))
    )


if __name__ == "__main__":
    sys.exit(run_job(None, preflight, build_pipeline))
