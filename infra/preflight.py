"""What must hold before a process is started: its ports are free, the disk has room."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from alpr.errors import ConfigurationError
from infra.waiting import wait_until

LOOPBACK = "127.0.0.1"
_RELEASE_S = 2.0


@dataclass(frozen=True, slots=True)
class PortClaim:
    """A TCP port on the loopback address, and the setting (of `ports`) that chose it."""

    setting: str
    port: int


def port_is_free(port: int) -> bool:
    """Whether a server could listen on the port now (connections in TIME_WAIT do not count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def port_owner(port: int) -> int | None:
    """The pid that listens on the port; None when nobody does or the system will not say."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells only root
        return None
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            pid: int | None = connection.pid
            return pid
    return None


def require_free_ports(claims: Iterable[PortClaim]) -> None:
    """Raise ConfigurationError naming the first port that is taken, its setting and its owner."""
    for claim in claims:
        # The threads of a process that was just killed may hold its sockets a moment longer.
        if wait_until(partial(port_is_free, claim.port), _RELEASE_S):
            continue
        owner = port_owner(claim.port)
        by = f"process {owner}" if owner else "another program"
        raise ConfigurationError(
            f"port {claim.port} (setting ports.{claim.setting}) is in use by {by}. Stop that, or "
            f"choose another port: PLATELAKE_PORTS__{claim.setting.upper()}=…"
        )


def require_free_disk(folder: Path, minimum_mib: int) -> None:
    """Raise ConfigurationError when the folder's disk has less than `minimum_mib` MiB free."""
    free_mib = free_disk_mib(folder)
    if free_mib < minimum_mib:
        raise ConfigurationError(
            f"the disk of {folder} has {free_mib} MiB free, {minimum_mib} MiB are required "
            "(setting disk_free_min_mib). Free some space, or move the state with PLATELAKE_HOME"
        )


def free_disk_mib(folder: Path) -> int:
    """Free MiB on the disk that holds the folder, or will hold it once it is made."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free // 2**20
