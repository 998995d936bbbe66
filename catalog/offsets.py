"""How far each Kafka partition has been committed: properties of the table itself.

They change in the same swap as the rows, so rows and offsets can never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pyiceberg.table import Table

from alpr.errors import PlatelakeError
from catalog.lake import Lake
from catalog.staging import StagedGroup

_PREFIX = "platelake.offset."


class Source(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


Offsets = Mapping[Source, int]
"""Per partition the next offset to commit. A partition that is missing starts at 0."""


class OffsetGap(PlatelakeError):
    """Offsets are missing before a batch: keep it until they come."""


def read_offsets(table: Table) -> dict[Source, int]:
    """The offsets a loaded table holds."""
    offsets = {}
    for name, value in table.properties.items():
        if name.startswith(_PREFIX):
            topic, _, partition = name.removeprefix(_PREFIX).rpartition(".")
            offsets[Source(topic, int(partition))] = int(value)
    return offsets


def committed_offsets(lake: Lake, table_name: str) -> dict[Source, int]:
    """Per (topic, partition) the next offset to commit: resume reading there."""
    return read_offsets(lake.table(table_name))


def as_properties(offsets: Offsets) -> dict[str, str]:
    """Offsets as table properties."""
    return {
        f"{_PREFIX}{source.topic}.{source.partition}": str(offset)
        for source, offset in offsets.items()
    }


def advance(offsets: dict[Source, int], group: StagedGroup) -> None:
    """Count a group as committed."""
    for covered in group.covered:
        source = Source(covered.topic, covered.partition)
        offsets[source] = max(offsets.get(source, 0), covered.next)


def contiguous(
    groups: Iterable[StagedGroup], committed: Offsets
) -> tuple[list[StagedGroup], list[StagedGroup]]:
    """Groups that can be committed now, in that order, and those that must wait.

    A group must wait while any of its ranges starts above what is committed once
    all groups before it are.
    """
    offsets = dict(committed)
    waiting = sorted(groups, key=lambda group: [(r.first, r.next) for r in group.covered])
    ready: list[StagedGroup] = []
    progress = True
    while progress and waiting:
        progress = False
        still: list[StagedGroup] = []
        for group in waiting:
            if gap_before(group, offsets) is None:
                ready.append(group)
                advance(offsets, group)
                progress = True
            else:
                still.append(group)
        waiting = still
    return ready, waiting


def gap_before(group: StagedGroup, committed: Offsets) -> str | None:
    """What is missing before a group, in words; None if nothing is."""
    for covered in group.covered:
        expected = committed.get(Source(covered.topic, covered.partition), 0)
        if covered.first > expected:
            return (
                f"{covered.topic}/{covered.partition}: committed up to {expected}, "
                f"but the batch starts at {covered.first}"
            )
    return None


def check_covered(groups: Sequence[StagedGroup], table_name: str) -> None:
    """Raise ValueError for a group of another table, or with rows outside what it covers."""
    for group in groups:
        if group.table != table_name:
            raise ValueError(f"a group of table {group.table} was given to {table_name}")
        covered = {Source(r.topic, r.partition): r for r in group.covered}
        if len(covered) != len(group.covered):
            raise ValueError(f"a group covers a partition twice: {group.covered}")
        for file in group.files:
            for span in file.spans:
                around = covered.get(Source(span.topic, span.partition))
                if around is None or not around.first <= span.first <= span.next <= around.next:
                    raise ValueError(f"rows of {span} are outside what their group covers")
