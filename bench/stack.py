"""A stack of its own for a benchmark: Kafka and the embedded Flink in a temporary home."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from kafka import TopicPartition

from alpr.errors import ConfigurationError
from cli.installation import Installation
from infra import settings as settings_module
from infra.preflight import port_is_free
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision.progress import Reporter
from infra.settings import Ports, Profile
from ingest.topics import admin, end_offsets, ensure_topics

_OFFSETS = {
    "kafka": 0, "kafka_controller": 1, "job_server": 2, "job_manager": 3, "blob_server": 4,
    "minio": 5, "postgres": 6, "flink_rest": 8, "flink_metrics": 16, "task_manager": 24,
}  # fmt: skip
_SPAN = 40


def ports_from(first: int | None) -> Ports:
    """The block of ports that begins with `first`, or any that is free.

    Raises ConfigurationError if there is none.
    """
    if first is None:
        blocks = list(range(22000, 31000, _SPAN))
        random.SystemRandom().shuffle(blocks)
    else:
        blocks = [first]
    for block in blocks:
        if all(port_is_free(port) for port in range(block, block + _SPAN)):
            return Ports(**{name: block + offset for name, offset in _OFFSETS.items()})
    raise ConfigurationError(f"{_SPAN} free ports in a row were required, none found")


@contextmanager
def stack(reporter: Reporter, first_port: int | None = None) -> Iterator[Installation]:
    """Kafka and Flink, up, with topics and an empty lake; all of it is gone afterwards.

    After an error the logs stay: the message says where.
    """
    home = Path(tempfile.mkdtemp(prefix="platelake-bench-"))
    settings = settings_module.load(
        home=home, profile=Profile.EMBEDDED, ports=ports_from(first_port)
    )
    installation = Installation(settings, reporter)
    try:
        installation.stack.up(after_kafka=ensure_topics)
        installation.prepare_lake().close()
        yield installation
    except BaseException:
        installation.stack.down()
        shutil.rmtree(settings.data_dir, ignore_errors=True)
        raise
    installation.stack.down()
    shutil.rmtree(home, ignore_errors=True)


def pid_of(process: ManagedProcess) -> int:
    """The id of a process that must run. Raises ConfigurationError if it does not."""
    pid = process.pid
    if pid is None:
        raise ConfigurationError(f"{process.spec.name} has ended. {process.log_tail()}")
    return pid


def service_pids(installation: Installation) -> dict[str, int]:
    """Flink's JVM and the broker, by name."""
    names = {"job-server": "jvm", "kafka": "broker"}
    return {
        names[process.spec.name]: pid_of(process)
        for process in installation.stack.processes
        if process.spec.name in names
    }


def truncate(bootstrap: str, topic: str) -> None:
    """Delete what the topic holds: who begins at its oldest message begins here."""
    client = admin(bootstrap)
    try:
        ends = end_offsets(bootstrap, topic)
        client.delete_records({TopicPartition(topic, p): end for p, end in ends.items() if end})
    finally:
        client.close()


@contextmanager
def held(processes: dict[str, int]) -> Iterator[None]:
    """Processes stopped where they stand (SIGSTOP), to go on together at the end."""
    for pid in processes.values():
        psutil.Process(pid).suspend()
    try:
        yield
    finally:
        for pid in processes.values():
            psutil.Process(pid).resume()


def job_process(installation: Installation, job: str, module: str | None = None) -> ManagedProcess:
    """An embedded job, not started; `module` instead of the product's own `beam_jobs.<job>`."""
    jobs = installation.jobs()
    if module is None:
        return jobs.process(job)
    python, flag, _, *flags = jobs.argv(job)
    spec = ProcessSpec(
        name=f"job-{job}",
        command=lambda: Command((python, flag, module, *flags)),
        ready=lambda: jobs.running(job),
        start_deadline_s=180.0,
    )
    settings = installation.settings
    return ManagedProcess(spec, run_dir=settings.run_dir, logs_dir=settings.logs_dir)
