"""The land job as it is usually written for Beam: one element per record.

Reads are keyed by partition and gathered by Beam's own GroupIntoBatches, which
is how a Beam job makes files of single elements; storing and committing are the
product's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from alpr.records import Read
from beam_jobs.decode import Records
from beam_jobs.io.source import Batch, ReadFromKafka, shards_of
from beam_jobs.land.options import LandOptions
from beam_jobs.land.pipeline import preflight, start_offsets
from beam_jobs.land.transforms import JOB, CommitGroups, StageRecords
from beam_jobs.options import JobOptions
from beam_jobs.run import run_job
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.schemas import READS as READS_TABLE
from ingest.codecs import decode_read
from ingest.topics import READS, partitions_of

_BATCH = 2000
_BUFFER_S = 1.0


def messages(batch: Batch) -> Iterator[tuple[int, tuple[int, bytes | None]]]:
    """(partition, (offset, value)): one element a message."""
    for offset, value in zip(batch.offsets, batch.values, strict=True):
        yield batch.partition, (offset, value)


def decoded(element: tuple[int, tuple[int, bytes | None]]) -> tuple[int, tuple[int, Read]]:
    """The same with the read."""
    partition, (offset, value) = element
    return partition, (offset, decode_read(value))


def gathered(element: tuple[int, Iterable[tuple[int, Read]]]) -> Records[Read]:
    """What GroupIntoBatches gathered of one partition, as the product's staging takes it."""
    partition, pairs = element
    ordered = sorted(pairs, key=lambda pair: pair[0])
    offsets = [offset for offset, _ in ordered]
    reads = [read for _, read in ordered]
    return Records(READS, partition, offsets[0], offsets[-1] + 1, offsets, [0] * len(reads), reads)


def build_pipeline(pipeline: Any, options: PipelineOptions) -> None:
    """Wire the job."""
    job, own = options.view_as(JobOptions), options.view_as(LandOptions)
    lake = Lake(LakeConfig.load(Path(own.lake_config)))
    try:
        starts = {READS_TABLE.name: start_offsets(job.bootstrap, lake, READS_TABLE.name)}
    finally:
        lake.close()
    first = {source.partition: offset for source, offset in starts[READS_TABLE.name].items()}
    shards = shards_of(READS, partitions_of(job.bootstrap, READS), job.shards)
    _ = (
        pipeline
        | "Reads" >> ReadFromKafka(job.source(JOB, READS, start_offsets=first), shards)
        | "Messages" >> beam.FlatMap(messages)
        | "Decode" >> beam.Map(decoded).with_output_types(tuple[int, tuple[int, Any]])
        | "Gather" >> beam.GroupIntoBatches(_BATCH, max_buffering_duration_secs=_BUFFER_S)
        | "Records" >> beam.Map(gathered).with_output_types(Records)
        | "Stage"
        >> beam.ParDo(StageRecords(own.lake_config, READS_TABLE.name)).with_output_types(
            tuple[str, bytes]
        )
        | "Commit"
        >> beam.ParDo(CommitGroups(own.lake_config, starts, own.commit_s, own.commit_rows))
    )


if __name__ == "__main__":
    sys.exit(run_job(None, preflight, build_pipeline))
