"""PostgreSQL: the lake's catalog in the full profile.

Beside the owner of the database there is a reader, for Trino: it may see the two tables of the
catalogue and nothing else.

It refuses to run as root. Then it runs as `postgres`, and its data lie where that account can
reach them: in the state directory or, when one of the folders above is closed to others, in a
folder of its own under /var/tmp.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from alpr.errors import ConfigurationError, Unavailable
from infra.preflight import LOOPBACK, PortClaim
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import Provisioner
from infra.services.oneshot import run_once
from infra.services.secrets import read_or_make
from infra.services.service import Service
from infra.settings import Settings

DATABASE = ROLE = "platelake"
READER = "platelake_reader"
_CATALOG_TABLES = ("iceberg_tables", "iceberg_namespace_properties")
_SUPERUSER = "postgres"
_ACCOUNTS = ("postgres", "nobody")
_CONNECT_TIMEOUT_S = 3
_OUTSIDE = Path("/var/tmp")  # noqa: S108 what is made there is checked for its owner


class Postgres(Service):
    """The server with one database, `platelake`, owned by a role of that name."""

    name = "PostgreSQL"

    def __init__(self, settings: Settings, provisioner: Provisioner) -> None:
        self._settings = settings
        self._provisioner = provisioner
        self._account = _service_account()
        self._process = ManagedProcess(
            ProcessSpec(
                name="postgres",
                command=self._command,
                ready=self._answers,
                ports=(PortClaim("postgres", settings.ports.postgres),),
                start_deadline_s=settings.start_deadline_s,
                stop_signal=signal.SIGINT,  # "fast": does not wait for clients to leave
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
    def password_file(self) -> Path:
        """Holds the password of the role `platelake`."""
        return self._settings.secrets_dir / "postgres-password"

    @property
    def reader_password_file(self) -> Path:
        """Holds the password of the role `platelake_reader`."""
        return self._settings.secrets_dir / "postgres-reader-password"

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self._settings.ports.postgres}"

    def url(self) -> str:
        """The database's URL with its password: pass it on, never print it."""
        password = quote(self.password_file.read_text("ascii"), safe="")
        return f"postgresql://{ROLE}:{password}@{self.address}/{DATABASE}"

    @property
    def data_dir(self) -> Path:
        """Where the database lies on disk."""
        inside = self._settings.data_dir / "postgres"
        if self._account is None or _reachable(inside.parent, self._account):
            return inside
        home = hashlib.sha256(str(self._settings.state_dir).encode()).hexdigest()[:16]
        return _OUTSIDE / f"platelake-{home}" / "postgres"

    def start(self) -> bool:
        """Start it, make roles and database; raises what `ManagedProcess.start` does."""
        started = super().start()
        self._make_database()
        return started

    def let_reader_see_catalog(self) -> None:
        """Grant the reader SELECT on the catalogue's tables, once the lake has made them.

        Raises Unavailable if the database does not answer or has no such tables.
        """
        tables = sql.SQL(", ").join(sql.Identifier(name) for name in _CATALOG_TABLES)
        reader = sql.Identifier(READER)
        try:
            with self._superuser(DATABASE) as connection:
                connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, reader))
        except psycopg.Error as error:
            raise Unavailable(
                f"PostgreSQL at {self.address} would not show the catalogue to {READER}: {error}"
            ) from error

    def destroy(self) -> None:
        """Delete the database; it must not run."""
        data = self.data_dir
        if data.exists():
            shutil.rmtree(data)
            if data.parent.parent == _OUTSIDE:
                data.parent.rmdir()

    def _command(self) -> Command:
        programs = self._provisioner.postgres
        data = self.data_dir
        if not data.exists():
            self._initialise(programs, data)
        self._require_same_version(programs, data)
        options = {
            "listen_addresses": LOOPBACK,
            "port": self._settings.ports.postgres,
            "unix_socket_directories": "",  # clients use TCP with a password
            "max_connections": 50,
            "shared_buffers": "64MB",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return Command(
            argv=(str(programs / "postgres"), "-D", str(data), *settings),
            user=self._account.pw_name if self._account else None,
        )

    def _initialise(self, programs: Path, data: Path) -> None:
        """Make the data folder in one step: built beside its place, then renamed."""
        account = self._account
        self._make_parent(data.parent)
        fresh, password = data.with_name("postgres.new"), data.with_name("postgres.password")
        shutil.rmtree(fresh, ignore_errors=True)  # of an earlier run that was interrupted
        password.unlink(missing_ok=True)
        secret = read_or_make(self._settings.secrets_dir, "postgres-superuser-password")
        try:
            fresh.mkdir(mode=0o700)
            password.touch(mode=0o600)
            password.write_text(secret, "ascii")
            if account:
                os.chown(fresh, account.pw_uid, account.pw_gid)
                os.chown(password, account.pw_uid, account.pw_gid)
            run_once(
                [
                    str(programs / "initdb"),
                    f"--pgdata={fresh}",
                    f"--username={_SUPERUSER}",
                    f"--pwfile={password}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                ],
                f"Making the database folder {data}",
                account,
            )
        finally:
            password.unlink(missing_ok=True)
        fresh.rename(data)

    def _make_parent(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"{folder} belongs to another user. Remove it, or choose another state "
                "directory with PLATELAKE_HOME"
            )

    @staticmethod
    def _require_same_version(programs: Path, data: Path) -> None:
        made_by = (data / "PG_VERSION").read_text("ascii").strip()
        done = subprocess.run(
            [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True
        )
        version = done.stdout.split()[2]
        if version.split(".")[0] != made_by.split(".")[0]:
            raise ConfigurationError(
                f"the database in {data} was made by PostgreSQL {made_by}, found is {version}. "
                f"Install PostgreSQL {made_by}, or move the folder away to begin a new database"
            )

    def _answers(self) -> bool:
        try:
            with self._superuser() as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.Error:
            return False

    @contextmanager
    def _superuser(self, database: str = "postgres") -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            host=LOOPBACK,
            port=self._settings.ports.postgres,
            user=_SUPERUSER,
            dbname=database,
            password=read_or_make(self._settings.secrets_dir, "postgres-superuser-password"),
            connect_timeout=_CONNECT_TIMEOUT_S,
            autocommit=True,
        ) as connection:
            yield connection

    def _make_database(self) -> None:
        try:
            with self._superuser() as connection:
                self._make_role(connection, ROLE, self.password_file)
                self._make_role(connection, READER, self.reader_password_file)
                exists = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
                )
                if not exists.fetchone():
                    connection.execute(
                        sql.SQL("CREATE DATABASE {} OWNER {}").format(
                            sql.Identifier(DATABASE), sql.Identifier(ROLE)
                        )
                    )
            with self._superuser(DATABASE) as connection:  # before PostgreSQL 15 all may create
                connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
                connection.execute(
                    sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(sql.Identifier(ROLE))
                )
        except psycopg.Error as error:
            raise Unavailable(
                f"PostgreSQL at {self.address} would not make the database {DATABASE}: {error}"
            ) from error

    def _make_role(self, connection: psycopg.Connection, role: str, password_file: Path) -> None:
        """Make the role, or give it the password of its file."""
        password = read_or_make(self._settings.secrets_dir, password_file.name)
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
        verb = sql.SQL("ALTER" if known.fetchone() else "CREATE")
        # Hashed here: a statement that fails is logged by the server in full.
        verifier = connection.pgconn.encrypt_password(
            password.encode(), role.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, sql.Identifier(role), verifier)
        )


def _service_account() -> pwd.struct_passwd | None:
    """The account to run as: our own unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _reachable(folder: Path, account: pwd.struct_passwd) -> bool:
    """Whether the account may pass through the folder and all above it (those that exist)."""
    for path in (folder, *folder.parents):
        if not path.exists():
            continue
        status = path.stat()
        if status.st_uid == account.pw_uid:
            passable = status.st_mode & 0o100
        elif status.st_gid == account.pw_gid:
            passable = status.st_mode & 0o010
        else:
            passable = status.st_mode & 0o001
        if not passable:
            return False
    return True
