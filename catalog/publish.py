"""The views of `catalog.views` in the lake's catalogue, as Iceberg views that Trino finds.

pyiceberg's SQL catalogue keeps tables only. A view is a metadata file (Iceberg view spec,
version 1) and a row beside the tables' rows, of the type VIEW, which pyiceberg passes over.
"""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

from pyiceberg.catalog.sql import IcebergTables
from sqlalchemy import ColumnElement, Connection, and_, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from alpr.errors import ConfigurationError, Corrupt, Unavailable
from catalog.lake import Lake
from catalog.schemas import NAMESPACE
from catalog.views import VIEWS, View

_ROWS: Any = IcebergTables.__table__
_DIALECT = "trino"
_TYPE = "VIEW"


def publish(lake: Lake, engine_catalog: str, now: datetime) -> list[str]:
    """Make or renew the views that are not as this version has them; their names.

    `engine_catalog` is what Trino calls the lake's catalogue. Tables need not exist yet.
    Raises Unavailable if catalogue or store do not answer, ConfigurationError if a table has
    the name of a view.
    """
    return [view.name for view in VIEWS.values() if _publish(lake, view, engine_catalog, now)]


def view_location(lake: Lake, name: str) -> str:
    """The folder of a view's metadata; no row and no file of a table is under it."""
    return f"{lake.config.warehouse}/{NAMESPACE}/views/{name}"


def _publish(lake: Lake, view: View, engine_catalog: str, now: datetime) -> bool:
    row = _row(lake, view.name)
    try:
        with lake.catalog.engine.connect() as connection:
            found = connection.execute(
                select(_ROWS.c.metadata_location, _ROWS.c.iceberg_type).where(row)
            ).one_or_none()
        if found is not None and found.iceberg_type != _TYPE:
            raise ConfigurationError(
                f"{NAMESPACE}.{view.name} is a table, and must be a view: rename or drop the table"
            )
        before = None if found is None else _load(lake, found.metadata_location)
        after = _metadata(lake, view, engine_catalog, now, before)
        if before is not None and _essence(before) == _essence(after):
            return False
        location = f"{after['location']}/metadata/{uuid.uuid4()}.metadata.json"
        lake.store.write(location, json.dumps(after).encode())
        with lake.catalog.engine.begin() as connection:
            old = None if found is None else found.metadata_location
            won = _swap(connection, lake, view.name, old, location)
    except DBAPIError as error:
        raise Unavailable(
            f"the catalogue {lake.config.catalog_uri} would not take the view {view.name} "
            f"({type(error.orig).__name__})"
        ) from error
    # Another publisher that was faster has published the same.
    superseded = old if won else location
    if superseded is not None:
        lake.store.delete([superseded])
    return won


def _swap(connection: Connection, lake: Lake, name: str, old: str | None, new: str) -> bool:
    """Point the view at its new metadata, if it still has the old; whether that was so."""
    if old is not None:
        at_old = and_(_row(lake, name), _ROWS.c.metadata_location == old)
        done = connection.execute(
            update(_ROWS)
            .where(at_old)
            .values(metadata_location=new, previous_metadata_location=old)
        )
        return done.rowcount == 1
    row = {
        "catalog_name": lake.config.catalog_name,
        "table_namespace": NAMESPACE,
        "table_name": name,
        "metadata_location": new,
        "iceberg_type": _TYPE,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(_ROWS).values(row))
    except IntegrityError:
        return False
    return True


def _row(lake: Lake, name: str) -> ColumnElement[bool]:
    return and_(
        _ROWS.c.catalog_name == lake.config.catalog_name,
        _ROWS.c.table_namespace == NAMESPACE,
        _ROWS.c.table_name == name,
    )


def _load(lake: Lake, location: str) -> dict[str, Any] | None:
    """A view's metadata; None if it is lost or damaged: it is written anew."""
    try:
        loaded = json.loads(lake.store.read(location))
    except (Corrupt, ValueError):
        return None
    return loaded if isinstance(loaded, dict) else None


def _metadata(
    lake: Lake, view: View, engine_catalog: str, now: datetime, before: dict[str, Any] | None
) -> dict[str, Any]:
    moment = int(now.timestamp() * 1000)
    representation = {"type": "sql", "sql": view.select, "dialect": _DIALECT}
    return {
        "view-uuid": (before or {}).get("view-uuid") or str(uuid.uuid4()),
        "format-version": 1,
        "location": view_location(lake, view.name),
        # No "trino.run-as-owner": the view shows whoever asks what they may see anyway.
        "properties": {"comment": view.comment},
        "schemas": [json.loads(view.schema.model_dump_json())],
        "current-version-id": 1,
        "versions": [
            {
                "version-id": 1,
                "timestamp-ms": moment,
                "schema-id": view.schema.schema_id,
                "summary": {"engine-name": "platelake"},
                "default-catalog": engine_catalog,
                "default-namespace": [NAMESPACE],
                "representations": [representation],
            }
        ],
        "version-log": [{"timestamp-ms": moment, "version-id": 1}],
    }


def _essence(metadata: dict[str, Any]) -> str:
    """What matters of a view: everything but when it was written."""
    versions = [
        {key: value for key, value in version.items() if key != "timestamp-ms"}
        for version in metadata.get("versions", [])
    ]
    rest = {key: value for key, value in metadata.items() if key != "version-log"}
    return json.dumps(rest | {"versions": versions}, sort_keys=True)
