"""The locked engine on MinIO: with the reader's keys nothing can be written, whatever gets past."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.reader import Reader
from infra.services.minio import Minio
from infra.services.postgres import Postgres
from tests.contract.lake.samples import NOW, make_reads, stage

pytestmark = pytest.mark.integration


def objects(lake: Lake) -> list[tuple[str, int]]:
    return sorted((item.uri, item.size) for item in lake.store.list(lake.config.warehouse))


def test_the_readers_keys_read_and_do_not_write(
    config: LakeConfig, services: tuple[Minio, Postgres]
) -> None:
    minio, _ = services
    assert config.s3 is not None
    keys = replace(
        config.s3,
        reader_access_key_file=minio.reader_user_file,
        reader_secret_key_file=minio.reader_password_file,
    )
    lake = Lake(replace(config, s3=keys))
    lake.init()
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, make_reads(40, image=True))])
    before = objects(lake)
    folder = f"{config.warehouse}/alpr/reads/data"
    write = f"COPY (SELECT 1 AS a) TO '{folder}/x.parquet' (FORMAT parquet)"
    with Reader(lake) as reader:
        count = reader.ask("SELECT count(*) AS n, count(crop.pack) AS pictures FROM reads")
        assert count.to_pylist() == [{"n": 40, "pictures": 40}]
        with pytest.raises(duckdb.Error, match="403"):
            reader._connection.execute(write)
        for sql in (
            "SELECT * FROM read_text('/etc/passwd')",
            f"SELECT * FROM glob('{config.warehouse}/images/*')",
            "SELECT * FROM read_parquet('s3://other/x.parquet')",
            "COPY (SELECT 1) TO '/tmp/x.csv'",
        ):
            with pytest.raises(duckdb.PermissionException):
                reader._connection.execute(sql)
    assert objects(lake) == before
    # The hole that the keys close: with the owner's, the engine alone would write.
    with Reader(Lake(config)) as owner:
        owner._connection.execute(write)
    assert len(objects(lake)) == len(before) + 1
