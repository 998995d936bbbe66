"""One installation: its stack, its lake, its hot list and its jobs, put together from settings."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from catalog.config import LakeConfig, S3Config
from catalog.lake import Lake
from catalog.policies import write_first
from catalog.publish import publish
from infra import settings as settings_module
from infra.jobs import JobFiles, Jobs
from infra.provision.progress import Reporter
from infra.services.postgres import DATABASE, ROLE
from infra.services.stack import Stack
from infra.services.trino import CATALOG as TRINO_CATALOG
from infra.settings import Profile, Settings

BUCKET = "lake"


class Installation:
    """What the commands work on."""

    def __init__(self, settings: Settings, reporter: Reporter | None = None) -> None:
        self.settings = settings
        self.stack = Stack(settings, reporter)

    @staticmethod
    def of(profile: str | None = None, home: Path | None = None) -> Installation:
        """The installation that flags, environment and settings file describe."""
        return Installation(settings_module.load(profile=profile, home=home))

    @property
    def lake_config_file(self) -> Path:
        """The lake's TOML file, made by `prepare_lake`."""
        return self.settings.state_dir / "lake.toml"

    @property
    def retention_file(self) -> Path:
        """Which agency follows which policy; made by `prepare_lake`, changed by people."""
        return self.settings.state_dir / "retention.toml"

    @property
    def hotlist_store(self) -> Path:
        """Folder of the hot-list snapshots."""
        return self.settings.data_dir / "hotlist"

    @property
    def certificate_key(self) -> Path:
        """The key that signs certificates of purges; made at the first one."""
        return self.settings.secrets_dir / "certificate-key"

    @property
    def store_disk(self) -> Path | None:
        """MinIO's own folder; None where the lake is a local folder."""
        return self.stack.minio.data_dir if self.settings.profile is Profile.FULL else None

    def lake_config(self) -> LakeConfig:
        """The lake of this profile: a local folder and SQLite, or MinIO and PostgreSQL."""
        if self.settings.profile is Profile.EMBEDDED:
            folder = self.settings.data_dir / "lake"
            return LakeConfig(
                catalog_uri=f"sqlite:///{folder / 'catalog.db'}",
                warehouse=(folder / "warehouse").as_uri(),
                retention_file=self.retention_file,
            )
        stack = self.stack
        return LakeConfig(
            catalog_uri=f"postgresql+psycopg2://{ROLE}@{stack.postgres.address}/{DATABASE}",
            catalog_password_file=stack.postgres.password_file,
            warehouse=f"s3://{BUCKET}/warehouse",
            retention_file=self.retention_file,
            s3=S3Config(
                endpoint=stack.s3_endpoint,
                access_key_file=stack.minio.user_file,
                secret_key_file=stack.minio.password_file,
                reader_access_key_file=stack.minio.reader_user_file,
                reader_secret_key_file=stack.minio.reader_password_file,
            ),
        )

    def prepare_lake(self) -> Lake:
        """Write the lake's file, make what is missing in it, and open it.

        In the full profile also what Trino needs: the views, and leave to see the catalogue.
        """
        config = self.lake_config()
        if self.settings.profile is Profile.EMBEDDED:
            (self.settings.data_dir / "lake").mkdir(parents=True, exist_ok=True)
        write_first(self.retention_file)
        config.save(self.lake_config_file)
        lake = Lake(config)
        lake.init()
        if self.settings.profile is Profile.FULL:
            publish(lake, TRINO_CATALOG, datetime.now(UTC))
            self.stack.postgres.let_reader_see_catalog()
        return lake

    def lake(self) -> Lake:
        """The lake as its file describes it. Raises ConfigurationError if there is none yet."""
        return Lake(LakeConfig.load(self.lake_config_file))

    def jobs(self, *, shards: int = 1, flink_master: str | None = None) -> Jobs:
        """The jobs of this installation."""
        files = JobFiles(self.lake_config_file, self.hotlist_store)
        return Jobs(self.stack, files, shards=shards, flink_master=flink_master)
