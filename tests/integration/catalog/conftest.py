"""A lake on MinIO and PostgreSQL, started once, a new bucket prefix and catalogue a test."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator

import pytest

from catalog.config import LakeConfig, S3Config
from infra.provision import Provisioner
from infra.services.minio import BUCKET, Minio
from infra.services.postgres import DATABASE, ROLE, Postgres
from infra.settings import Profile
from tests.stacks import make_settings

pytest.register_assert_rewrite("tests.contract.lake")


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Minio, Postgres]]:
    """The two services, on ports of their own."""
    settings = make_settings(tmp_path_factory.mktemp("full"), Profile.FULL)
    for folder in (settings.data_dir, settings.logs_dir, settings.run_dir, settings.secrets_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    provisioner = Provisioner(settings)
    minio, postgres = Minio(settings, provisioner), Postgres(settings, provisioner)
    try:
        minio.start()
        postgres.start()
        yield minio, postgres
    finally:
        postgres.stop()
        minio.stop()
        shutil.rmtree(postgres.data_dir.parent)  # may lie outside the home


@pytest.fixture
def config(services: tuple[Minio, Postgres]) -> LakeConfig:
    """The full profile's kind of lake, empty."""
    minio, postgres = services
    name = uuid.uuid4().hex
    return LakeConfig(
        catalog_uri=f"postgresql+psycopg2://{ROLE}@{postgres.address}/{DATABASE}",
        catalog_password_file=postgres.password_file,
        catalog_name=name,
        warehouse=f"s3://{BUCKET}/{name}",
        s3=S3Config(minio.endpoint, minio.user_file, minio.password_file),
    )
