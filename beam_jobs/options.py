"""Options that all jobs share; each job's own are beside its pipeline."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from alpr.errors import ConfigurationError
from beam_jobs.io.source import SourceConfig


def require(options: PipelineOptions, *names: str) -> None:
    """Refuse options without these. Raises ConfigurationError.

    Not left to the parser: Beam parses with the options of every job that this
    process has imported, and would ask one job for what another requires.
    """
    given = options.get_all_options()
    missing = [f"--{name}" for name in names if not given.get(name)]
    if missing:
        raise ConfigurationError(f"this job requires {' and '.join(missing)}: see --help")


class JobOptions(PipelineOptions):
    """How a job reaches Kafka, how it reads, and when it gives up."""

    @classmethod
    def _add_argparse_args(cls, parser: Any) -> None:
        parser.add_argument(
            "--bootstrap", default=None, help="Kafka brokers, HOST:PORT[,HOST:PORT…]; required"
        )
        parser.add_argument(
            "--start",
            choices=("earliest", "latest"),
            default="earliest",
            help="where to start in a topic without a checkpoint",
        )
        parser.add_argument(
            "--shards",
            type=int,
            default=1,
            help="parallel readers of a topic; fixed by a job's first submission",
        )
        parser.add_argument(
            "--max_records", type=int, default=2000, help="messages in a micro-batch, at most"
        )
        parser.add_argument(
            "--dead_letter_limit",
            type=float,
            default=0.05,
            help="share of the last 1,000 messages that may be bad before the job fails",
        )
        parser.add_argument(
            "--metrics_dir",
            default=None,
            help="folder where each worker writes its Prometheus target; none: no metrics served",
        )
        parser.add_argument(
            "--detach",
            action="store_true",
            help="submit and leave; the default waits for the job, which LOOPBACK needs",
        )

    def source(self, job: str, topic: str, **changes: Any) -> SourceConfig:
        """The source settings of one topic for this job."""
        settings: dict[str, Any] = {"max_records": self.max_records} | changes
        return SourceConfig(
            bootstrap=self.bootstrap,
            topic=topic,
            job=job,
            start=self.start,
            metrics_dir=self.metrics_dir,
            **settings,
        )
