"""What a check of the lake against its policies found, as it goes into a certificate."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Literal

import msgspec

KEPT_FINDINGS: Final = 200
"""So many findings are told one by one; all are counted."""

FindingKind = Literal[
    "expired-rows",
    "expired-object",
    "expired-reference",
    "expired-time",
    "unknown-class",
    "unknown-object",
    "undecodable",
    "misplaced",
    "plate-in-metadata",
    "leftover",
    "unlisted",
    "versions",
    "topic",
    "canary",
]


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that must not be. `what` holds no plate text; `count`: rows, entries, places."""

    kind: FindingKind
    where: str
    what: str
    count: int = 1


class Verification(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check: what was looked at, by which cut-offs, and everything found that must not be.

    `judged_at`: the moment at which everything that had ended by then had to be gone.
    `share_ppm`: millionths of the data objects opened (1,000,000: all), drawn by `seed`; paths
    and metadata are always all of them. `listed` and `decoded`: objects by kind. `rows`: decoded
    rows, `held`: evidence among them. `scope`: where was looked. `limits`: what this check
    cannot see, in words. `findings`: the first KEPT_FINDINGS of `found`.
    """

    judged_at: datetime
    started_at: datetime
    finished_at: datetime
    share_ppm: int
    seed: int
    cutoffs: dict[str, date]
    scope: tuple[str, ...]
    listed: dict[str, int]
    decoded: dict[str, int]
    listed_bytes: int
    decoded_bytes: int
    rows: int
    images: int
    held: int
    gone: int
    """Objects that were deleted, as compaction and sweep do, between listing and reading."""
    found: int
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found that must not be."""
        return self.found == 0

    @property
    def full(self) -> bool:
        """Whether every object was opened, rather than a sample of the data."""
        return self.share_ppm == 1_000_000

    @property
    def statement(self) -> str:
        """The result in one sentence, which says whether it was a sample."""
        opened = sum(self.decoded.values())
        how = (
            f"All {opened:,} objects were decoded"
            if self.full
            else f"A sample of {self.share_ppm / 10_000:g} % of the data and all metadata "
            f"({opened:,} of {sum(self.listed.values()):,} objects) were decoded"
        )
        when = self.judged_at.isoformat(timespec="seconds")
        if self.ok:
            return f"{how}: nothing that had ended by {when} and is not held was found."
        return f"{how}: {self.found:,} things were found that must not be there at {when}."

    def as_json(self) -> Any:
        """Plain values, for JSON."""
        return msgspec.to_builtins(self) | {
            "ok": self.ok,
            "full": self.full,
            "statement": self.statement,
        }
