"""Options of the recognise job."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions


class RecogniseOptions(PipelineOptions):
    """Which recogniser reads, and on how many threads."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--recogniser",
            default="platelake",
            help="platelake (own models) or ppocr (PP-OCRv6 of the rapidocr package)",
        )
        parser.add_argument(
            "--recogniser_threads",
            type=int,
            default=1,
            help="threads inside one inference; 1 gives the most frames a second in all",
        )
        parser.add_argument(
            "--retention_class",
            default="default",
            help="retention class of the reads this job makes",
        )
        parser.add_argument(
            "--lateness_s",
            type=float,
            default=0.5,
            help="how far frames of one camera may arrive out of order, in seconds",
        )
