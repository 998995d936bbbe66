"""Real services for integration tests, started when first asked for and stopped at the end.

The cache of jars and programs is the user's own: the first run fills it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.services.kafka import Kafka
from infra.services.minio import Minio
from infra.services.postgres import Postgres
from infra.services.stack import Stack
from infra.settings import Profile
from tests.stacks import make_settings


@pytest.fixture(scope="session")
def session_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The full profile with nothing started: the fixtures below start its parts."""
    home: Path = tmp_path_factory.mktemp("platelake")
    stack = Stack(make_settings(home, Profile.FULL))
    yield stack
    stack.down()
    stack.destroy()


@pytest.fixture(scope="session")
def kafka(session_stack: Stack) -> Kafka:
    """A broker without topics; `kafka.bootstrap` is its address."""
    session_stack.kafka.start()
    return session_stack.kafka


@pytest.fixture(scope="session")
def minio(session_stack: Stack) -> Minio:
    """An object store with the empty bucket `lake`."""
    session_stack.minio.start()
    return session_stack.minio


@pytest.fixture(scope="session")
def postgres(session_stack: Stack) -> Postgres:
    """A database server; `postgres.url()` is the empty database `platelake`."""
    session_stack.postgres.start()
    return session_stack.postgres


@pytest.fixture(scope="session")
def embedded_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Kafka and the embedded Flink, up. Its topics are not made."""
    stack = Stack(make_settings(tmp_path_factory.mktemp("embedded")))
    stack.up()
    yield stack
    stack.down()
