"""Verification and canaries on MinIO, PostgreSQL and Kafka: from their disks, not their answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from minio import Minio as Client
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from alpr.errors import ConfigurationError
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention import disk
from catalog.retention.audit import audit
from catalog.retention.canary import Brood, make_canary, plant
from catalog.retention.ledger import entries, issue_certificate
from catalog.retention.purge import PurgeReport, Renew, run_purge
from catalog.retention.search import Database, Folder, Objects, Place, search
from catalog.retention.signing import SigningKey
from catalog.retention.topics import TopicState, judge_topics
from catalog.retention.verification import Verification
from catalog.retention.verify import verify
from infra.services.kafka import Kafka
from infra.services.minio import BUCKET, Minio
from infra.services.postgres import Postgres
from ingest.codecs import encode, message_key
from ingest.kept import kept_topics
from ingest.producer import Producer
from ingest.topics import READS, TOPICS, admin, ensure_topics
from tests.contract.lake.samples import NOW, RETENTION, make_reads, stage

pytestmark = pytest.mark.integration


@pytest.fixture
def lake(config: LakeConfig) -> Iterator[Lake]:
    lake = Lake(config)
    lake.init()
    lake.retention = RETENTION
    yield lake
    lake.close()


@pytest.fixture
def store(services: tuple[Minio, Postgres]) -> Minio:
    return services[0]


@pytest.fixture
def s3(config: LakeConfig) -> Client:
    assert config.s3 is not None
    return Client(
        endpoint=config.s3.host,
        access_key=config.s3.access_key,
        secret_key=config.s3.secret_key,
        secure=False,
    )


def check(lake: Lake, store: Minio, now: datetime = NOW) -> Verification:
    return verify(lake, RETENTION, now, store_disk=store.data_dir)


def key_of(lake: Lake, name: str) -> str:
    return f"{lake.config.warehouse.removeprefix(f's3://{BUCKET}/')}/{name}"


def test_planted_found_purged_certified_and_found_nowhere(
    lake: Lake, services: tuple[Minio, Postgres], tmp_path: Path
) -> None:
    """The whole way; images above 128 kB lie in parts of MinIO's own, smaller ones in xl.meta."""
    minio, postgres = services
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, make_reads(30, image=True))])
    broods = [make_canary(RETENTION, NOW, image_bytes=size) for size in (20_000, 3_000_000)]
    for brood in broods:
        plant(lake, brood, NOW)
    places: list[Place] = [
        Objects(lake),
        Database(lake.catalog.engine),
        Folder("minio", minio.data_dir),
        Folder("postgres", postgres.data_dir),
    ]
    for brood in broods:
        before = search(brood.canary.needles(), places)
        assert {(each.place, each.needle) for each in before.sightings} == {
            ("lake", 0), ("lake", 1), ("minio", 0), ("minio", 1),
        }, "no plate ever comes into the database, its files or its log"  # fmt: skip
        assert before.unread == []
    insides = {each.where.rpartition("/")[2] for each in before.sightings}
    assert {"part.1", "part.*", "xl.meta"} <= insides
    later = broods[0].canary.ends_at
    key = SigningKey.load_or_make(tmp_path / "key")

    def certify(report: PurgeReport, renew: Renew) -> None:
        found = verify(lake, RETENTION, report.judged_at, store_disk=minio.data_dir)
        assert found.findings == ()
        issue_certificate(lake, report, found, key, later)

    assert broods[1].canary.ends_at == later
    run_purge(lake, lambda: later, certify=certify)
    for brood in broods:
        after = search(brood.canary.needles(), places)
        assert after.findings() == []
        assert set(after.searched) == {"lake", "database", "minio", "postgres"}
        assert all(blobs > 3 for blobs, _ in after.searched.values())
    assert audit(lake, [key.public]).problems == ()
    assert check(lake, minio, later).ok


def test_the_table_of_certificates_takes_no_change(lake: Lake, tmp_path: Path) -> None:
    key = SigningKey.load_or_make(tmp_path / "key")
    run_purge(lake, lambda: NOW, certify=lambda r, _: issue_certificate(lake, r, None, key, NOW))
    for statement in (
        "UPDATE certificates SET kind = 'x'",
        "DELETE FROM certificates",
        "TRUNCATE certificates",
    ):
        with (
            pytest.raises(DBAPIError, match="append-only"),
            lake.catalog.engine.begin() as connection,
        ):
            connection.execute(text(statement))
    assert len(entries(lake)) == 1
    assert audit(lake, [key.public]).problems == ()


def test_a_compressed_value_in_the_database_is_found_by_its_rows(
    lake: Lake, services: tuple[Minio, Postgres]
) -> None:
    """PostgreSQL compresses long values without a magic number: its file hides what SQL shows."""
    _, postgres = services
    brood = make_canary(RETENTION, NOW)
    value = "".join(f"{brood.canary.token[:4]} {brood.canary.token[4:]}, " for _ in range(900))
    value += brood.canary.token
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE leak (words text)")
        connection.execute("INSERT INTO leak VALUES (%s)", (value,))
    try:
        result = search(brood.canary.needles(), [Database(lake.catalog.engine)])
        assert [each.where for each in result.sightings] == ["table public.leak"]
    finally:
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            connection.execute("DROP TABLE leak")


class TestDisk:
    def test_its_own_files_are_understood(self, lake: Lake, store: Minio) -> None:
        """Small objects in xl.meta, larger ones in blocks behind hashes: byte for byte."""
        contents = {
            "empty": b"",
            "small": b"s" * 1000,
            "block": bytes(range(256)) * 4096,
            "large": bytes(range(251)) * 15_000,
        }
        for name, content in contents.items():
            lake.store.write(f"{lake.config.warehouse}/sizes/{name}", content)
        found = {
            item.key.rpartition("/")[2]: item
            for item in disk.objects(store.data_dir, BUCKET, key_of(lake, "sizes"))
        }
        assert found.keys() == contents.keys()
        for name, content in contents.items():
            assert disk.content(found[name]) == [content], name
            assert found[name].versions == 1

    def test_an_object_that_is_not_listed_is_found(self, lake: Lake, store: Minio) -> None:
        """A copy of an object's folder, made behind the server's back, that it cannot read."""
        stage(lake, make_reads(2))
        assert check(lake, store).ok
        (item, *_) = disk.objects(store.data_dir, BUCKET, key_of(lake, "alpr"))
        hidden = item.folder.with_name("hidden.parquet")
        shutil.copytree(item.folder, hidden)
        (hidden / disk.META).write_bytes(b"XL2 damaged")
        try:
            result = check(lake, store)
            assert {each.kind for each in result.findings} == {"unlisted", "undecodable"}
        finally:
            shutil.rmtree(hidden)
        assert check(lake, store).ok

    def test_a_broken_upload_is_found_until_it_is_cleaned_up(
        self, lake: Lake, store: Minio, s3: Client
    ) -> None:
        key = key_of(lake, "alpr/torn.parquet")
        upload = s3._create_multipart_upload(BUCKET, key, {})
        s3._upload_part(BUCKET, key, b"x" * 6_000_000, {}, upload, 1)
        result = verify(lake, RETENTION, NOW, store_disk=store.data_dir, sleep=lambda _: None)
        told = [each.what for each in result.findings if each.kind == "leftover"]
        assert any("neither finished nor given up" in each for each in told), "as the store says"
        assert any("multipart" in each for each in told), "and as the disk says"
        s3._abort_multipart_upload(BUCKET, key, upload)
        assert check(lake, store).ok

    def test_the_trash_is_waited_for(self, lake: Lake, store: Minio) -> None:
        uri = f"{lake.config.warehouse}/large"
        lake.store.write(uri, b"x" * 3_000_000)
        lake.store.delete([uri])
        assert any(each.area == "trash" for each in disk.leftovers(store.data_dir))
        impatient = verify(lake, RETENTION, NOW, store_disk=store.data_dir, sleep=lambda _: None)
        assert {each.kind for each in impatient.findings} == {"leftover"}
        assert check(lake, store).ok
        assert list(disk.leftovers(store.data_dir)) == []

    def test_another_folder_is_refused(self, lake: Lake, tmp_path: Path) -> None:
        stage(lake, make_reads(2))
        with pytest.raises(ConfigurationError, match="minio server"):
            verify(lake, RETENTION, NOW, store_disk=tmp_path)
        (tmp_path / ".minio.sys").mkdir()
        (tmp_path / ".minio.sys" / "format.json").touch()
        with pytest.raises(ConfigurationError, match="nothing of"):
            verify(lake, RETENTION, NOW, store_disk=tmp_path)


def test_versions_are_found(config: LakeConfig, store: Minio, s3: Client) -> None:
    """Versioning switched on after the lake was made; a deleted object lives on."""
    name = "versioned-later"
    s3.make_bucket(bucket_name=name)
    lake = Lake(
        replace(config, warehouse=f"s3://{name}/wh", catalog_name=f"{config.catalog_name}v")
    )
    lake.init()
    lake.retention = RETENTION
    s3.set_bucket_versioning(bucket_name=name, config=VersioningConfig(ENABLED))
    group = stage(lake, make_reads(2))
    lake.store.delete([each.file.uri for each in group.files])
    result = verify(lake, RETENTION, NOW, store_disk=store.data_dir)
    told = {each.what for each in result.findings}
    assert {"a delete marker", "a kept version"} <= told
    assert any("keeps versions" in each for each in told)
    assert any("2 versions are kept" in each for each in told), "and on the disk"


class TestKafka:
    @pytest.fixture
    def broker(self, kafka: Kafka) -> str:
        ensure_topics(kafka.bootstrap)
        return kafka.bootstrap

    @staticmethod
    def states(broker: str) -> list[TopicState]:
        return [
            TopicState(each.name, each.wanted, each.found, each.oldest)
            for each in kept_topics(broker)
        ]

    def test_topics_as_made_are_as_they_must_be(self, broker: str) -> None:
        states = self.states(broker)
        assert {each.name for each in states} >= TOPICS.keys()
        assert list(judge_topics(states, datetime.now(UTC))) == []

    def test_a_longer_retention_and_an_old_message_are_found(self, broker: str) -> None:
        read = make_reads(1)[0]
        with Producer(broker) as producer:
            key = message_key(read.agency, read.camera)
            producer.send(READS, key=key, value=encode(read))
        before = datetime.now(UTC)
        (state,) = (each for each in self.states(broker) if each.name == READS)
        assert state.oldest is not None
        assert before - state.oldest < timedelta(hours=1)
        assert list(judge_topics([state], before)) == []
        assert len(list(judge_topics([state], before + timedelta(days=4)))) == 1
        operator = admin(broker)
        changed = TOPICS[READS].configs() | {"retention.ms": "-1"}
        operator.alter_configs([ConfigResource(ConfigResourceType.TOPIC, READS, changed)])
        try:
            (finding,) = judge_topics(self.states(broker), datetime.now(UTC))
            assert "retention.ms is '-1'" in finding.what
        finally:
            ensure_topics(broker)
            operator.close()

    @pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
    def test_a_canary_is_found_in_the_segments(
        self, broker: str, session_stack: object, codec: str | None
    ) -> None:
        """Ours send without compression; an agency's own producer may use any."""
        brood: Brood = make_canary(RETENTION, NOW)
        self.send(broker, brood, codec)
        folder = Folder("kafka", session_stack.settings.data_dir / "kafka")  # type: ignore[attr-defined]
        result = search(brood.canary.needles(), [folder])
        logs = [each for each in result.sightings if each.where.endswith(".log")]
        assert {each.needle for each in logs} == {0, 1}
        if codec:
            assert any(each.inside for each in logs)

    @staticmethod
    def send(broker: str, brood: Brood, codec: str | None) -> None:
        import confluent_kafka

        sender = confluent_kafka.Producer(
            {"bootstrap.servers": broker, "compression.type": codec or "none"}
        )
        for read in brood.reads:
            sender.produce(READS, encode(read), message_key(read.agency, read.camera))
        assert sender.flush(30) == 0


def test_a_reader_of_everything_is_told_what_cannot_be_asked(lake: Lake, store: Minio) -> None:
    bare = verify(lake, RETENTION, NOW)
    assert any("disks were not looked at" in each for each in bare.limits)
    assert any("Kafka" in each for each in bare.limits)
    assert not any("disks were not" in each for each in check(lake, store).limits)
