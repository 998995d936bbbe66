"""Job `recognise`: topic frames -> detection, reading, voting over a pass -> topic reads.

    frames ─▶ ReadFromKafka ─▶ ParseFrames ─▶ by camera ─▶ RecognisePasses ─▶ reads
                                   └────── bad frames ─────────┴─▶ dead-letters

Frames are shuffled by camera, so that one camera's frames meet its state in
order wherever they were read; that costs a bundle's wait (`flush_s`), which a
pass of several frames has anyway.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.dead_letters import send_dead_letters
from beam_jobs.decode import DEAD
from beam_jobs.io.sink import WriteToKafka
from beam_jobs.io.source import ReadFromKafka, shards_of
from beam_jobs.options import JobOptions, require
from beam_jobs.recognise.options import RecogniseOptions
from beam_jobs.recognise.transforms import (
    JOB,
    ParseFrames,
    RecogniseConfig,
    RecognisePasses,
    encode_read,
    frame_time,
)
from ingest.topics import DEAD_LETTERS, FRAMES, READS, partitions_of
from vision.port import open_recogniser

_FLUSH_S: Final = 0.15
"""Seconds of frames in a bundle: what a frame waits, at most, before it is looked at."""
_MAX_FRAMES: Final = 16
"""Frames in a micro-batch: the memory of a worker, at up to 8 MiB a frame."""


class RecogniseOutputs(NamedTuple):
    """The job's streams: PCollections of Read and of DeadLetter."""

    reads: Any
    dead: Any


def preflight(options: PipelineOptions) -> None:
    """Reach topics and models. Raises Unavailable, ConfigurationError, Corrupt."""
    require(options, "bootstrap")
    bootstrap = options.view_as(JobOptions).bootstrap
    for topic in (FRAMES, READS, DEAD_LETTERS):
        partitions_of(bootstrap, topic)
    own = options.view_as(RecogniseOptions)
    open_recogniser(own.recogniser, own.recogniser_threads)


def recognise_frames(
    batches: Any, recogniser: RecognisePasses, dead_letter_limit: float
) -> RecogniseOutputs:
    """Batches of the frames topic to reads; the part that tests run without Kafka."""
    parsed = batches | "Parse" >> beam.ParDo(ParseFrames(dead_letter_limit)).with_outputs(
        DEAD, main="frames"
    )
    by_camera = parsed.frames | "ByCamera" >> beam.Map(lambda pair: pair).with_output_types(
        tuple[str, bytes]
    )
    passes = by_camera | "Recognise" >> beam.ParDo(recogniser).with_outputs(DEAD, main="reads")
    dead = (parsed[DEAD], passes[DEAD]) | "AllDead" >> beam.Flatten()
    return RecogniseOutputs(passes.reads, dead)


def build_pipeline(pipeline: Any, options: PipelineOptions) -> RecogniseOutputs:
    """Wire the job."""
    job, own = options.view_as(JobOptions), options.view_as(RecogniseOptions)
    source = job.source(
        JOB, FRAMES, max_records=_MAX_FRAMES, flush_s=_FLUSH_S, lateness_s=own.lateness_s
    )
    shards = shards_of(FRAMES, partitions_of(job.bootstrap, FRAMES), job.shards)
    batches = pipeline | "Frames" >> ReadFromKafka(source, shards, frame_time)
    config = RecogniseConfig(
        recogniser=own.recogniser,
        threads=own.recogniser_threads,
        retention_class=own.retention_class,
    )
    outputs = recognise_frames(batches, RecognisePasses(config), job.dead_letter_limit)
    _ = (
        outputs.reads
        | "EncodeReads" >> beam.Map(encode_read)
        | "Reads" >> beam.ParDo(WriteToKafka(job.bootstrap, READS, JOB))
    )
    send_dead_letters(outputs.dead, job.bootstrap, JOB)
    return outputs
