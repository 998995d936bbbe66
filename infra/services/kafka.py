"""One Kafka node that is broker and controller (KRaft)."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from pathlib import Path

from infra.preflight import LOOPBACK, PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import Provisioner
from infra.services.java import java_argv
from infra.services.oneshot import run_once
from infra.services.probe import kafka_brokers
from infra.services.service import Service
from infra.settings import Settings

# Frames are limited to 8 MiB; headers and the batch around them need a little more.
MAX_MESSAGE_BYTES = 9 * 2**20
_FORMAT_HEAP_MIB = 128


class Kafka(Service):
    """The broker; topics are made by those who know them."""

    name = "Kafka"

    def __init__(self, settings: Settings, provisioner: Provisioner) -> None:
        self._settings = settings
        self._provisioner = provisioner
        ports = settings.ports
        self._process = ManagedProcess(
            ProcessSpec(
                name="kafka",
                command=self._command,
                ready=lambda: kafka_brokers(ports.kafka) > 0,
                ports=(
                    PortClaim("kafka", ports.kafka),
                    PortClaim("kafka_controller", ports.kafka_controller),
                ),
                start_deadline_s=settings.start_deadline_s,
                stop_grace_s=30.0,
                disk_free_min_mib=settings.disk_free_min_mib,
            ),
            run_dir=settings.run_dir,
            logs_dir=settings.logs_dir,
        )

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"{LOOPBACK}:{self._settings.ports.kafka}"

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """The broker."""
        return (self._process,)

    @property
    def _data(self) -> Path:
        return self._settings.data_dir / "kafka"

    def _command(self) -> Command:
        java, jars = self._provisioner.java, self._provisioner.kafka_jars
        properties = self._settings.run_dir / "kafka.properties"
        properties.write_text(self.configuration(), "utf-8")
        self._format(java, jars, properties)
        return Command(
            java_argv(
                java,
                jars,
                "kafka.Kafka",
                str(properties),
                heap_mib=self._settings.memory.kafka,
                options=("-Dplatelake.log.level=WARN",),
            )
        )

    def configuration(self) -> str:
        """The broker's properties file."""
        ports = self._settings.ports
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{ports.kafka_controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": (
                f"PLAINTEXT://{LOOPBACK}:{ports.kafka},"
                f"CONTROLLER://{LOOPBACK}:{ports.kafka_controller}"
            ),
            "advertised.listeners": (
                f"PLAINTEXT://{LOOPBACK}:{ports.kafka},"
                f"CONTROLLER://{LOOPBACK}:{ports.kafka_controller}"
            ),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self._data,
            # A mistyped topic must be an error, not a new topic with wrong retention.
            "auto.create.topics.enable": "false",
            "message.max.bytes": MAX_MESSAGE_BYTES,
            "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
            # One node: the internal topics cannot have copies.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            # Retention is a promise of the policies: look often.
            "log.retention.check.interval.ms": 60_000,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())

    def _format(self, java: Path, jars: Path, properties: Path) -> None:
        """Give the empty data folder its cluster id, once; a half-done earlier try is repeated."""
        if (self._data / "meta.properties").exists():
            return
        self._data.mkdir(parents=True, exist_ok=True)
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if cluster.startswith("-"):  # it would be taken for an option
            cluster = f"A{cluster[1:]}"
        arguments = ["format", "--standalone", "--ignore-formatted"]
        arguments += ["--cluster-id", cluster, "--config", str(properties)]
        run_once(
            java_argv(
                java,
                jars,
                "kafka.tools.StorageTool",
                *arguments,
                heap_mib=_FORMAT_HEAP_MIB,
                options=("-XX:TieredStopAtLevel=1",),  # it lives for a second
            ),
            f"Formatting Kafka's storage in {self._data}",
        )
