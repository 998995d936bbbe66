"""Rows that are no entries: counted by reason, told by number, never by content."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

Reason = Literal[
    "action-unknown",
    "columns",
    "expiry-bad",
    "field-bad",
    "field-missing",
    "field-too-long",
    "line-too-long",
    "not-json",
    "not-utf-8",
    "nul-byte",
    "plate-characters",
    "plate-missing",
    "plate-too-long",
    "plate-wildcard",
    "priority-bad",
    "quotes",
    "record-elsewhere",
    "state-bad",
    "too-short",
    "valid-from-bad",
    "validity-empty",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)
TOLD: Final = 100_000
"""So many rejects are told row by row; all are counted."""


@dataclass
class Rejects:
    """The rejects of one load. A row is (part, number): file of the load, line in it, from 1."""

    counts: Counter[Reason] = field(default_factory=Counter)
    rows: list[tuple[int, int, Reason]] = field(default_factory=list)
    part: int = 1

    def add(self, number: int, reason: Reason) -> None:
        """Count a row."""
        self.counts[reason] += 1
        if len(self.rows) < TOLD:
            self.rows.append((self.part, number, reason))

    def extend(self, numbers: Iterable[int], reason: Reason) -> None:
        """Count several rows."""
        for number in numbers:
            self.add(int(number), reason)

    def forgive_header(self) -> bool:
        """Take back the reject of this part's first line, if there is one: it was a header."""
        for place in range(len(self.rows) - 1, -1, -1):
            part, number, reason = self.rows[place]
            if part != self.part:
                return False
            if number == 1:
                del self.rows[place]
                self.counts[reason] -= 1
                if not self.counts[reason]:
                    del self.counts[reason]
                return True
        return False

    def by_reason(self) -> dict[str, int]:
        """How many rows were rejected for each reason that occurred."""
        return {str(reason): count for reason, count in sorted(self.counts.items())}

    def __len__(self) -> int:
        return self.counts.total()

    def write(self, path: Path) -> None:
        """Write the report: a CSV of part, row and reason, and at its end how many were not told.

        It holds numbers and words of this module, and nothing of the file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(("part", "row", "reason"))
            out.writerows(sorted(self.rows))
            if len(self) > len(self.rows):
                out.writerow(("", "", f"and {len(self) - len(self.rows)} more"))
