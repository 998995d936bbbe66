"""The whole local stack of a profile: started in order, stopped in the reverse order."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from alpr.errors import ConfigurationError, PlatelakeError
from infra.preflight import LOOPBACK
from infra.process import ManagedProcess, ProcessStatus
from infra.provision import Provisioner
from infra.provision.progress import Reporter, Silent
from infra.services.flink import EmbeddedFlink, Flink, StandaloneFlink
from infra.services.kafka import Kafka
from infra.services.minio import Minio
from infra.services.postgres import Postgres
from infra.services.service import Service
from infra.services.trino import METRICS_PATH, Trino
from infra.settings import Profile, Settings


class Stack:
    """The services of `settings.profile`, and where they answer.

    MinIO, PostgreSQL and Trino are there in either profile for tests that want just one of
    them; only the full profile starts them, and Trino only unless `settings.trino` is off.
    """

    def __init__(self, settings: Settings, reporter: Reporter | None = None) -> None:
        self.settings = settings
        self.reporter = reporter or Silent()
        self.provisioner = Provisioner(settings, self.reporter)
        self.kafka = Kafka(settings, self.provisioner)
        self.minio = Minio(settings, self.provisioner)
        self.postgres = Postgres(settings, self.provisioner)
        self.trino = Trino(settings, self.provisioner, self.minio, self.postgres)
        self.flink: Flink
        if settings.profile is Profile.FULL:
            self.flink = StandaloneFlink(settings, self.provisioner)
        else:
            self.flink = EmbeddedFlink(settings, self.provisioner)

    @property
    def services(self) -> Sequence[Service]:
        """The services in the order in which they start."""
        if self.settings.profile is Profile.FULL:
            trino = (self.trino,) if self.settings.trino else ()
            return (self.kafka, self.minio, self.postgres, self.flink, *trino)
        return (self.kafka, self.flink)

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """All processes in the order in which they start."""
        return [process for service in self.services for process in service.processes]

    # Where things answer.

    @property
    def bootstrap(self) -> str:
        """Kafka's `host:port`."""
        return self.kafka.bootstrap

    @property
    def job_endpoint(self) -> str:
        """`host:port` of Beam's job service."""
        return self.flink.job_endpoint

    @property
    def flink_rest(self) -> str:
        """Base address of Flink's REST; embedded, of the first job's."""
        return self.flink.rest_urls[0]

    @property
    def s3_endpoint(self) -> str:
        """Base address of MinIO; full profile only."""
        return self.minio.endpoint

    @property
    def secrets_dir(self) -> Path:
        """Where the generated credentials lie."""
        return self.settings.secrets_dir

    # What can be done.

    def up(self, after_kafka: Callable[[str], object] | None = None) -> list[str]:
        """Start what does not run; the names of the processes that were started.

        `after_kafka` gets the bootstrap address once Kafka is well: the place to make topics.

        Raises ConfigurationError or Unavailable. Then, and when interrupted, the processes
        that this call started are stopped again; those that ran before stay.
        """
        self._make_folders()
        before = {process.name for process in self.processes if process.alive()}
        try:
            for service in self.services:
                with self.reporter.step(f"Starting {service.name}"):
                    service.start()
                if service is self.kafka and after_kafka:
                    with self.reporter.step("Making topics"):
                        after_kafka(self.bootstrap)
        except BaseException:  # an interrupt too: a stack that is not up must leave nothing
            self._stop([process for process in self.processes if process.name not in before])
            raise
        self._write_metric_targets()
        return [process.name for process in self.processes if process.name not in before]

    def down(self) -> list[str]:
        """Stop everything; the names of the processes that ran.

        All are tried. Raises the first error once the others are stopped.
        """
        (self.settings.metrics_dir / "stack.json").unlink(missing_ok=True)
        stopped = self._stop(self._possible_processes())
        self.flink.clear_temp()
        return stopped

    def destroy(self) -> None:
        """Delete all data, secrets and logs of the profile.

        Raises ConfigurationError while anything runs: deleting under it would corrupt it.
        """
        running = [process.name for process in self._possible_processes() if process.alive()]
        if running:
            raise ConfigurationError(
                f"{', '.join(running)} still runs. Run `platelake down` before deleting its data"
            )
        self.postgres.destroy()
        if self.settings.state_dir.exists():
            shutil.rmtree(self.settings.state_dir)

    def status(self) -> list[ProcessStatus]:
        """What is known of each process now."""
        return [process.status() for process in self.processes]

    def healthy(self) -> bool:
        """Whether every process runs and answers."""
        return all(service.healthy() for service in self.services)

    def _possible_processes(self) -> Sequence[ManagedProcess]:
        """Those of the services, and Trino's where it runs although it is left out by now."""
        left_out = () if self.trino in self.services else self.trino.processes
        return [*self.processes, *(process for process in left_out if process.alive())]

    @staticmethod
    def _stop(processes: Sequence[ManagedProcess]) -> list[str]:
        stopped: list[str] = []
        errors: list[PlatelakeError] = []
        for process in reversed(processes):
            try:
                if process.stop():
                    stopped.append(process.name)
            except PlatelakeError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return stopped

    def _write_metric_targets(self) -> None:
        """Tell Prometheus where Flink, MinIO and Trino answer (its file service discovery)."""
        targets = [
            {
                "targets": [f"{LOOPBACK}:{port}" for port in self.flink.metric_ports],
                "labels": {"service": "flink", "profile": self.settings.profile.value},
            }
        ]
        if self.minio in self.services:
            labels = {
                "service": "minio",
                "profile": self.settings.profile.value,
                "__metrics_path__": "/minio/v2/metrics/cluster",
            }
            endpoint = self.s3_endpoint.removeprefix("http://")
            targets.append({"targets": [endpoint], "labels": labels})
        if self.trino in self.services:
            labels = {
                "service": "trino",
                "profile": self.settings.profile.value,
                "__metrics_path__": METRICS_PATH,
            }
            endpoint = f"{LOOPBACK}:{self.settings.ports.trino_http}"
            targets.append({"targets": [endpoint], "labels": labels})
        folder = self.settings.metrics_dir
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / "stack.part"
        part.write_text(json.dumps(targets, indent=1), "utf-8")
        part.replace(folder / "stack.json")

    def _make_folders(self) -> None:
        settings = self.settings
        for folder in (settings.data_dir, settings.logs_dir, settings.run_dir):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigurationError(
                    f"cannot make {folder}: {error.strerror}. Choose another place for the "
                    "state with PLATELAKE_HOME"
                ) from error
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
