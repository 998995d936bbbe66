"""What a purge is about to take out, written down before it does.

Once the swap is done the table no longer knows which files it held, but they must still be
deleted, and certified one by one. So each swap of a purge has a part in the journal: stored
objects `retention/journal/<run>/<table>-<n>.json` below the warehouse, deleted when the run is
certified. A part that is left over tells the next run what a dead one did: its name is set in
the table in the same swap that takes its files out, so it is there if, and only if, it landed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

import msgspec
from pyiceberg.table import Table

from alpr.errors import Corrupt
from catalog.lake import Lake

FOLDER: Final = "retention/journal"
_LANDED: Final = "platelake.purge.part"


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A file of rows, or a pack of images (`rows` 0), that a swap takes out."""

    uri: str
    day: date
    retention_class: str
    rows: int
    bytes: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One swap: what it takes out of a table; `number` counts them from 1.

    `judged_at`: the moment by which what had ended was chosen. `before`: cut-offs until then.
    """

    run_id: str
    number: int
    table: str
    started_at: datetime
    judged_at: datetime
    before: dict[str, date]
    cutoffs: dict[str, date]
    files: tuple[Taken, ...]
    packs: tuple[Taken, ...]

    @property
    def as_property(self) -> dict[str, str]:
        """The table property that says that this part has landed, and those before it."""
        return {_LANDED: f"{self.run_id}/{self.number}"}

    def landed(self, table: Table) -> bool:
        """Whether the swap happened; no later run may have begun to take out."""
        run_id, _, number = table.properties.get(_LANDED, "/0").partition("/")
        return run_id == self.run_id and self.number <= int(number)


def write(lake: Lake, part: Part) -> None:
    """Store a part, in place of one of the same number. Raises Unavailable."""
    uri = f"{_folder(lake)}/{part.run_id}/{part.table}-{part.number}.json"
    lake.store.write(uri, msgspec.json.encode(part))


def runs(lake: Lake) -> dict[str, list[Part]]:
    """The parts of every run that is not finished, by run, in the order of its swaps.

    Raises Corrupt if one cannot be read: what it took out must then be found by hand.
    """
    found: dict[str, list[Part]] = {}
    for uri in _objects(lake):
        try:
            part = msgspec.json.decode(lake.store.read(uri), type=Part)
        except msgspec.MsgspecError as error:
            raise Corrupt(f"{uri} is no part of a purge's journal: {error}") from error
        found.setdefault(part.run_id, []).append(part)
    for parts in found.values():
        parts.sort(key=lambda part: (part.table, part.number))
    return found


def finish(lake: Lake, run_id: str) -> None:
    """Forget a run: everything it took out is deleted and certified."""
    prefix = f"{_folder(lake)}/{run_id}/"
    lake.store.delete([uri for uri in _objects(lake) if uri.startswith(prefix)])


def _objects(lake: Lake) -> Iterator[str]:
    for item in lake.store.list(_folder(lake)):
        if item.uri.endswith(".json"):
            yield item.uri


def _folder(lake: Lake) -> str:
    return f"{lake.config.warehouse}/{FOLDER}"
