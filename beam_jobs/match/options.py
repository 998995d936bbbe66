"""Options of the match job."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions


class MatchOptions(PipelineOptions):
    """Where the hot list is, and when a repeated hit stays silent."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--hotlist_store",
            default=None,
            help="folder with the hot-list snapshots, readable by every worker; required",
        )
        parser.add_argument(
            "--cool_down_s",
            type=float,
            default=300.0,
            help="seconds in which one entry sounds only once at one camera; "
            "later hits are sent with alert=false",
        )
