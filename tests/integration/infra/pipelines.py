"""Small Beam pipelines that say, in a file, who worked on them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineResult
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

STREAMING = (
    "--streaming",
    "--checkpointing_interval=1000",
    "--max_bundle_size=1000",
    "--max_bundle_time_mills=100",
    "--job_server_timeout=100000000",
)


class Note(beam.DoFn):
    """Writes "value pid" for each element."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def process(self, element: int) -> None:
        with self._path.open("a") as file:
            file.write(f"{element} {os.getpid()}\n")


class Count(beam.DoFn):
    """Counts a key's elements in state: proof that state came back."""

    COUNT = ReadModifyWriteStateSpec("count", VarIntCoder())

    def process(self, element, count=beam.DoFn.StateParam(COUNT)):  # type: ignore[no-untyped-def]
        now = (count.read() or 0) + 1
        count.write(now)
        yield now


def squares(path: Path, *flags: str) -> PipelineResult:
    """Write the squares of 1, 2, 3; ends by itself."""
    pipeline = beam.Pipeline(runner="PortableRunner", options=PipelineOptions(list(flags)))
    _ = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda x: x * x) | beam.ParDo(Note(path))
    return pipeline.run()


def counting(path: Path, *flags: str) -> PipelineResult:
    """Count up for ever, five times a second, in keyed state."""
    options = PipelineOptions([*STREAMING, *flags])
    pipeline = beam.Pipeline(runner="PortableRunner", options=options)
    now = time.time()
    _ = (
        pipeline
        | PeriodicImpulse(now, now + 3600, 0.2)
        | beam.Map(lambda x: ("key", x)).with_output_types(tuple[str, float])
        | beam.ParDo(Count())
        | beam.ParDo(Note(path))
    )
    return pipeline.run()


def noted(path: Path) -> list[tuple[int, int]]:
    """What was written: (value, pid)."""
    if not path.exists():
        return []
    lines = (line.split() for line in path.read_text().splitlines())
    return [(int(line[0]), int(line[1])) for line in lines if len(line) == 2]
