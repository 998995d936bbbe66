"""Options of the land job."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions


class LandOptions(PipelineOptions):
    """Which lake, and how often it is committed to."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--lake_config",
            default=None,
            help="the lake's TOML file, readable by every worker; required",
        )
        parser.add_argument(
            "--commit_s",
            type=float,
            default=3.0,
            help="seconds between two commits of a table, at least",
        )
        parser.add_argument(
            "--commit_rows",
            type=int,
            default=200_000,
            help="rows after which a table is committed without waiting",
        )
