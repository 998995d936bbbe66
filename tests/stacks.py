"""Settings for tests: a home of their own and ports that are free."""

from __future__ import annotations

import random
from pathlib import Path

from infra.preflight import port_is_free
from infra.settings import Ports, Profile, Settings, load

# Below the range from which systems take ports for outgoing connections.
_FIRST, _LAST, _SPAN = 22000, 31000, 40
_OFFSETS = {
    "kafka": 0,
    "kafka_controller": 1,
    "job_server": 2,
    "job_manager": 3,
    "blob_server": 4,
    "minio": 5,
    "postgres": 6,
    "trino": 7,
    "trino_http": 32,
    "flink_rest": 8,
    "flink_metrics": 16,
    "task_manager": 24,
}


def free_ports() -> Ports:
    """Ports of a block in which all are free; where it lies is random, so that runs differ."""
    source = random.SystemRandom()
    for _ in range(100):
        base = source.randrange(_FIRST, _LAST, _SPAN)
        if all(port_is_free(port) for port in range(base, base + _SPAN)):
            return Ports(**{name: base + offset for name, offset in _OFFSETS.items()})
    raise RuntimeError("no free block of ports found in 100 tries")


def make_settings(home: Path, profile: Profile = Profile.EMBEDDED, **flags: object) -> Settings:
    """Settings with this home and free ports; the cache is the user's, as filled by `up`.

    Without Trino unless asked for: it costs every stack seconds and a gigabyte.
    """
    flags.setdefault("trino", False)
    return load(home=home, profile=profile, ports=free_ports(), **flags)
