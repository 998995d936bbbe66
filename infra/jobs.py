"""Starting and stopping the streaming jobs on a stack.

Embedded, a job's Python worker is the submitting process itself (LOOPBACK):
the job is one supervised process, and ends with it. On the standalone Flink
the submitter leaves (`--detach`) and Flink runs the workers (PROCESS).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alpr.errors import ConfigurationError, PlatelakeError, Unavailable
from infra.flink_rest import FlinkRest, Job
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.services.stack import Stack
from infra.settings import Profile
from infra.waiting import wait_until
from infra.watchdog import Watchdog

JOBS: Final = ("recognise", "match", "land")
"""In the data's way."""

# With Beam's default of a second a bundle would hold up whatever waits behind a shuffle.
_BUNDLE_MS: Final = 100
_CHECKPOINT_MS: Final = 2000
_START_S: Final = 120.0


@dataclass(frozen=True)
class JobFiles:
    """What the jobs are given by path, readable by every worker."""

    lake_config: Path
    hotlist_store: Path


class Jobs:
    """The jobs of one stack."""

    def __init__(
        self,
        stack: Stack,
        files: JobFiles,
        *,
        shards: int = 1,
        extra: Mapping[str, Sequence[str]] | None = None,
        flink_master: str | None = None,
    ) -> None:
        """`extra`: more flags for a job by name; `flink_master`: another Flink's HOST:PORT."""
        self._stack = stack
        self._files = files
        self._shards = shards
        self._extra = dict(extra or {})
        self._flink_master = flink_master

    def argv(self, job: str, savepoint: Path | None = None) -> list[str]:
        """The submitter's command line. Raises ConfigurationError for an unknown job."""
        if job not in JOBS:
            raise ConfigurationError(f"a job is one of {', '.join(JOBS)}; got {job!r}")
        stack, settings = self._stack, self._stack.settings
        flags = [
            f"--bootstrap={stack.bootstrap}",
            f"--shards={self._shards}",
            f"--metrics_dir={settings.metrics_dir}",
            "--runner=PortableRunner",
            f"--job_endpoint={stack.job_endpoint}",
            f"--job_name={job}",
            f"--parallelism={self._shards}",
            f"--checkpointing_interval={_CHECKPOINT_MS}",
            "--max_bundle_size=1000",
            f"--max_bundle_time_mills={_BUNDLE_MS}",
            # The default ends the submitter, and a LOOPBACK job with it, after five minutes.
            "--job_server_timeout=100000000",
            # Otherwise what a bundle still emits while a checkpoint begins waits in the operator
            # for its next bundle; the stage that makes the shards has none: the job would hang.
            "--finish_bundle_before_checkpointing",
            # Bare, it switches chaining off, without which no other parallelism can be restored.
            "--operator_chaining",
        ]
        if settings.profile is Profile.EMBEDDED:
            flags.append("--environment_type=LOOPBACK")
        else:
            environment = json.dumps({"command": str(stack.flink.worker_command)})
            flags += [
                "--detach",
                "--environment_type=PROCESS",
                f"--environment_config={environment}",
            ]
        if self._flink_master is not None:
            flags.append(f"--flink_master={self._flink_master}")
        if savepoint is not None:
            flags += self._going_on(job, savepoint)
        if job == "match":
            flags.append(f"--hotlist_store={self._files.hotlist_store}")
        if job == "land":
            flags.append(f"--lake_config={self._files.lake_config}")
        return [sys.executable, "-m", f"beam_jobs.{job}", *flags, *self._extra.get(job, ())]

    def _going_on(self, job: str, savepoint: Path) -> list[str]:
        """Flags that restore a job. The embedded Flink takes the place only from its own file."""
        if self._stack.settings.profile is Profile.FULL:
            return [f"--savepoint_path={savepoint.absolute().as_uri()}"]
        folder = self._stack.flink.write_configuration(
            f"flink-conf-{job}", {"execution.savepoint.path": savepoint.absolute().as_uri()}
        )
        return [f"--flink_conf_dir={folder}"]

    def start(self, job: str, savepoint: Path | None = None, *, fresh: bool = False) -> bool:
        """Start a job and wait until Flink runs it; False if it runs already.

        It goes on from `savepoint`, else from its newest checkpoint; `fresh` starts it
        without either. The watchdog looks after it from now on. Raises ConfigurationError,
        Unavailable; what was started is stopped again then.
        """
        if self.find(job) is not None:
            return False
        ledger = self._stack.flink.ledger
        if savepoint is not None and savepoint.exists():
            os.utime(savepoint)  # in use again: nobody's leftover, however old it is
        state = None if fresh else savepoint or ledger.newest_checkpoint(job)
        if self._stack.settings.profile is Profile.EMBEDDED:
            self.process(job, state).start()
            found = self.find(job)
            if found is not None:
                ledger.record(job, found[1].id)
        elif self._flink_master is not None:
            self.submit(job, savepoint)
        else:
            ledger.record(job, self.submit(job, state))
        return True

    def submit(self, job: str, checkpoint: Path | None) -> str:
        """Hand a job to Flink, from a checkpoint or the beginning, and return its id.

        Raises ConfigurationError, Unavailable when it is refused or does not come to run.
        """
        done = subprocess.run(
            self.argv(job, checkpoint), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Unavailable(
                f"job {job} was not accepted (exit code {done.returncode}):\n"
                + "\n".join(done.stderr.splitlines()[-15:])
            )
        if not wait_until(lambda: self.running(job), _START_S, interval_s=0.2):
            raise Unavailable(f"job {job} was accepted and is not running after {_START_S:.0f} s")
        found = self.find(job)
        if found is None:
            raise Unavailable(f"job {job} ran and is gone again. See `platelake job list`")
        return found[1].id

    def process(self, job: str, savepoint: Path | None = None) -> ManagedProcess:
        """The process of an embedded job."""
        settings = self._stack.settings
        spec = ProcessSpec(
            name=f"job-{job}",
            command=lambda: Command(tuple(self.argv(job, savepoint))),
            ready=lambda: self.running(job),
            start_deadline_s=_START_S,
        )
        return ManagedProcess(spec, run_dir=settings.run_dir, logs_dir=settings.logs_dir)

    def stop(self, job: str) -> bool:
        """Cancel a job; its newest checkpoint stays. False if it did not run."""
        self._stack.flink.ledger.retire(job)  # first: the watchdog must not bring it back
        found = self.find(job)
        if found is not None:
            rest, running = found
            rest.cancel(running.id)
            wait_until(lambda: self.find(job) is None, 30.0, interval_s=0.2)
        if self._stack.settings.profile is Profile.EMBEDDED:
            return self.process(job).stop() or found is not None
        return found is not None

    def savepoint(self, job: str, *, cancel: bool = False) -> Path:
        """Write a savepoint. Raises ConfigurationError if the job does not run."""
        found = self.find(job)
        if found is None:
            raise ConfigurationError(f"job {job} is not running: start it first")
        rest, running = found
        path = rest.savepoint(running.id, self._stack.flink.savepoints_dir, cancel=cancel)
        if cancel:
            self._stack.flink.ledger.retire(job)
        return path

    def all(self) -> list[tuple[FlinkRest, Job]]:
        """Every job of every job manager that answers, the newest first."""
        found = []
        for url in self._stack.flink.rest_urls:
            rest = FlinkRest(url)
            try:
                found += [(rest, job) for job in rest.jobs()]
            except PlatelakeError:
                continue  # embedded: that port has no job yet
        return sorted(found, key=lambda pair: pair[1].started, reverse=True)

    def watchdog(self) -> Watchdog:
        """Looks after the stack's processes and the jobs that `start` started on it.

        Raises ConfigurationError on the embedded profile, where a job ends with its process.
        """
        if self._stack.settings.profile is not Profile.FULL:
            raise ConfigurationError(
                "the embedded profile has nothing to watch: its jobs end with their process. "
                "Use --profile full"
            )
        rest = FlinkRest(self._stack.flink.rest_urls[0])

        def submitter(job: str) -> Callable[[Path | None], str]:
            return lambda checkpoint: self.submit(job, checkpoint)

        return Watchdog(
            processes=self._stack.processes,
            jobs=rest.jobs,
            ledger=self._stack.flink.ledger,
            submits={job: submitter(job) for job in JOBS},
            failures=lambda job: rest.failures(job.id),
            cancel=lambda job: rest.cancel(job.id),
        )

    def find(self, job: str) -> tuple[FlinkRest, Job] | None:
        """The live job of this name, and where it runs."""
        return next(
            ((rest, each) for rest, each in self.all() if each.name == job and each.live), None
        )

    def running(self, job: str) -> bool:
        """Whether Flink says that the job runs."""
        found = self.find(job)
        return found is not None and found[1].state == "RUNNING"
