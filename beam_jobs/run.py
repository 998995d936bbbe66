"""From a built pipeline to a running job: the one place that talks to a runner."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)
from apache_beam.runners.runner import PipelineState

from alpr.errors import ConfigurationError, PlatelakeError, Unavailable
from beam_jobs.options import JobOptions

_FAILED = 1
_EXIT = {ConfigurationError: 3, Unavailable: 4}


def run_job(
    argv: Sequence[str] | None,
    preflight: Callable[[PipelineOptions], None],
    build: Callable[[Any, PipelineOptions], Any],
) -> int:
    """Parse, check every resource, build the graph, submit; the process's exit code.

    Prints `accepted <job name>` once the engine has the job.
    """
    _configure_logging()
    options = PipelineOptions(argv)
    options.view_as(StandardOptions).streaming = True
    try:
        preflight(options)
    except PlatelakeError as error:
        print(f"platelake: {error}", file=sys.stderr)
        return _EXIT.get(type(error), _FAILED)
    pipeline = beam.Pipeline(options=options)
    build(pipeline, options)
    result = pipeline.run()
    print(f"accepted {options.view_as(GoogleCloudOptions).job_name}", flush=True)
    if options.view_as(JobOptions).detach:
        return 0
    state = result.wait_until_finish()
    return 0 if state in (PipelineState.DONE, PipelineState.CANCELLED) else _FAILED


def _configure_logging() -> None:
    logging.basicConfig(
        level=logging.INFO,
        format='{"at":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s",'
        '"message":"%(message)s"}',
        force=True,
    )
    # The runner's own options are unknown to the SDK and passed on; it warns about each.
    logging.getLogger("apache_beam.options.pipeline_options").setLevel(logging.ERROR)
    # The client warns whenever this process's threads keep it from its event loop for 0.1 s.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    for chatty in ("kafka", "pyiceberg", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
