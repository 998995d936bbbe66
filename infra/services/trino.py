"""Trino: SQL over the lake for people and their tools, in the full profile.

It only reads, and not by its own word alone: its catalog is read only, its rules grant SELECT,
and the accounts it uses at the store and the database may not write. Configuration and rules
are in infra/trino/etc; what differs between installations comes from the environment.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from alpr.errors import ConfigurationError
from infra.preflight import LOOPBACK, PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import Provisioner
from infra.services.certificate import ensure_certificate
from infra.services.java import java_argv
from infra.services.minio import BUCKET, Minio
from infra.services.postgres import DATABASE, READER, Postgres
from infra.services.probe import trino_started
from infra.services.secrets import read_or_make
from infra.services.service import Service
from infra.settings import Settings

CATALOG, SCHEMA = "lake", "alpr"
"""What people write before a table's name."""

LAKE_CATALOG_NAME = "platelake"
"""pyiceberg's name for the catalogue: `LakeConfig.catalog_name`."""

USERS = {"admin": "admins", "investigator": "investigators"}
"""Who may come, and the group that infra/trino/etc/rules.json speaks of. Admins see how queries
run and may end them; neither may write."""

METRICS_PATH = "/metrics"
_CONFIGURATION = Path(__file__).parents[1] / "trino"
_REGION = "us-east-1"
_OPTIONS = (
    "-XX:+UseG1GC",
    "-XX:ReservedCodeCacheSize=256m",
    "-XX:-OmitStackTraceInFastThrow",
    "-XX:+EnableDynamicAgentLoading",  # it measures its objects with an agent
    "-Djdk.attach.allowAttachSelf=true",
)
# Against guessing a short password this would be few; ours are 32 random bytes.
_HASH_ROUNDS = 1000


class Trino(Service):
    """One node, coordinator and worker, with its users, over the lake of this installation."""

    name = "Trino"

    def __init__(
        self,
        settings: Settings,
        provisioner: Provisioner,
        minio: Minio,
        postgres: Postgres,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._provisioner = provisioner
        self._minio = minio
        self._postgres = postgres
        self._now = now
        ports = settings.ports
        self._process = ManagedProcess(
            ProcessSpec(
                name="trino",
                command=self._command,
                ready=lambda: trino_started(ports.trino_http),
                ports=(PortClaim("trino", ports.trino), PortClaim("trino_http", ports.trino_http)),
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
        """Base address for clients."""
        return f"https://{LOOPBACK}:{self._settings.ports.trino}"

    @property
    def certificate_file(self) -> Path:
        """The certificate that clients must trust (PEM); there once the server was started."""
        return self._folder / "ca.pem"

    def password_file(self, user: str) -> Path:
        """Holds the password of a user of `USERS`."""
        return self._settings.secrets_dir / f"trino-{user}-password"

    @property
    def _folder(self) -> Path:
        return self._settings.run_dir / "trino"

    def _command(self) -> Command:
        server, java = self._provisioner.trino, self._provisioner.trino_java
        data = self._settings.data_dir / "trino"
        data.mkdir(parents=True, exist_ok=True)
        return Command(
            argv=java_argv(
                java,
                server / "lib",
                "io.trino.server.TrinoServer",
                heap_mib=self._settings.memory.trino,
                options=(
                    *_OPTIONS,
                    "-Dconfig=etc/config.properties",
                    f"-Dnode.data-dir={data}",
                    f"-Dplugin.dir={server / 'plugin'}",
                ),
            ),
            env=self._environment(),
            cwd=_CONFIGURATION,  # it looks for some of its files there and nowhere else
        )

    def _environment(self) -> Mapping[str, str]:
        secrets = self._settings.secrets_dir
        certificate = secrets / "trino-server.pem"
        self._folder.mkdir(parents=True, exist_ok=True)
        trusted = ensure_certificate(certificate, "platelake trino", self._now())
        self.certificate_file.write_bytes(trusted)
        return {
            "TRINO_ADDRESS": LOOPBACK,
            "TRINO_BIND": LOOPBACK,
            "TRINO_HTTP_PORT": str(self._settings.ports.trino_http),
            "TRINO_HTTPS_PORT": str(self._settings.ports.trino),
            "TRINO_SHARED_SECRET": read_or_make(secrets, "trino-shared-secret"),
            "TRINO_CERTIFICATE_FILE": str(certificate),
            "TRINO_PASSWORDS_FILE": str(self._write_passwords()),
            "TRINO_GROUPS_FILE": str(self._write_groups()),
            "LAKE_CATALOG_NAME": LAKE_CATALOG_NAME,
            "LAKE_CATALOG_DATABASE": f"{self._postgres.address}/{DATABASE}",
            "LAKE_CATALOG_USER": READER,
            "LAKE_CATALOG_PASSWORD": _existing(self._postgres.reader_password_file),
            "LAKE_WAREHOUSE": f"s3://{BUCKET}/warehouse",
            "LAKE_S3_ENDPOINT": self._minio.endpoint,
            "LAKE_S3_REGION": _REGION,
            "LAKE_S3_ACCESS_KEY": _existing(self._minio.reader_user_file),
            "LAKE_S3_SECRET_KEY": _existing(self._minio.reader_password_file),
        }

    def _write_passwords(self) -> Path:
        """The file of the users' hashed passwords."""
        lines = []
        for user in USERS:
            password = read_or_make(self._settings.secrets_dir, self.password_file(user).name)
            lines.append(f"{user}:{hashed(password, os.urandom(16))}\n")
        return self._write("passwords", "".join(lines))

    def _write_groups(self) -> Path:
        members: dict[str, list[str]] = {}
        for user, group in USERS.items():
            members.setdefault(group, []).append(user)
        lines = [f"{group}:{','.join(users)}\n" for group, users in members.items()]
        return self._write("groups", "".join(lines))

    def _write(self, name: str, text: str) -> Path:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(text, "ascii")
        return path


def hashed(password: str, salt: bytes) -> str:
    """A password as Trino's file of users keeps it: rounds, salt and key (PBKDF2), in hex."""
    key = hashlib.pbkdf2_hmac("sha1", password.encode(), salt, _HASH_ROUNDS, 32)
    return f"{_HASH_ROUNDS}:{salt.hex()}:{key.hex()}"


def _existing(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"Trino needs the reader's secret in {path}, which is made when MinIO and PostgreSQL "
            "start: start them first"
        ) from error
