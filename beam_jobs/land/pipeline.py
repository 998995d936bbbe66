"""Job `land`: topics reads and hits -> image packs and Iceberg tables, each row exactly once.

reads ─▶ ReadFromKafka ─▶ DecodeRecords ─▶ StageRecords ─┐
hits  ─▶ ReadFromKafka ─▶ DecodeRecords ─▶ StageRecords ─┴▶ by table ─▶ CommitGroups ─▶ lake
                                └─ bad messages ─▶ dead-letters
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.dead_letters import send_dead_letters
from beam_jobs.decode import DEAD, decode_records
from beam_jobs.io.source import ReadFromKafka, shards_of
from beam_jobs.land.admit import AdmitHit, AdmitRead
from beam_jobs.land.options import LandOptions
from beam_jobs.land.transforms import JOB, CommitGroups, StageRecords
from beam_jobs.options import JobOptions, require
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.offsets import Source, committed_offsets
from catalog.schemas import HITS as HITS_TABLE
from catalog.schemas import READS as READS_TABLE
from ingest.topics import DEAD_LETTERS, HITS, READS, beginning_offsets, partitions_of

_TOPICS: Final[Mapping[str, tuple[str, type[AdmitRead] | type[AdmitHit]]]] = {
    READS_TABLE.name: (READS, AdmitRead),
    HITS_TABLE.name: (HITS, AdmitHit),
}


class LandOutputs(NamedTuple):
    """The job's streams: PCollections of rows committed (int, one a commit) and of DeadLetter."""

    committed: Any
    dead: Any


def preflight(options: PipelineOptions) -> None:
    """Reach topics, catalogue, store and tables, and read the policies.

    Raises Unavailable, ConfigurationError.
    """
    require(options, "bootstrap", "lake_config")
    bootstrap = options.view_as(JobOptions).bootstrap
    for topic in (READS, HITS, DEAD_LETTERS):
        partitions_of(bootstrap, topic)
    lake = Lake(LakeConfig.load(Path(options.view_as(LandOptions).lake_config)))
    try:
        _ = lake.retention
        lake.check()
    finally:
        lake.close()


def start_offsets(bootstrap: str, lake: Lake, table: str) -> dict[Source, int]:
    """Where to start without a checkpoint: where the table ends; a new partition at its oldest."""
    topic, _ = _TOPICS[table]
    oldest = {Source(topic, p): o for p, o in beginning_offsets(bootstrap, topic).items()}
    return oldest | committed_offsets(lake, table)


def build_pipeline(pipeline: Any, options: PipelineOptions) -> LandOutputs:
    """Wire the job."""
    job, own = options.view_as(JobOptions), options.view_as(LandOptions)
    lake = Lake(LakeConfig.load(Path(own.lake_config)))
    try:
        starts = {table: start_offsets(job.bootstrap, lake, table) for table in _TOPICS}
    finally:
        lake.close()
    staged, dead = [], []
    for table, (topic, admit) in _TOPICS.items():
        partitions = partitions_of(job.bootstrap, topic)
        source = job.source(
            JOB, topic, start_offsets={p: starts[table][Source(topic, p)] for p in partitions}
        )
        batches = pipeline | f"Read-{topic}" >> ReadFromKafka(
            source, shards_of(topic, partitions, job.shards)
        )
        decoded = batches | f"Decode-{topic}" >> decode_records(
            JOB, admit(own.lake_config), job.dead_letter_limit
        )
        staged.append(
            decoded.records
            | f"Stage-{table}"
            >> beam.ParDo(StageRecords(own.lake_config, table)).with_output_types(tuple[str, bytes])
        )
        dead.append(decoded[DEAD])
    committed = (
        staged
        | "AllStaged" >> beam.Flatten()
        | "Commit"
        >> beam.ParDo(CommitGroups(own.lake_config, starts, own.commit_s, own.commit_rows))
    )
    letters = dead | "AllDead" >> beam.Flatten()
    send_dead_letters(letters, job.bootstrap, JOB)
    return LandOutputs(committed, letters)
