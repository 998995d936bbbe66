"""The MinIO object store: the lake's files in the full profile.

Two users: the root user, who writes, and a reader for those who only ask (DuckDB's look-ups,
Trino). Whatever gets past a query engine then still cannot change a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from alpr.errors import Unavailable
from infra.preflight import LOOPBACK, PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import Provisioner
from infra.services.probe import http_ok
from infra.services.secrets import read_or_make
from infra.services.service import Service
from infra.settings import Settings

if TYPE_CHECKING:
    from minio import MinioAdmin

BUCKET = "lake"
_ROOT_USER = "platelake"
_READER = "platelake-reader"
_READER_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}"],
        },
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/*"],
        },
    ],
}


class Minio(Service):
    """The server with one bucket, `lake`, its owner and its reader, with generated credentials."""

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
    def reader_user_file(self) -> Path:
        """Holds the access key of the user who may read and list the bucket, and nothing else."""
        return self._settings.secrets_dir / "minio-reader-user"

    @property
    def reader_password_file(self) -> Path:
        """Holds the reader's secret key."""
        return self._settings.secrets_dir / "minio-reader-password"

    @property
    def data_dir(self) -> Path:
        """Where objects lie on disk."""
        return self._settings.data_dir / "minio"

    def start(self) -> bool:
        """Start it, make bucket and reader; raises what `ManagedProcess.start` does."""
        started = super().start()
        self._prepare()
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

    def _prepare(self) -> None:
        import minio
        import urllib3
        from minio.credentials.providers import StaticProvider

        host = f"{LOOPBACK}:{self._settings.ports.minio}"
        root = StaticProvider(
            self.user_file.read_text("ascii"), self.password_file.read_text("ascii")
        )
        http = urllib3.PoolManager(timeout=10.0, retries=3)
        client = minio.Minio(endpoint=host, credentials=root, secure=False, http_client=http)
        admin = minio.MinioAdmin(endpoint=host, credentials=root, secure=False, http_client=http)
        try:
            if not client.bucket_exists(bucket_name=BUCKET):
                client.make_bucket(bucket_name=BUCKET)
            self._make_reader(admin)
        except (
            minio.error.MinioException,
            minio.error.MinioAdminException,
            urllib3.exceptions.HTTPError,
        ) as error:
            raise Unavailable(
                f"MinIO at {self.endpoint} would not make the bucket {BUCKET} and its reader: "
                f"{error}. If it refuses the keys, {self._settings.secrets_dir} and "
                f"{self.data_dir} are not of the same installation"
            ) from error
        finally:
            http.clear()

    def _make_reader(self, admin: MinioAdmin) -> None:
        """Make the reader, or set it right: its rights and its key are what is said here."""
        folder = self._settings.secrets_dir
        user = read_or_make(folder, self.reader_user_file.name, make=_READER)
        admin.policy_add(policy_name=_READER, policy=_READER_POLICY)
        admin.user_add(user, read_or_make(folder, self.reader_password_file.name))
        admin.policy_set(_READER, user=user)
