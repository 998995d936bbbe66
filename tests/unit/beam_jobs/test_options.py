from __future__ import annotations

from collections.abc import Callable

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from alpr.errors import ConfigurationError
from beam_jobs.land import pipeline as land
from beam_jobs.match import pipeline as match
from beam_jobs.options import JobOptions
from beam_jobs.recognise import pipeline as recognise


@pytest.mark.parametrize(
    ("preflight", "argv", "missing"),
    [
        (recognise.preflight, [], "--bootstrap"),
        (match.preflight, ["--hotlist_store=lists"], "--bootstrap"),
        (match.preflight, ["--bootstrap=broker:1"], "--hotlist_store"),
        (land.preflight, [], "--bootstrap and --lake_config"),
    ],
)
def test_a_missing_option_is_named_before_anything_is_reached(
    preflight: Callable[[PipelineOptions], None], argv: list[str], missing: str
) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        preflight(PipelineOptions(argv))


def test_the_source_reads_as_the_options_say() -> None:
    options = PipelineOptions(["--bootstrap=broker:1", "--start=latest", "--max_records=7"])
    config = options.view_as(JobOptions).source("match", "reads", lateness_s=3.0)
    assert (config.bootstrap, config.topic, config.job) == ("broker:1", "reads", "match")
    assert (config.start, config.max_records, config.lateness_s) == ("latest", 7, 3.0)
