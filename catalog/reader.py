"""SQL for people who may ask and nothing else: DuckDB, locked down.

What keeps a query from being more than a question, each by itself enough for what it covers:
- **the statement is looked at before it runs**: exactly one SELECT, over the lake's tables and
  views by name, with no table function but those that make rows of their own arguments. So there
  is no COPY, CREATE SECRET, ATTACH, PRAGMA or SET, and no file, address or variable to read from;
- **the engine is shut**: no external access but to the folders of the tables, no local files at
  all for a lake in a bucket, no settings, bounded memory, nothing spilled to disk;
- **the store's keys are the reader's**, where the lake has such: a user who cannot write.

One connection a user: what one has read is never in another's engine.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import duckdb
import pyarrow as pa

from alpr.errors import BadInput, Corrupt, Unavailable
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.query import connect, refresh
from catalog.schemas import NAMESPACE, TABLES

MOST_ROWS: Final = 1_000_000
LONGEST_SQL: Final = 100_000

_BATCH_ROWS: Final = 10_000
_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series", "json_each"})
"""The only ones a query may call: they read nothing but their arguments."""

_REFUSED_FUNCTIONS: Final = frozenset(
    {
        *("current_setting", "getvariable", "write_log", "sleep_ms", "pg_sleep", "nextval"),
        *("currval", "setseed", "iceberg_verify_equality_deletes"),
    }
)
"""Functions of values that tell of the installation, or do something."""

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_SCHEMAS: Final = ("", "main")

_BY_NAME: Final = {
    "INTERRUPT": duckdb.InterruptException,
    "Out of Memory": duckdb.OutOfMemoryException,
    "IO Error": duckdb.IOException,
    "HTTP Error": duckdb.IOException,
    "Permission Error": duckdb.PermissionException,
}
"""Arrow hands on the text of an error only; it begins with the error's name."""

Parameters = Sequence[object] | Mapping[str, object]


class Reader:
    """A locked DuckDB over the lake as it is when each query begins. Not for two threads.

    `seconds`: the longest a query may run; `memory`: of the engine. Raises ConfigurationError
    and Unavailable as `catalog.query.connect`.
    """

    def __init__(
        self, lake: Lake, *, seconds: float = 60.0, threads: int = 2, memory: str = "2GB"
    ) -> None:
        self._seconds = seconds
        self._lake = Lake(as_reader(lake.config))
        self._connection = connect(self._lake, threads=threads, memory=memory)
        self._shut()
        found = self._connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
        )
        self.relations = frozenset(name for (name,) in found.fetchall())
        """The tables and views that a query may name."""

    def ask(self, sql: str, parameters: Parameters = (), *, limit: int = 1_000) -> pa.Table:
        """The first rows of the answer, `limit` at most. Raises as `stream`.

        `parameters` fill `?` (a sequence) or `$name` (a mapping): plates belong there.
        """
        if not 1 <= limit <= MOST_ROWS:
            raise BadInput("bad-limit", f"a limit of 1 to {MOST_ROWS:,} rows was required")
        parts: list[pa.RecordBatch] = []
        left = limit
        with self.stream(sql, parameters) as (schema, batches):
            for batch in batches:
                parts.append(batch.slice(0, left))
                left -= parts[-1].num_rows
                if not left:
                    break
        return pa.Table.from_batches(parts, schema)

    @contextmanager
    def stream(
        self, sql: str, parameters: Parameters = ()
    ) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
        """The whole answer in parts, with its schema.

        Raises BadInput: `refused-sql` for what is no mere question, `bad-sql` for what DuckDB
        cannot make sense of, `too-slow`, `too-large`; Unavailable if catalogue or store fail, or
        a purge deleted what the query was reading (ask again).
        """
        self._check(sql)
        refresh(self._connection, self._lake)
        timer = threading.Timer(self._seconds, self._connection.interrupt)
        timer.start()
        try:
            with self._named():
                result = self._connection.execute(sql, parameters)
                reader = result.to_arrow_reader(_BATCH_ROWS)
                yield reader.schema, _batches(reader)
        finally:
            timer.cancel()
            timer.join()

    def close(self) -> None:
        """Give back connection and memory."""
        self._connection.close()
        self._lake.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _shut(self) -> None:
        folders = [
            f"{self._lake.config.warehouse.removeprefix('file://')}/{NAMESPACE}/{name}/"
            for name in TABLES
        ]
        run = self._connection.execute
        run("SET allowed_directories = ?", [folders])
        run("SET temp_directory = ''")
        run("SET python_enable_replacements = false")
        run("SET allow_community_extensions = false")
        run("SET enable_external_access = false")
        if self._lake.config.s3 is not None:
            run("SET disabled_filesystems = 'LocalFileSystem'")
        run("SET lock_configuration = true")

    def _check(self, sql: str) -> None:
        if len(sql) > LONGEST_SQL:
            raise BadInput("refused-sql", f"at most {LONGEST_SQL:,} characters are allowed")
        found = self._connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
        tree = json.loads(found[0]) if found else {}
        if tree.get("error"):
            if tree.get("error_type") == "parser":
                raise BadInput("bad-sql", _first_line(tree["error_message"]))
            raise BadInput("refused-sql", "only a SELECT is allowed")
        if len(tree["statements"]) != 1:
            raise BadInput(
                "refused-sql", f"one SELECT was required, not {len(tree['statements'])} statements"
            )
        nodes = list(_nodes(tree))
        own = {entry["key"].lower() for node in nodes for entry in _entries(node)}
        for name in own:
            # Outside its scope such a name would mean a table, and an odd one a file.
            if not _PLAIN.fullmatch(name):
                raise BadInput("refused-sql", f"a plain name was required, not {name!r}")
        for node in nodes:
            self._check_node(node, self.relations | own)

    def _check_node(self, node: Mapping[str, Any], known: Set[str]) -> None:
        function = str(node.get("function_name", "")).lower()
        if function in _REFUSED_FUNCTIONS:
            raise BadInput("refused-sql", f"the function {function} is not allowed")
        match node.get("type"):
            case "TABLE_FUNCTION":
                name = str((node.get("function") or {}).get("function_name", "")).lower()
                if name not in _TABLE_FUNCTIONS:
                    raise BadInput("refused-sql", f"the table function {name} is not allowed")
            case "BASE_TABLE":
                if node["table_name"].lower() not in known or node["schema_name"] not in _SCHEMAS:
                    raise BadInput(
                        "refused-sql",
                        f"only {', '.join(sorted(self.relations))} can be asked, by these names",
                    )
            case "SHOW_REF":
                if node["table_name"].strip('"').lower() not in {"", "tables", *known}:
                    raise BadInput("refused-sql", "only tables can be described")
            case _:
                pass

    @contextmanager
    def _named(self) -> Iterator[None]:
        """DuckDB's errors by what the asker must do; their text without the query's."""
        try:
            yield
        except duckdb.InterruptException as error:
            raise BadInput(
                "too-slow",
                f"the query took more than {self._seconds:g} s and was stopped: narrow it by "
                "captured_at, or look plates up with `platelake lookup plate`",
            ) from error
        except duckdb.OutOfMemoryException as error:
            raise BadInput("too-large", "the query needs more memory than it may have") from error
        except (duckdb.IOException, duckdb.HTTPException) as error:
            raise Unavailable(f"the lake was not read, ask again: {_first_line(error)}") from error
        except duckdb.PermissionException as error:
            raise BadInput("refused-sql", _first_line(error)) from error
        except duckdb.InternalException as error:
            raise Corrupt(f"DuckDB failed on its own account: {_first_line(error)}") from error
        except duckdb.Error as error:
            raise BadInput("bad-sql", _first_line(error)) from error


def as_reader(config: LakeConfig) -> LakeConfig:
    """The configuration of one who only asks: with the reader's keys, where there are such."""
    return config if config.s3 is None else replace(config, s3=config.s3.reader)


def _batches(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The parts of an answer; what fails on the way as DuckDB would have raised it at first."""
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:
            text = str(error)
            raise next((kind for name, kind in _BY_NAME.items() if name in text), duckdb.Error)(
                text
            ) from error
        yield batch


def _nodes(tree: object) -> Iterator[Mapping[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Mapping):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _entries(node: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The common table expressions that a node names."""
    named = node.get("cte_map")
    entries: Sequence[Mapping[str, Any]] = named["map"] if isinstance(named, Mapping) else ()
    return entries


def _first_line(error: object) -> str:
    return str(error).partition("\n")[0]
