"""The lake through a second engine: DuckDB over the same Iceberg tables, offline.

The extensions come from their Python packages; nothing is installed or fetched.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb

from alpr.errors import ConfigurationError
from catalog.lake import Lake
from catalog.schemas import TABLES
from catalog.views import DUCKDB_MACROS, VIEWS

_EXTENSIONS = ("avro", "httpfs", "iceberg")


def connect(lake: Lake, *, threads: int = 2, memory: str = "2GB") -> duckdb.DuckDBPyConnection:
    """A private in-memory DuckDB with views `reads` and `hits` of the lake as it is now, and
    the investigators' views over them (`catalog.views`).

    Call `refresh` before later queries: the view names one state of the table, and its
    metadata file is deleted a few commits later. Raises ConfigurationError if an
    extension package is missing or does not fit DuckDB, Unavailable as `Lake.table`.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": memory,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    for name in _EXTENSIONS:
        connection.execute(f"LOAD {_quoted(str(_extension(name)))}")
    if (s3 := lake.config.s3) is not None:
        connection.execute(
            f"""
            CREATE SECRET lake (
                TYPE s3, KEY_ID {_quoted(s3.access_key)}, SECRET {_quoted(s3.secret_key)},
                ENDPOINT {_quoted(s3.host)}, REGION {_quoted(s3.region)}, URL_STYLE 'path',
                USE_SSL {s3.secure}, SCOPE {_quoted(lake.config.warehouse)}
            )
            """
        )
    for macro in DUCKDB_MACROS:
        connection.execute(macro)
    refresh(connection, lake)
    for view in VIEWS.values():
        connection.execute(f'CREATE VIEW "{view.name}" AS {view.select}')
    return connection


def refresh(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Point the views at the tables' current state."""
    for name in TABLES:
        location = lake.table(name).metadata_location.removeprefix("file://")
        connection.table_function("iceberg_scan", [location]).create_view(name, replace=True)


def _extension(name: str) -> Path:
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        raise ConfigurationError(
            f"the package duckdb-extension-{name} is missing: install the project's requirements"
        )
    file = (
        Path(package.origin).parent
        / "extensions"
        / f"v{duckdb.__version__}"
        / f"{name}.duckdb_extension"
    )
    if not file.exists():
        raise ConfigurationError(
            f"duckdb-extension-{name} does not fit duckdb {duckdb.__version__} (no {file.name} "
            "for it): install the versions the project pins"
        )
    return file


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
