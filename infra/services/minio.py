"""The MinIO object store: the lake's files in the full profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alpr.errors import Unavailable
from infra.preflight import LOOPBACK, PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import Provisioner
from infra.services.probe import http_ok
from infra.services.secrets import read_or_make
from infra.services.service import Service
from infra.settings import Settings

BUCKET = "lake"
_ROOT_USER = "platelake"


class Minio(Service):
    """The server with one bucket, `lake`, and generated credentials."""

    name = "MinIO"

    def __init__(self, settings: Settings, provisioner: Provisioner) -> None:
        self._settings = settings
        self._provisioner = provisioner
        port = settings.ports.minio
        self._process = ManagedProcess(
            ProcessSpec(
                name="minio",
                command=self._command,
                ready=lambda: http_ok(port, "/minio/health/cluster"),
                ports=(PortClaim("minio", port),),
                start_deadline_s=settings.start_deadline_s,
                disk_free_min_mib=settings.disk_free_min_mib,
            ),
            run_dir=settings.run_dir,
            logs_dir=settings.logs_dir,
        )

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """The server."""
        return (self._process,)

    @property
    def endpoint(self) -> str:
        """Base address of the S3 interface."""
        return f"http://{LOOPBACK}:{self._settings.ports.minio}"

    @property
    def user_file(self) -> Path:
        """Holds the access key."""
        return self._settings.secrets_dir / "minio-user"

    @property
    def password_file(self) -> Path:
        """Holds the secret key."""
        return self._settings.secrets_dir / "minio-password"

    @property
    def data_dir(self) -> Path:
        """Where objects lie on disk."""
        return self._settings.data_dir / "minio"

    def start(self) -> bool:
        """Start it and make the bucket; raises what `ManagedProcess.start` does."""
        started = super().start()
        self._make_bucket()
        return started

    def _command(self) -> Command:
        program = self._provisioner.minio
        self.data_dir.mkdir(parents=True, exist_ok=True)
        read_or_make(self._settings.secrets_dir, self.user_file.name, make=_ROOT_USER)
        read_or_make(self._settings.secrets_dir, self.password_file.name)
        return Command(
            argv=(
                str(program),
                "server",
                "--quiet",
                "--address",
                f"{LOOPBACK}:{self._settings.ports.minio}",
                str(self.data_dir),
            ),
            env={
                "MINIO_ROOT_USER_FILE": str(self.user_file),
                "MINIO_ROOT_PASSWORD_FILE": str(self.password_file),
                "MINIO_BROWSER": "off",
                "MINIO_UPDATE": "off",
                "MINIO_PROMETHEUS_AUTH_TYPE": "public",
                # Deleted means gone: by default deleted bytes and broken uploads linger.
                "MINIO_API_DELETE_CLEANUP_INTERVAL": "10s",
                "MINIO_API_STALE_UPLOADS_EXPIRY": "1m",
                "MINIO_API_STALE_UPLOADS_CLEANUP_INTERVAL": "30s",
            },
        )

    def _make_bucket(self) -> None:
        import minio
        import urllib3

        http = urllib3.PoolManager(timeout=10.0, retries=3)
        client = minio.Minio(
            endpoint=f"{LOOPBACK}:{self._settings.ports.minio}",
            access_key=self.user_file.read_text("ascii"),
            secret_key=self.password_file.read_text("ascii"),
            secure=False,
            http_client=http,
        )
        try:
            if not client.bucket_exists(bucket_name=BUCKET):
                client.make_bucket(bucket_name=BUCKET)
        except (minio.error.MinioException, urllib3.exceptions.HTTPError) as error:
            raise Unavailable(
                f"MinIO at {self.endpoint} would not make the bucket {BUCKET}: {error}. If it "
                f"refuses the keys, {self._settings.secrets_dir} and {self.data_dir} are not of "
                "the same installation"
            ) from error
        finally:
            http.clear()
