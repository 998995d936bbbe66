"""The lake's contract on PostgreSQL and MinIO, and what only they can get wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from minio import Minio as Client
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from alpr.errors import ConfigurationError, Unavailable
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from infra.services.minio import Minio
from infra.services.postgres import Postgres
from tests.contract.lake.compacting import CompactionContract
from tests.contract.lake.landing import LandingContract
from tests.contract.lake.purging import PurgeContract
from tests.contract.lake.samples import NOW, make_reads, no_sleep, stage, stored_ids
from tests.contract.lake.upkeep import UpkeepContract

pytestmark = pytest.mark.integration


class TestLandingServices(LandingContract):
    """See LandingContract."""


class TestUpkeepServices(UpkeepContract):
    """See UpkeepContract."""


class TestCompactionServices(CompactionContract):
    """See CompactionContract."""


class TestPurgeServices(PurgeContract):
    """See PurgeContract."""


def test_a_versioned_bucket_is_refused(config: LakeConfig) -> None:
    assert config.s3 is not None
    client = Client(
        endpoint=config.s3.host,
        access_key=config.s3.access_key,
        secret_key=config.s3.secret_key,
        secure=False,
    )
    client.make_bucket(bucket_name="versioned")
    client.set_bucket_versioning(bucket_name="versioned", config=VersioningConfig(ENABLED))
    with pytest.raises(ConfigurationError, match="keeps versions"):
        Lake(replace(config, warehouse="s3://versioned/wh")).init()


def test_wrong_keys_are_named(config: LakeConfig, tmp_path: Path) -> None:
    assert config.s3 is not None
    wrong = tmp_path / "wrong-key"
    wrong.write_text("not-the-secret")
    with pytest.raises(ConfigurationError, match="wrong-key"):
        Lake(replace(config, s3=replace(config.s3, secret_key_file=wrong))).init()


def test_killed_services_make_the_commit_wait_not_wrong(
    config: LakeConfig, services: tuple[Minio, Postgres]
) -> None:
    """kill -9 of store and catalogue under an open committer; it goes on when they are back."""
    lake = Lake(config)
    lake.init()
    owner = Committer(lake, "reads", now=lambda: NOW, attempts=2, sleep=no_sleep)
    owner.commit([stage(lake, make_reads(10))])
    group = stage(lake, make_reads(10, first=10), first=10)
    for service in services:
        service.kill()
        with pytest.raises(Unavailable):
            owner.commit([group])
        with pytest.raises(Unavailable, match="does not answer"):
            Lake(config).check()
        service.start()
    assert owner.commit([group]).rows == 10
    assert len(stored_ids(lake)) == 20
