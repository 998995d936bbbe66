"""What one copied record is: its row as canonical JSON, its images, and their SHA-256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from alpr.errors import Corrupt
from alpr.retention import Kind
from catalog.images import ImageRef, read_image
from catalog.lake import Lake

IMAGES = ("crop", "overview")


@dataclass(frozen=True)
class Copy:
    """A record taken out of the lake. `images`: by column, only those that it has."""

    kind: Kind
    record_id: str
    row: Mapping[str, Any]
    source_file: str
    images: Mapping[str, bytes] = field(repr=False)

    @property
    def record(self) -> str:
        """The row as canonical JSON; each image is told by its length and SHA-256."""
        told = {
            name: {"length": len(image), "sha256": sha256(image)}
            for name, image in self.images.items()
        }
        return canonical(
            {**self.row, **{name: told.get(name) for name in IMAGES if name in self.row}}
        )


def copy_of(lake: Lake, kind: Kind, id_column: str, row: Mapping[str, Any], file: str) -> Copy:
    """A row of table `reads` or `hits` with its images.

    Raises Corrupt if an image is missing or damaged, Unavailable if the store fails.
    """
    images: dict[str, bytes] = {}
    for name in IMAGES:
        if (ref := row.get(name)) is not None:
            images[name] = read_image(lake.store, lake.config.warehouse, ImageRef(**ref))
    return Copy(kind, row[id_column], row, file, images)


def canonical(row: Mapping[str, Any]) -> str:
    """JSON of a row that is the same for the same row: sorted names, no blanks, times in UTC.

    Raises Corrupt for a value that no column of the lake has.
    """
    return json.dumps(
        row, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain
    )


def sha256(data: bytes | str) -> str:
    """In hex."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def digest(copies: Iterable[tuple[str, str, str]]) -> str:
    """One SHA-256 over (kind, record id, SHA-256 of the record) of any number of records."""
    lines = sorted(f"{kind}:{record_id}:{record}" for kind, record_id, record in copies)
    return sha256("\n".join(lines))


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise Corrupt(f"a row holds a {type(value).__name__}, which no column of the lake has")
