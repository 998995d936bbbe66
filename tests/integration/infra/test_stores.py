"""MinIO and PostgreSQL: up, well, used, killed, back with what was stored."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import minio
import psutil
import psycopg
import pytest
import urllib3

from alpr.errors import ConfigurationError
from infra.services.minio import BUCKET
from infra.services.stack import Stack
from infra.settings import Profile
from tests.stacks import make_settings

pytestmark = pytest.mark.integration


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(make_settings(tmp_path, Profile.FULL))


def secrets_of(stack: Stack) -> list[str]:
    return [path.read_text() for path in stack.secrets_dir.iterdir() if "password" in path.name]


def assert_no_secret_is_visible(stack: Stack, pid: int | None) -> None:
    """Neither in the list of processes nor in the log."""
    assert pid is not None
    shown = " ".join(psutil.Process(pid).cmdline())
    shown += "".join(path.read_text() for path in stack.settings.logs_dir.iterdir())
    assert secrets_of(stack)
    assert not any(secret in shown for secret in secrets_of(stack))


def test_minio_keeps_objects_over_a_crash(stack: Stack) -> None:
    service = stack.minio
    try:
        assert service.start()
        assert service.healthy()
        assert not service.start()
        http = urllib3.PoolManager(timeout=10.0)
        client = minio.Minio(
            endpoint=service.endpoint.removeprefix("http://"),
            access_key=service.user_file.read_text(),
            secret_key=service.password_file.read_text(),
            secure=False,
            http_client=http,
        )
        client.put_object(BUCKET, "a/b", io.BytesIO(b"content"), 7)
        assert_no_secret_is_visible(stack, service.processes[0].pid)
        assert service.kill()
        assert not service.healthy()
        assert service.start()
        response = client.get_object(BUCKET, "a/b")
        assert response.read() == b"content"
        response.close()
        http.clear()
        assert service.stop()
    finally:
        service.stop()


def test_the_reader_reads_the_lake_and_can_do_nothing_else(stack: Stack) -> None:
    service = stack.minio
    http = urllib3.PoolManager(timeout=10.0)

    def client(user: Path, password: Path) -> minio.Minio:
        return minio.Minio(
            endpoint=service.endpoint.removeprefix("http://"),
            access_key=user.read_text(),
            secret_key=password.read_text(),
            secure=False,
            http_client=http,
        )

    def content(of: minio.Minio) -> bytes:
        return bytes(of.get_object(BUCKET, "a/b").data)

    try:
        service.start()
        service.start()  # making the reader again changes nothing
        owner = client(service.user_file, service.password_file)
        owner.put_object(BUCKET, "a/b", io.BytesIO(b"content"), 7)
        owner.make_bucket("other")
        owner.put_object("other", "a", io.BytesIO(b"content"), 7)
        reader = client(service.reader_user_file, service.reader_password_file)
        assert content(reader) == b"content"
        assert [item.object_name for item in reader.list_objects(BUCKET, recursive=True)] == ["a/b"]
        refused: list[Callable[[], object]] = [
            lambda: reader.put_object(BUCKET, "a/b", io.BytesIO(b"changed"), 7),
            lambda: reader.put_object(BUCKET, "a/c", io.BytesIO(b"new"), 3),
            lambda: reader.remove_object(BUCKET, "a/b"),
            lambda: reader.get_object("other", "a"),
            lambda: list(reader.list_objects("other")),
            lambda: reader.remove_bucket(BUCKET),
            lambda: reader.make_bucket("third"),
        ]
        for attempt in refused:
            with pytest.raises(minio.error.S3Error, match="AccessDenied"):
                attempt()
        assert content(owner) == b"content"
        assert service.reader_password_file.stat().st_mode & 0o777 == 0o600
        assert_no_secret_is_visible(stack, service.processes[0].pid)
    finally:
        http.clear()
        service.stop()


def test_postgres_keeps_rows_over_a_crash(stack: Stack) -> None:
    service = stack.postgres
    try:
        assert service.start()
        assert service.healthy()
        with psycopg.connect(service.url()) as connection:
            connection.execute("CREATE TABLE t (v integer)")
            connection.execute("INSERT INTO t VALUES (42)")
        assert_no_secret_is_visible(stack, service.processes[0].pid)
        assert service.kill()
        assert service.start()
        with psycopg.connect(service.url()) as connection:
            assert connection.execute("SELECT v FROM t").fetchone() == (42,)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(
                service.url().replace(secrets_of(stack)[0], "x").replace(secrets_of(stack)[-1], "x")
            )
        # A database of another major version is refused with what to do.
        assert service.stop()
        (service.data_dir / "PG_VERSION").write_text("9\n")
        with pytest.raises(ConfigurationError, match="PostgreSQL 9"):
            service.start()
    finally:
        service.stop()
        service.destroy()
    assert not service.data_dir.exists()
