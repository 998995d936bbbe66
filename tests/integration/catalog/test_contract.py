"""The lake's contract on PostgreSQL and MinIO, and what only they can get wrong."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from minio import Minio as Client
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from alpr.errors import ConfigurationError, Unavailable
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.images import image_folder
from catalog.lake import Lake
from catalog.retention.bucket import uploads
from catalog.retention.purge import run_purge
from infra.services.minio import Minio
from infra.services.postgres import Postgres
from tests.contract.lake.compacting import CompactionContract
from tests.contract.lake.landing import LandingContract
from tests.contract.lake.purging import PurgeContract
from tests.contract.lake.samples import DAY, NOW, RETENTION, make_reads, no_sleep, stage, stored_ids
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


def test_broken_uploads_into_closed_days_go(config: LakeConfig) -> None:
    """No listing shows their parts, and by its own rules a store may keep them for ever."""
    assert config.s3 is not None
    lake = Lake(config)
    lake.init()
    lake.retention = RETENTION
    client = Client(
        endpoint=config.s3.host,
        access_key=config.s3.access_key,
        secret_key=config.s3.secret_key,
        secure=False,
    )
    bucket, _, prefix = config.warehouse.removeprefix("s3://").partition("/")
    begun = {}
    for days in (31, 3):
        day = (DAY - timedelta(days=days)).date()
        key = f"{prefix}/{image_folder('default', day)}/broken.pack"
        begun[days] = f"s3://{bucket}/{key}"
        upload = client._create_multipart_upload(bucket_name=bucket, object_name=key, headers={})
        client._upload_part(
            bucket_name=bucket, object_name=key, data=b"x" * 5_242_880, headers=None,
            upload_id=upload, part_number=1,
        )  # fmt: skip
    assert {each.uri for each in uploads(lake)} == set(begun.values())
    (report,) = run_purge(lake, lambda: NOW, sleep=no_sleep)
    assert report.others["uploads"] == 1
    assert [each.uri for each in uploads(lake)] == [begun[3]]  # it may be under way
    (report,) = run_purge(lake, lambda: datetime.now(UTC) + timedelta(hours=2), sleep=no_sleep)
    assert report.others["uploads"] == 1
    assert uploads(lake) == []


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
