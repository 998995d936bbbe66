"""Beam without a cluster: state and timers to hand in, batches, and event time under control."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import TaggedOutput
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import TimestampedValue

from beam_jobs.io.source import Batch
from ingest.codecs import Headers
from tests.support.records import T0

RUNNER = "BundleBasedDirectRunner"
"""Named, since the default looks for another runner in the network; it knows TestStream."""


class Cell:
    """A state cell: one value, or a bag of them."""

    def __init__(self) -> None:
        self.value: Any = None
        self.bag: list[Any] = []

    def read(self) -> Any:
        return self.bag if self.bag else self.value

    def write(self, value: Any) -> None:
        self.value = value

    def add(self, value: Any) -> None:
        self.bag.append(value)

    def clear(self) -> None:
        self.value, self.bag = None, []


class Bag(Cell):
    """A bag state cell: empty is an empty list."""

    def read(self) -> Any:
        return list(self.bag)


class Timer:
    """A timer that fires when the test calls its callback."""

    def __init__(self) -> None:
        self.at: float | None = None

    def set(self, at: Any) -> None:
        self.at = float(at)


def split(outputs: Iterable[Any] | None) -> tuple[list[Any], list[Any]]:
    """(main output, tagged outputs), timestamps taken off."""
    main: list[Any] = []
    tagged: list[Any] = []
    for output in outputs or ():
        if isinstance(output, TaggedOutput):
            tagged.append(output.value)
        else:
            main.append(output.value if isinstance(output, TimestampedValue) else output)
    return main, tagged


def make_batch(
    values: Sequence[bytes | None],
    first: int = 0,
    *,
    topic: str = "reads",
    partition: int = 0,
    headers: Sequence[Headers] | None = None,
    key: bytes | None = b"pd/cam-1",
) -> Batch:
    """Messages without offset gaps; all came to the broker half a second after noon."""
    count = len(values)
    return Batch(
        topic=topic,
        partition=partition,
        first=first,
        next=first + count,
        offsets=list(range(first, first + count)),
        timestamps_ms=[int(T0.timestamp() * 1000) + 500] * count,
        keys=[key] * count,
        values=list(values),
        headers=list(headers or [()] * count),
    )


def run(build: Callable[[Any], Any]) -> list[Any]:
    """Run a pipeline to its end; what was in the PCollection that `build` returns."""
    options = PipelineOptions([])
    options.view_as(StandardOptions).streaming = True
    _collected.clear()
    with Pipeline(runner=RUNNER, options=options) as pipeline:
        assert_that(build(pipeline), _collect)
    return list(_collected)


_collected: list[Any] = []


def _collect(actual: list[Any]) -> None:
    _collected.extend(actual)
