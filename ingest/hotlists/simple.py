"""The simple list format: CSV with a header, one entry a line.

Columns: `plate` (required), `state`, `category`, `priority`, `record`,
`valid_from`, `valid_to`, `agency`, `case_number`, `reason`. Other columns are
not read: what else rides along, personal data first of all, stays outside.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TextIO

import msgspec

from alpr.errors import BadInput
from alpr.ids import entry_id
from alpr.plates import canonical
from alpr.records import HotlistEntry

_OPTIONAL: Final = ("state", "priority", "valid_to", "agency", "case_number", "reason")


@dataclass(frozen=True)
class Reject:
    """A line that is no entry; `line` counts from 1, the header included."""

    line: int
    reason: str


def read_simple(file: TextIO, source: str, loaded_at: datetime) -> Iterator[HotlistEntry | Reject]:
    """Entries and rejects in the order of the file.

    Without `valid_from` an entry is in force from `loaded_at`; without
    `record` its identity is plate, state and category within the source.
    Raises BadInput (`no-plate-column`) if there is no such column.
    """
    rows = csv.DictReader(file)
    columns = [name.strip().lower() for name in rows.fieldnames or ()]
    if "plate" not in columns:
        raise BadInput(
            "no-plate-column", "the first line must name the columns, `plate` among them"
        )
    rows.fieldnames = columns
    for row in rows:
        try:
            yield _entry(row, source, loaded_at)
        except (msgspec.ValidationError, ValueError) as error:
            yield Reject(rows.line_num, str(error).splitlines()[0][:200])


def _entry(row: dict[str, str | None], source: str, loaded_at: datetime) -> HotlistEntry:
    given = {name: text.strip() for name, text in row.items() if name and text and text.strip()}
    plate = canonical(given.get("plate", ""))
    category = given.get("category", "other").lower()
    record = given.get("record") or f"{plate}/{given.get('state', '')}/{category}"
    fields: dict[str, Any] = {name: given[name] for name in _OPTIONAL if name in given}
    if "state" in fields:
        fields["state"] = fields["state"].upper()
    return msgspec.convert(
        fields
        | {
            "entry_id": entry_id(source, record),
            "source": source,
            "plate": plate,
            "category": category,
            "valid_from": given.get("valid_from", loaded_at),
        },
        HotlistEntry,
        strict=False,
    )
