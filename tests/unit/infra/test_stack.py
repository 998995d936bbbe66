"""The stack's order and its undoing, with small programs in the place of the services."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from alpr.errors import ConfigurationError, Unavailable
from infra.doctor import examine
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.services.flink import EmbeddedFlink, StandaloneFlink
from infra.services.service import Service
from infra.services.stack import Stack
from infra.settings import Profile, Settings
from tests.stacks import make_settings


@dataclass
class Dial:
    """Whether the small program says that it is well."""

    well: bool = True


class Small(Service):
    def __init__(self, name: str, settings: Settings, dial: Dial) -> None:
        self.name = name
        code = "import time; time.sleep(600)"
        spec = ProcessSpec(
            name=name,
            command=lambda: Command((sys.executable, "-c", code)),
            ready=lambda: dial.well,
            start_deadline_s=0.5,
        )
        self._process = ManagedProcess(spec, run_dir=settings.run_dir, logs_dir=settings.logs_dir)

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        return (self._process,)


class SmallStack(Stack):
    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.dial = Dial()
        self.parts = (
            Small("first", settings, Dial()),
            Small("second", settings, self.dial),
        )

        self.address = "nowhere"

    @property
    def bootstrap(self) -> str:
        return self.address

    @property
    def services(self) -> Sequence[Service]:
        return self.parts


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[SmallStack]:
    stack = SmallStack(make_settings(tmp_path))
    yield stack
    stack.down()


def states(stack: Stack) -> list[str]:
    return [status.state for status in stack.status()]


def test_up_and_down(stack: SmallStack) -> None:
    assert stack.up() == ["first", "second"]
    assert stack.healthy()
    assert stack.up() == []
    assert stack.secrets_dir.stat().st_mode & 0o777 == 0o700
    assert stack.down() == ["second", "first"]
    assert stack.down() == []
    assert states(stack) == ["down", "down"]


def test_topics_are_made_once_kafka_is_up_and_before_anything_else(stack: SmallStack) -> None:
    seen: list[tuple[str, list[str]]] = []
    first = stack.parts[0]
    stack.kafka = first  # type: ignore[assignment]  # it plays the broker
    stack.address = "broker:1"
    stack.up(after_kafka=lambda bootstrap: seen.append((bootstrap, states(stack))))
    assert seen == [("broker:1", ["up", "down"])]


def test_when_topics_cannot_be_made_nothing_stays(stack: SmallStack) -> None:
    def refuse(bootstrap: str) -> None:
        raise Unavailable(f"{bootstrap} has no room")

    stack.kafka = stack.parts[0]  # type: ignore[assignment]  # it plays the broker
    with pytest.raises(Unavailable, match="no room"):
        stack.up(after_kafka=refuse)
    assert states(stack) == ["down", "down"]


def test_prometheus_is_told_what_to_scrape_while_the_stack_is_up(stack: SmallStack) -> None:
    targets = stack.settings.metrics_dir / "stack.json"
    stack.up()
    (flink,) = json.loads(targets.read_text())
    assert flink["labels"] == {"service": "flink", "profile": "embedded"}
    assert f"127.0.0.1:{stack.settings.ports.flink_metrics}" in flink["targets"]
    stack.down()
    assert not targets.exists()


def test_when_one_does_not_come_up_the_ones_before_are_stopped(stack: SmallStack) -> None:
    stack.dial.well = False
    with pytest.raises(Unavailable, match="second"):
        stack.up()
    assert states(stack) == ["down", "down"]


def test_what_ran_before_a_failed_up_stays(stack: SmallStack) -> None:
    stack.parts[0].start()
    stack.dial.well = False
    with pytest.raises(Unavailable):
        stack.up()
    assert states(stack) == ["up", "down"]


def test_a_dead_one_comes_back_alone(stack: SmallStack) -> None:
    stack.up()
    stack.parts[1].kill()
    assert states(stack) == ["up", "dead"]
    assert not stack.healthy()
    assert stack.up() == ["second"]


def test_data_is_not_deleted_while_anything_runs(stack: SmallStack) -> None:
    stack.up()
    with pytest.raises(ConfigurationError, match="first, second still runs"):
        stack.destroy()
    stack.down()
    stack.destroy()
    assert not stack.settings.state_dir.exists()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="PLATELAKE_HOME"):
        SmallStack(make_settings(tmp_path / "file")).up()


def test_doctor_sees_what_runs_and_what_died(stack: SmallStack) -> None:
    stack.up()
    stack.parts[1].kill()
    findings = {finding.what: finding for finding in examine(stack)}
    assert findings["Python"].verdict == "ok"
    assert findings["first"].verdict == "ok"
    assert findings["second"].verdict == "wrong"
    assert findings["second"].remedy
    assert findings["Kafka jars"].verdict in {"ok", "note"}


def test_doctor_says_how_to_mend_everything_that_is_wrong(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, Profile.FULL, disk_free_min_mib=2**40)
    findings = examine(Stack(settings))
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    assert "disk" in {finding.what for finding in wrong}
    assert all(finding.remedy for finding in wrong)


def test_the_profiles_have_their_services(tmp_path: Path) -> None:
    embedded = Stack(make_settings(tmp_path))
    full = Stack(make_settings(tmp_path, Profile.FULL, task_managers=2, trino=True))
    assert [process.name for process in embedded.processes] == ["kafka", "job-server"]
    assert [process.name for process in full.processes] == [
        "kafka",
        "minio",
        "postgres",
        "job-manager",
        "task-manager-1",
        "task-manager-2",
        "job-server",
        "trino",
    ]
    without = Stack(make_settings(tmp_path, Profile.FULL, trino=False))
    assert "trino" not in [process.name for process in without.processes]
    assert isinstance(embedded.flink, EmbeddedFlink)
    assert isinstance(full.flink, StandaloneFlink)
    claimed = [claim.port for process in full.processes for claim in process.spec.ports]
    assert len(claimed) == len(set(claimed))


def test_flink_keeps_checkpoints_and_loses_no_time(tmp_path: Path) -> None:
    configuration = StandaloneFlink.configuration(_standalone(tmp_path))
    assert configuration["state.backend"] == "rocksdb"
    assert configuration["state.backend.incremental"] == "true"
    retention = "execution.checkpointing.externalized-checkpoint-retention"
    assert configuration[retention] == "RETAIN_ON_CANCELLATION"
    assert configuration["restart-strategy"] == "exponential-delay"  # without an end
    assert str(configuration["state.checkpoints.dir"]).startswith("file://")


def _standalone(tmp_path: Path) -> StandaloneFlink:
    flink = Stack(make_settings(tmp_path, Profile.FULL)).flink
    assert isinstance(flink, StandaloneFlink)
    return flink


def test_kafka_makes_no_topic_by_mistake_and_takes_a_whole_frame(tmp_path: Path) -> None:
    lines = Stack(make_settings(tmp_path)).kafka.configuration().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    assert settings["auto.create.topics.enable"] == "false"
    assert int(settings["message.max.bytes"]) > 8 * 2**20
    assert settings["listeners"].count("127.0.0.1") == 2
