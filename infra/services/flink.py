"""Flink with Beam's job server: embedded in one process, or standalone as in production.

Embedded, the job server runs each job in a small Flink of its own inside its process.
Standalone, a job manager and task managers run the jobs, and the job server hands them over.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from alpr.errors import Unavailable
from infra.flink_rest import FlinkRest, Job
from infra.ledger import JobLedger
from infra.preflight import LOOPBACK, PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import Provisioner
from infra.services.java import java_argv
from infra.services.probe import http_ok, tcp_open
from infra.services.service import Service
from infra.settings import Settings
from infra.waiting import wait_until

_SOURCE_ROOT = Path(__file__).parents[2]
# Each embedded job has a REST server of its own, each Flink process a metrics server.
_PORT_SPAN = 8
_EMBEDDED_TIMEOUT_S = 2.0
_JOBS = 3  # recognise, match, land
# What Flink needs of Java 17's internals (Flink 1.16 was made for Java 11).
_OPENED = (
    "java.lang",
    "java.lang.reflect",
    "java.io",
    "java.net",
    "java.nio",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
)
JAVA_OPTIONS = (
    "--add-exports=java.base/sun.net.util=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
)
_FRAMEWORK_HEAP_MIB = 128
_FRAMEWORK_OFF_HEAP_MIB = 128
_METASPACE_MIB = 256
_OVERHEAD_MIB = 192


class Flink(Service):
    """What both forms share: paths, the job server, the workers' boot command."""

    name = "Flink"

    def __init__(self, settings: Settings, provisioner: Provisioner) -> None:
        self._settings = settings
        self._provisioner = provisioner

    @property
    def job_endpoint(self) -> str:
        """`host:port` of Beam's job service."""
        return f"{LOOPBACK}:{self._settings.ports.job_server}"

    @property
    def rest_urls(self) -> tuple[str, ...]:
        """Where Flink's REST may answer."""
        raise NotImplementedError

    @property
    def metric_ports(self) -> tuple[int, ...]:
        """Where Flink's processes answer Prometheus: each takes the first free one of a range."""
        raise NotImplementedError

    def jobs(self) -> list[tuple[FlinkRest, Job]]:
        """Every job that Flink knows, with the REST server to ask about it.

        Raises Unavailable when the standalone job manager does not answer.
        """
        raise NotImplementedError

    def wait_for_job(self, name: str, known: Collection[str] = (), deadline_s: float = 60.0) -> str:
        """Return the Flink id of the live job of that name that is not among the `known` ids.

        Raises Unavailable when there is none after `deadline_s`.
        """
        found: list[str] = []

        def present() -> bool:
            with suppress(Unavailable):
                found.extend(
                    job.id
                    for _, job in self.jobs()
                    if job.name == name and job.live and job.id not in known
                )
            return bool(found)

        if not wait_until(present, deadline_s, interval_s=0.25):
            raise Unavailable(f"Flink shows no running job {name} after {deadline_s:.0f} s")
        return found[0]

    @property
    def ledger(self) -> JobLedger:
        """Which jobs should run."""
        return JobLedger(self._settings.state_dir / "jobs", self.checkpoints_dir)

    @property
    def checkpoints_dir(self) -> Path:
        """One folder a job id, in it `chk-N` for each checkpoint that is kept."""
        return self._settings.data_dir / "flink" / "checkpoints"

    @property
    def savepoints_dir(self) -> Path:
        """Where savepoints go unless another place is named."""
        return self._settings.data_dir / "flink" / "savepoints"

    @property
    def worker_command(self) -> Path:
        """The program for `--environment_type=PROCESS`; written by `start`."""
        return self._settings.run_dir / "worker-boot.sh"

    @property
    def _conf_dir(self) -> Path:
        return self._settings.run_dir / "flink-conf"

    def configuration(self) -> dict[str, str | int | float]:
        """The content of flink-conf.yaml, as far as both forms share it."""
        return {
            "state.checkpoints.dir": self.checkpoints_dir.as_uri(),
            "state.savepoints.dir": self.savepoints_dir.as_uri(),
            "state.checkpoint-storage": "filesystem",
            "state.checkpoints.num-retained": 3,
            # A job that was cancelled or failed can be brought back.
            "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
            # For ever, soon at first, then slower: each restart starts Python workers, and a
            # job that cannot work must not keep the machine busy with that.
            "restart-strategy": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "15 s",
            "restart-strategy.exponential-delay.backoff-multiplier": 2.0,
            "restart-strategy.exponential-delay.reset-backoff-threshold": "30 s",
            "io.tmp.dirs": str(self._temp_dir),
            # One class path for all: children must not load their own copy of Beam.
            "classloader.resolve-order": "parent-first",
            "classloader.check-leaked-classloader": "false",
            "rest.address": LOOPBACK,
            "rest.bind-address": LOOPBACK,
            "metrics.reporter.prom.factory.class": (
                "org.apache.flink.metrics.prometheus.PrometheusReporterFactory"
            ),
            "metrics.reporter.prom.port": _span(self._settings.ports.flink_metrics),
        }

    @property
    def _temp_dir(self) -> Path:
        return self._settings.state_dir / "tmp"

    def start(self) -> bool:
        """Write the configuration and start; raises what `ManagedProcess.start` does."""
        self.clear_temp()
        for folder in (
            self.checkpoints_dir,
            self.savepoints_dir,
            self._temp_dir,
            self._conf_dir,
            self._settings.logs_dir,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        self.write_configuration(self._conf_dir.name, {})
        self.worker_command.write_text(self._worker_script(), "utf-8")
        self.worker_command.chmod(0o755)
        return super().start()

    def stop(self) -> bool:
        """Stop it; False when nothing ran."""
        stopped = super().stop()
        self.clear_temp()
        return stopped

    def clear_temp(self) -> None:
        """Remove what killed processes left: each keeps copies of all jars for each job."""
        if not any(process.alive() for process in self.processes):
            shutil.rmtree(self._temp_dir, ignore_errors=True)

    def write_configuration(self, folder: str, more: Mapping[str, str]) -> Path:
        """Write flink-conf.yaml, with `more` in it, to a folder of this name; the folder's path."""
        place = self._settings.run_dir / folder
        place.mkdir(parents=True, exist_ok=True)
        # Flink 1.16 reads "key: value" lines, not YAML: no quotes, no nesting.
        settings = self.configuration() | dict(more)
        lines = "".join(f"{name}: {value}\n" for name, value in settings.items())
        (place / "flink-conf.yaml").write_text(lines, "utf-8")
        return place

    def _worker_script(self) -> str:
        """What Flink runs for each Python worker: this Python, this code, a log of its own."""
        path = os.pathsep.join([str(_SOURCE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return (
            "#!/bin/sh\n"
            "# Made by `platelake up`: Flink runs this for each Python worker.\n"
            f"export PYTHONPATH={shlex.quote(path)}\n"
            "export PLATELAKE_WORKER_PARENT=$PPID\n"
            f"exec {shlex.quote(sys.executable)} -m beam_jobs.worker_boot "
            f'--log-dir={shlex.quote(str(self._settings.logs_dir))} "$@"\n'
        )

    def _managed(self, spec: ProcessSpec) -> ManagedProcess:
        return ManagedProcess(
            spec, run_dir=self._settings.run_dir, logs_dir=self._settings.logs_dir
        )

    def _job_server(self, master: str) -> ManagedProcess:
        settings = self._settings

        def command() -> Command:
            return Command(
                java_argv(
                    self._provisioner.java,
                    self._provisioner.flink_jars,
                    "org.apache.beam.runners.flink.FlinkJobServerDriver",
                    f"--job-host={LOOPBACK}",
                    f"--job-port={settings.ports.job_server}",
                    "--artifact-port=0",
                    "--expansion-port=-1",
                    f"--artifacts-dir={self._temp_dir / 'artifacts'}",
                    f"--flink-master={master}",
                    f"--flink-conf-dir={self._conf_dir}",
                    heap_mib=settings.memory.job_server,
                    options=(*JAVA_OPTIONS, f"-Djava.io.tmpdir={self._temp_dir}"),
                ),
                env={"FLINK_CONF_DIR": str(self._conf_dir)},
            )

        return self._managed(
            ProcessSpec(
                name="job-server",
                command=command,
                ready=lambda: tcp_open(settings.ports.job_server),
                ports=(PortClaim("job_server", settings.ports.job_server),),
                start_deadline_s=settings.start_deadline_s,
                disk_free_min_mib=settings.disk_free_min_mib,
            )
        )


class EmbeddedFlink(Flink):
    """The job server alone: jobs live in it and die with it."""

    def __init__(self, settings: Settings, provisioner: Provisioner) -> None:
        super().__init__(settings, provisioner)
        self.job_server = self._job_server("[local]")

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """The job server."""
        return (self.job_server,)

    @property
    def rest_urls(self) -> tuple[str, ...]:
        """One REST server for each running job, somewhere in this range of ports."""
        first = self._settings.ports.flink_rest
        return tuple(f"http://{LOOPBACK}:{port}" for port in range(first, first + _PORT_SPAN))

    @property
    def metric_ports(self) -> tuple[int, ...]:
        """One for each of the three jobs."""
        first = self._settings.ports.flink_metrics
        return tuple(range(first, first + _JOBS))

    def jobs(self) -> list[tuple[FlinkRest, Job]]:
        """Every job that runs; one that ended has taken its REST server with it."""
        clients = [FlinkRest(url, timeout_s=_EMBEDDED_TIMEOUT_S) for url in self.rest_urls]
        return [(client, job) for client in clients if client.answers() for job in client.jobs()]

    def configuration(self) -> dict[str, str | int | float]:
        """The content of flink-conf.yaml."""
        return super().configuration() | {
            "rest.bind-port": _span(self._settings.ports.flink_rest),
        }


class StandaloneFlink(Flink):
    """A job manager, task managers with RocksDB, and the job server in front."""

    def __init__(self, settings: Settings, provisioner: Provisioner) -> None:
        super().__init__(settings, provisioner)
        self.job_manager = self._managed(self._job_manager_spec())
        self.task_managers = tuple(
            self._managed(self._task_manager_spec(index)) for index in range(settings.task_managers)
        )
        self.job_server = self._job_server(f"{LOOPBACK}:{settings.ports.flink_rest}")

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """Job manager, task managers, job server."""
        return (self.job_manager, *self.task_managers, self.job_server)

    @property
    def rest_urls(self) -> tuple[str, ...]:
        """The job manager's REST server."""
        return (f"http://{LOOPBACK}:{self._settings.ports.flink_rest}",)

    @property
    def metric_ports(self) -> tuple[int, ...]:
        """One for the job manager and one for each task manager."""
        first = self._settings.ports.flink_metrics
        return tuple(range(first, first + 1 + len(self.task_managers)))

    def jobs(self) -> list[tuple[FlinkRest, Job]]:
        """Every job that the job manager knows. Raises Unavailable when it does not answer."""
        client = FlinkRest(self.rest_urls[0])
        return [(client, job) for job in client.jobs()]

    def configuration(self) -> dict[str, str | int | float]:
        """The content of flink-conf.yaml.

        Every part of the task managers' memory is set: the launcher that would work the parts
        out from a total belongs to Flink's distribution, which is not used here.
        """
        ports, memory = self._settings.ports, self._settings.memory
        return super().configuration() | {
            "jobmanager.rpc.address": LOOPBACK,
            "jobmanager.rpc.port": ports.job_manager,
            "jobmanager.bind-host": LOOPBACK,
            "jobmanager.memory.process.size": f"{memory.job_manager + 512}m",
            "blob.server.port": ports.blob_server,
            "rest.port": ports.flink_rest,
            "taskmanager.host": LOOPBACK,
            "taskmanager.bind-host": LOOPBACK,
            "taskmanager.numberOfTaskSlots": self._settings.task_slots,
            "taskmanager.cpu.cores": float(os.cpu_count() or 1),
            "taskmanager.memory.task.heap.size": f"{memory.task_heap}m",
            "taskmanager.memory.task.off-heap.size": "0m",
            "taskmanager.memory.network.min": f"{memory.task_network}m",
            "taskmanager.memory.network.max": f"{memory.task_network}m",
            "taskmanager.memory.managed.size": f"{memory.task_managed}m",
            "taskmanager.memory.framework.heap.size": f"{_FRAMEWORK_HEAP_MIB}m",
            "taskmanager.memory.framework.off-heap.size": f"{_FRAMEWORK_OFF_HEAP_MIB}m",
            "taskmanager.memory.jvm-metaspace.size": f"{_METASPACE_MIB}m",
            "taskmanager.memory.jvm-overhead.min": f"{_OVERHEAD_MIB}m",
            "taskmanager.memory.jvm-overhead.max": f"{_OVERHEAD_MIB}m",
            "state.backend": "rocksdb",
            "state.backend.incremental": "true",
            # A dead task manager is noticed in seconds, not in the default's 50.
            "heartbeat.interval": 1000,
            "heartbeat.timeout": 5000,
            "akka.ask.timeout": "20 s",
        }

    def _job_manager_spec(self) -> ProcessSpec:
        settings = self._settings
        ports = settings.ports

        def command() -> Command:
            return self._flink_command(
                "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint",
                heap_mib=settings.memory.job_manager,
            )

        return ProcessSpec(
            name="job-manager",
            command=command,
            ready=lambda: http_ok(ports.flink_rest, "/overview"),
            ports=(
                PortClaim("flink_rest", ports.flink_rest),
                PortClaim("job_manager", ports.job_manager),
                PortClaim("blob_server", ports.blob_server),
            ),
            start_deadline_s=settings.start_deadline_s,
            disk_free_min_mib=settings.disk_free_min_mib,
        )

    def _task_manager_spec(self, index: int) -> ProcessSpec:
        settings = self._settings
        memory = settings.memory
        port = settings.ports.task_manager + index
        name = f"task-manager-{index + 1}"

        def command() -> Command:
            return self._flink_command(
                "org.apache.flink.runtime.taskexecutor.TaskManagerRunner",
                "-D",
                f"taskmanager.rpc.port={port}",
                "-D",
                f"taskmanager.resource-id={name}",
                heap_mib=memory.task_heap + _FRAMEWORK_HEAP_MIB,
                options=(
                    f"-XX:MaxDirectMemorySize={memory.task_network + _FRAMEWORK_OFF_HEAP_MIB}m",
                    f"-XX:MaxMetaspaceSize={_METASPACE_MIB}m",
                ),
            )

        return ProcessSpec(
            name=name,
            command=command,
            ready=lambda: tcp_open(port) and name in FlinkRest(self.rest_urls[0]).task_managers(),
            ports=(PortClaim("task_manager", port),),
            start_deadline_s=settings.start_deadline_s,
            disk_free_min_mib=settings.disk_free_min_mib,
        )

    def _flink_command(
        self, main: str, *arguments: str, heap_mib: int, options: Sequence[str] = ()
    ) -> Command:
        return Command(
            java_argv(
                self._provisioner.java,
                self._provisioner.flink_jars,
                main,
                f"--configDir={self._conf_dir}",
                *arguments,
                heap_mib=heap_mib,
                options=(*JAVA_OPTIONS, f"-Djava.io.tmpdir={self._temp_dir}", *options),
            ),
            env={"FLINK_CONF_DIR": str(self._conf_dir)},
        )


def _span(first: int) -> str:
    return f"{first}-{first + _PORT_SPAN - 1}"
