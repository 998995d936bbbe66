"""Job `match`: topic reads -> hot list in force -> topic hits.

    reads ─▶ ReadFromKafka ─▶ DecodeRecords ─▶ MatchReads ─▶ hits
                                     └─ bad messages ─▶ dead-letters

Everything runs in one fused stage: a hit leaves the worker milliseconds after
its read arrives, without waiting for a bundle, a window or a shuffle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.dead_letters import send_dead_letters
from beam_jobs.decode import DEAD, decode_records
from beam_jobs.io.sink import WriteToKafka
from beam_jobs.io.source import ReadFromKafka, shards_of
from beam_jobs.match.options import MatchOptions
from beam_jobs.match.transforms import JOB, MatchConfig, MatchReads, encode_hit
from beam_jobs.options import JobOptions, require
from ingest.codecs import decode_read
from ingest.hotlists.snapshot import open_snapshot, read_manifest
from ingest.topics import DEAD_LETTERS, HITS, HOTLIST_CHANGES, READS, partitions_of


class MatchOutputs(NamedTuple):
    """The job's streams: PCollections of Hit and of DeadLetter."""

    hits: Any
    dead: Any


def preflight(options: PipelineOptions) -> None:
    """Reach topics and hot list. Raises Unavailable, ConfigurationError, Corrupt."""
    require(options, "bootstrap", "hotlist_store")
    bootstrap = options.view_as(JobOptions).bootstrap
    for topic in (READS, HITS, HOTLIST_CHANGES, DEAD_LETTERS):
        partitions_of(bootstrap, topic)
    store = Path(options.view_as(MatchOptions).hotlist_store)
    open_snapshot(store, read_manifest(store))


def match_reads(batches: Any, matcher: MatchReads, dead_letter_limit: float) -> MatchOutputs:
    """Batches of the reads topic to hits; the part that tests run without Kafka."""
    decoded = batches | "Decode" >> decode_records(JOB, decode_read, dead_letter_limit)
    hits = decoded.records | "Match" >> beam.ParDo(matcher)
    return MatchOutputs(hits, decoded[DEAD])


def build_pipeline(pipeline: Any, options: PipelineOptions) -> MatchOutputs:
    """Wire the job."""
    job, own = options.view_as(JobOptions), options.view_as(MatchOptions)
    shards = shards_of(READS, partitions_of(job.bootstrap, READS), job.shards)
    batches = pipeline | "Reads" >> ReadFromKafka(job.source(JOB, READS), shards)
    config = MatchConfig(job.bootstrap, own.hotlist_store, own.cool_down_s)
    outputs = match_reads(batches, MatchReads(config), job.dead_letter_limit)
    _ = (
        outputs.hits
        | "EncodeHits" >> beam.Map(encode_hit)
        | "Hits" >> beam.ParDo(WriteToKafka(job.bootstrap, HITS, JOB))
    )
    send_dead_letters(outputs.dead, job.bootstrap, JOB)
    return outputs
