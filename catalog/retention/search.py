"""Looking for known texts byte by byte, in whatever the platform writes.

Every file, object and row of the places given is searched as it is and with everything
compressed or wrapped inside it taken out, some levels deep, for every spelling of the texts.
What could not be read is told: a place that was not searched is not a clean one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import inspect, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from alpr.errors import ConfigurationError, Corrupt, Unavailable
from catalog.lake import Lake
from catalog.retention.disk import parts, without_hashes
from catalog.retention.needles import Needles
from catalog.retention.sstable import sst_blocks
from catalog.retention.unpack import unpack
from catalog.retention.verification import Finding

DEPTH: Final = 4
"""So many wrappings are taken off, one inside the other."""

WHOLE_BYTES: Final = 256 * 2**20
"""A larger file is read in windows, in which what is compressed by itself is found, but not the
values of one Parquet or Avro file as a whole. The platform writes no such files; Kafka does."""

_OVERLAP: Final = 20 * 2**20
_EXPANDED: Final = 16 * 2**30
_TOLD: Final = 5


@dataclass(frozen=True)
class Bytes:
    """Bytes that are read when asked for; `where` says which."""

    where: str
    load: Callable[[], bytes]

    def read(self) -> bytes:
        """The bytes."""
        return self.load()


class Place(Protocol):
    """Somewhere to look, by name."""

    @property
    def name(self) -> str: ...  # noqa: D102

    def blobs(self) -> Iterator[Bytes]:
        """Everything there, one by one."""
        ...


@dataclass(frozen=True)
class Folder:
    """Every regular file below a folder, but those in `skip` (absolute, links resolved).

    Parts of MinIO's objects are searched as they are and joined without their hash blocks.
    """

    name: str
    path: Path
    skip: frozenset[Path] = frozenset()

    def blobs(self) -> Iterator[Bytes]:
        """See Place. Raises ConfigurationError if there is no such folder or file."""
        if self.path.is_file():
            yield from self._file(self.path)
            return
        if not self.path.is_dir():
            raise ConfigurationError(f"there is no {self.path} to search: give what is there")
        for folder, _, names in os.walk(self.path, onerror=_refuse):
            for name in sorted(names):
                yield from self._file(Path(folder, name))
            if any(name.startswith("part.") for name in names):
                yield Bytes(f"{folder}/part.*", lambda here=Path(folder): _joined(here))  # type: ignore[misc]

    def _file(self, path: Path) -> Iterator[Bytes]:
        if path.resolve() in self.skip:
            return
        try:
            status = path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISREG(status.st_mode):
            return
        step = WHOLE_BYTES - _OVERLAP
        starts = range(0, max(1, status.st_size - _OVERLAP), step)
        for start in starts if status.st_size > WHOLE_BYTES else (0,):
            where = f"{path}@{start}" if start else str(path)
            yield Bytes(where, lambda at=start: _window(path, at))  # type: ignore[misc]


@dataclass(frozen=True)
class Objects:
    """Every object of a lake's warehouse, through its store."""

    lake: Lake
    name: str = "lake"

    def blobs(self) -> Iterator[Bytes]:
        """See Place."""
        for item in self.lake.store.list(self.lake.config.warehouse):
            if item.uri.endswith("/") and not item.size:
                continue  # the mark of a folder
            yield Bytes(item.uri, lambda uri=item.uri: self._read(uri))  # type: ignore[misc]

    def _read(self, uri: str) -> bytes:
        try:
            return self.lake.store.read(uri)
        except Corrupt:
            if self.lake.store.exists(uri):
                raise
            raise FileNotFoundError(uri) from None


@dataclass(frozen=True)
class Database:
    """Every row of every table, as SQL gives it: also what lies compressed on the disk."""

    engine: Engine
    name: str = "database"

    def blobs(self) -> Iterator[Bytes]:
        """See Place. Raises Unavailable."""
        try:
            inspector = inspect(self.engine)
            schemas = [
                schema
                for schema in inspector.get_schema_names()
                if schema != "information_schema" and not schema.startswith("pg_")
            ]
            found = [(s, t) for s in schemas for t in inspector.get_table_names(schema=s)]
        except DBAPIError as error:
            raise Unavailable("the database does not answer: see `platelake status`") from error
        for schema, table in sorted(found):
            yield from self._rows(schema, table)

    def _rows(self, schema: str, table: str) -> Iterator[Bytes]:
        quote = self.engine.dialect.identifier_preparer.quote
        query = text(f"SELECT * FROM {quote(schema)}.{quote(table)}")  # noqa: S608 names are quoted
        with self.engine.connect().execution_options(stream_results=True) as connection:
            for rows in connection.execute(query).partitions(1000):
                data = b"\n".join(_cell(value) for row in rows for value in row)
                yield Bytes(f"table {schema}.{table}", lambda found=data: found)  # type: ignore[misc]


@dataclass(frozen=True)
class Sighting:
    """A needle that was found: in which place and blob, inside what, and how it was spelt."""

    place: str
    where: str
    inside: tuple[str, ...]
    needle: int
    spelling: str

    def as_finding(self) -> Finding:
        """As a finding, which holds no plate text."""
        inside = f", inside {' in '.join(reversed(self.inside))}" if self.inside else ""
        return Finding(
            kind="canary",
            where=self.where,
            what=f"needle {self.needle} was found in {self.place} as {self.spelling}{inside}",
        )


@dataclass
class Search:
    """What was searched and found. `searched`: per place its blobs and their bytes as stored."""

    searched: dict[str, tuple[int, int]] = field(default_factory=dict)
    expanded: int = 0
    sightings: list[Sighting] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def findings(self) -> list[Finding]:
        """Everything that must not be: sightings, and what could not be searched."""
        return [each.as_finding() for each in self.sightings] + [
            Finding(kind="canary", where=where, what="it could not be searched")
            for where in self.unread
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "searched": {
                place: {"blobs": count, "bytes": size}
                for place, (count, size) in self.searched.items()
            },
            "expanded_bytes": self.expanded,
            "sightings": [
                {
                    "place": each.place,
                    "where": each.where,
                    "inside": list(each.inside),
                    "needle": each.needle,
                    "spelling": each.spelling,
                }
                for each in self.sightings
            ],
            "unread": self.unread,
        }


class _Endless(Exception):
    """Something expands to more than is reasonable."""


def search(
    needles: Needles,
    places: Sequence[Place],
    progress: Callable[[str, int], object] = lambda *_: None,
) -> Search:
    """Look for the needles in every place. `progress` gets each place's name and bytes so far.

    What is deleted between being listed and read is left out. Raises Unavailable if a store or
    database does not answer, ConfigurationError for a place that is not there.
    """
    result = Search()
    for place in places:
        count = size = 0
        result.searched[place.name] = (0, 0)
        for blob in place.blobs():
            try:
                data = blob.read()
            except FileNotFoundError:
                continue
            except (OSError, Corrupt):
                result.unread.append(blob.where)
                continue
            count, size = count + 1, size + len(data)
            result.searched[place.name] = (count, size)
            try:
                for told, (inside, needle, spelling) in enumerate(_look(needles, data, result)):
                    if told < _TOLD:
                        result.sightings.append(
                            Sighting(place.name, blob.where, inside, needle, spelling)
                        )
            except _Endless:
                result.unread.append(blob.where)
            progress(place.name, size)
    return result


def _look(
    needles: Needles, data: bytes, result: Search
) -> Iterator[tuple[tuple[str, ...], int, str]]:
    budget = result.expanded + max(_EXPANDED, 100 * len(data))
    stack: list[tuple[tuple[str, ...], Iterator[tuple[str, bytes]]]] = []

    def enter(inside: tuple[str, ...], piece: bytes) -> Iterator[tuple[tuple[str, ...], int, str]]:
        for hit in needles.search(piece):
            yield inside, hit.needle, hit.spelling
        if len(inside) < DEPTH:
            stack.append((inside, _inside(piece)))

    yield from enter((), data)
    while stack:
        inside, pieces = stack[-1]
        following = next(pieces, None)
        if following is None:
            stack.pop()
            continue
        name, piece = following
        result.expanded += len(piece)
        if result.expanded > budget:
            raise _Endless
        yield from enter((*inside, name), piece)


def _inside(data: bytes) -> Iterator[tuple[str, bytes]]:
    yield from unpack(data)
    yield from sst_blocks(data)


def _window(path: Path, start: int) -> bytes:
    with path.open("rb") as file:
        file.seek(start)
        return file.read(WHOLE_BYTES)


def _joined(folder: Path) -> bytes:
    return b"".join(without_hashes(part.read_bytes()) for part in parts(folder))


def _cell(value: object) -> bytes:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value)
    return str(value).encode()


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise ConfigurationError(
            f"{error.filename} cannot be searched ({error.strerror}): run this as a user who may "
            "read it"
        ) from error
