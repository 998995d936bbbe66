"""From a built pipeline to a running job: the one place that talks to a runner."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
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


class JsonLines(logging.Formatter):
    """One JSON object a line, whatever the message holds; times in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; `trace` only where an exception is told."""
        at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
        told = {
            "at": f"{at.isoformat(timespec='milliseconds')}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


def _configure_logging() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # The runner's own options are unknown to the SDK and passed on; it warns about each.
    logging.getLogger("apache_beam.options.pipeline_options").setLevel(logging.ERROR)
    # The client warns whenever this process's threads keep it from its event loop for 0.1 s.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    for chatty in ("kafka", "pyiceberg", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
