"""MinIO and PostgreSQL with a lake, in a folder that stays: made once, measured often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.lake.reads import RETENTION
from bench.stack import ports_from
from catalog.lake import Lake
from cli.installation import Installation
from infra import settings as settings_module
from infra.settings import Profile


@contextmanager
def lake_at(home: Path) -> Iterator[tuple[Installation, Lake]]:
    """The lake of this folder, with its stores running; they are stopped afterwards."""
    settings = settings_module.load(home=home, profile=Profile.FULL, ports=ports_from(None))
    installation = Installation(settings)
    for folder in (settings.data_dir, settings.logs_dir, settings.run_dir):
        folder.mkdir(parents=True, exist_ok=True)
    settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    services = (installation.stack.minio, installation.stack.postgres)
    try:
        for service in services:
            service.start()
        lake = installation.prepare_lake()
        lake.retention = RETENTION
        try:
            yield installation, lake
        finally:
            lake.close()
    finally:
        for service in reversed(services):
            service.stop()
