"""The lake as one handle: catalogue, store and tables, opened from a `LakeConfig`."""

from __future__ import annotations

from functools import cached_property

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from alpr.errors import ConfigurationError, Unavailable
from alpr.retention import Retention
from catalog.config import LakeConfig, read_secret
from catalog.policies import load_retention
from catalog.schemas import NAMESPACE, ORDER, PARTITIONING, PROPERTIES, TABLES
from catalog.store import CONNECT_SECONDS, REQUEST_SECONDS, Store, open_store

_SQLITE_BUSY_SECONDS = 30


class Lake:
    """A lazily opened lake; make one per process (connections do not survive a fork)."""

    def __init__(self, config: LakeConfig) -> None:
        self.config = config

    @cached_property
    def store(self) -> Store:
        """The bytes."""
        return open_store(self.config.s3)

    @cached_property
    def retention(self) -> Retention:
        """How long its records are kept; ConfigurationError if the policies are not usable."""
        return load_retention(self.config.retention_file)

    @cached_property
    def catalog(self) -> SqlCatalog:
        """The Iceberg catalogue; Unavailable or ConfigurationError if it cannot be opened."""
        try:
            return SqlCatalog(self.config.catalog_name, **self._properties())
        except DBAPIError as error:
            raise self._no_catalog(error) from error
        except SQLAlchemyError as error:
            raise ConfigurationError(
                f"catalog_uri {self.config.catalog_uri!r} cannot be used: {error}"
            ) from error

    def init(self) -> None:
        """Make bucket or folder, namespace and tables where they are missing."""
        self.store.prepare(self.config.warehouse)
        try:
            self.catalog.create_namespace_if_not_exists(NAMESPACE)
        except NamespaceAlreadyExistsError:
            pass  # another `init` was faster
        except DBAPIError as error:
            raise self._no_catalog(error) from error
        for table in TABLES.values():
            if self.catalog.table_exists(table.identifier):
                continue
            try:
                self.catalog.create_table(
                    table.identifier,
                    table.schema,
                    location=f"{self.config.warehouse}/{NAMESPACE}/{table.name}",
                    partition_spec=PARTITIONING,
                    sort_order=ORDER,
                    properties=PROPERTIES,
                )
            except TableAlreadyExistsError:
                continue  # another `init` was faster
        self.check()

    def migrate(self) -> list[str]:
        """Add the columns that this version has and a table has not; `table.column` of each.

        Only columns that may be null, behind all others: files written before are read as they
        are. Raises ConfigurationError where that is not enough, Unavailable as `table`.
        """
        added: list[str] = []
        for definition in TABLES.values():
            table = self.table(definition.name)
            known = {field.name for field in table.schema().fields}
            fresh = [field for field in definition.schema.fields if field.name not in known]
            if wrong := [field.name for field in fresh if field.required]:
                raise ConfigurationError(
                    f"table {definition.identifier} cannot get the required column "
                    f"{', '.join(wrong)} by itself: see the changelog"
                )
            if fresh:
                with table.update_schema() as update:
                    for field in fresh:
                        update.add_column(field.name, field.field_type, field.doc)
            added += [f"{definition.name}.{field.name}" for field in fresh]
        self.check()
        return added

    def check(self) -> None:
        """Reach store, catalogue and tables, and compare the tables with this version's.

        Raises Unavailable if something does not answer, ConfigurationError if it
        is not as it must be; the message says what to do.
        """
        self.store.check(self.config.warehouse)
        for definition in TABLES.values():
            table = self.table(definition.name)
            for name, value in PROPERTIES.items():
                # pyiceberg keeps the format version outside the properties.
                found = (
                    str(table.metadata.format_version)
                    if name == "format-version"
                    else table.properties.get(name)
                )
                if found != value:
                    raise ConfigurationError(
                        f"table {definition.identifier} has {name}={found!r}, "
                        f"but {value!r} is required"
                    )
            if table.schema().as_struct() != definition.schema.as_struct():
                raise ConfigurationError(
                    f"table {definition.identifier} has other columns than this version writes: "
                    "it was made by another version; `platelake lake migrate` adds columns"
                )

    def table(self, name: str) -> Table:
        """The current state of `reads` or `hits`, freshly loaded.

        Raises ConfigurationError if there is no such table, Unavailable if the
        catalogue does not answer.
        """
        try:
            return self.catalog.load_table(f"{NAMESPACE}.{name}")
        except NoSuchTableError as error:
            raise ConfigurationError(
                f"the catalogue has no table {NAMESPACE}.{name}: run `platelake lake init`"
            ) from error
        except DBAPIError as error:
            raise self._no_catalog(error) from error
        except OSError as error:
            raise Unavailable(f"cannot read the metadata of {NAMESPACE}.{name}: {error}") from error

    def close(self) -> None:
        """Give back the catalogue's connections."""
        if "catalog" in self.__dict__:
            self.catalog.engine.dispose()
            del self.__dict__["catalog"]

    def _properties(self) -> dict[str, str]:
        url = make_url(self.config.catalog_uri)
        if self.config.catalog_password_file is not None:
            url = url.set(password=read_secret(self.config.catalog_password_file))
        if url.get_backend_name() == "sqlite":
            url = url.update_query_dict({"timeout": str(_SQLITE_BUSY_SECONDS)})
        else:
            url = url.update_query_dict({"connect_timeout": str(int(CONNECT_SECONDS))})
        properties = {
            "uri": url.render_as_string(hide_password=False),
            "warehouse": self.config.warehouse,
            # A connection that died with a restarted server is replaced, not handed out.
            "pool_pre_ping": "true",
        }
        if (s3 := self.config.s3) is not None:
            properties |= {
                "s3.endpoint": s3.endpoint,
                "s3.access-key-id": s3.access_key,
                "s3.secret-access-key": s3.secret_key,
                "s3.region": s3.region,
                "s3.force-virtual-addressing": "false",
                "s3.connect-timeout": str(CONNECT_SECONDS),
                "s3.request-timeout": str(REQUEST_SECONDS),
            }
        return properties

    def _no_catalog(self, error: DBAPIError) -> Unavailable:
        return Unavailable(
            f"the catalogue {self.config.catalog_uri} does not answer "
            f"({type(error.orig).__name__}): is it started? see `platelake status`"
        )
