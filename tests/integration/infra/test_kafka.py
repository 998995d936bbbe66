from __future__ import annotations

from pathlib import Path

import pytest

from infra.services.stack import Stack
from ingest.topics import ensure_topics
from tests.stacks import make_settings

pytestmark = pytest.mark.integration


def test_topics_survive_a_crash_and_a_stop(tmp_path: Path) -> None:
    stack = Stack(make_settings(tmp_path))
    kafka = stack.kafka
    try:
        assert kafka.start()
        assert kafka.healthy()
        assert not kafka.start()
        assert ensure_topics(kafka.bootstrap)
        assert kafka.kill()
        assert not kafka.healthy()
        assert kafka.start()
        assert ensure_topics(kafka.bootstrap) == []
        assert kafka.stop()
        assert not kafka.healthy()
        assert kafka.start()
        assert ensure_topics(kafka.bootstrap) == []
    finally:
        kafka.stop()
    assert all(not process.alive() for process in stack.processes)


def test_a_storage_that_was_half_made_is_mended(tmp_path: Path) -> None:
    stack = Stack(make_settings(tmp_path))
    (stack.settings.data_dir / "kafka").mkdir(parents=True)
    (stack.settings.data_dir / "kafka" / "bootstrap.checkpoint").touch()
    try:
        assert stack.kafka.start()
    finally:
        stack.kafka.stop()
