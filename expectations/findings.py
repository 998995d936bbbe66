"""What a suite found: counts and names, never a plate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What one rule found: of `checked` rows `unexpected` break it.

    `ok` is None where the rule could not be judged (no registry, not enough past), and `error`
    says why; a rule that should have run and could not has ok=False and an `error`.
    `subjects` are the cameras, categories or states that break it, `fine` those that keep it,
    where the rows are about such; both are empty otherwise.
    """

    rule: str
    ok: bool | None
    checked: int
    unexpected: int
    error: str | None = None
    observed: str | None = None
    expected: str | None = None
    subjects: tuple[str, ...] = ()
    fine: frozenset[str] = frozenset()

    @property
    def told(self) -> str:
        """In a few words."""
        if self.error is not None:
            return self.error
        told = f"{self.unexpected:,} of {self.checked:,}"
        return (
            told
            if not self.subjects
            else f"{told}: {', '.join(self.subjects[:5])}"
            + (f" and {len(self.subjects) - 5} more" if len(self.subjects) > 5 else "")
        )


@dataclass(frozen=True)
class Outcome:
    """What a suite found in one part of a table; `hour` is the hour of capture if it is one."""

    table: str
    part: str
    rows: int
    findings: tuple[Finding, ...]
    seconds: float
    pages: Path | None = None
    """The start page of the Data Docs, if any were asked for."""
    page: str | None = None
    """This outcome's own page, relative to the start page."""
    hour: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether no rule is broken; one that could not be judged is not."""
        return not self.broken

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that do not hold."""
        return tuple(finding for finding in self.findings if finding.ok is False)

    @property
    def unjudged(self) -> tuple[Finding, ...]:
        """The rules that could not be judged."""
        return tuple(finding for finding in self.findings if finding.ok is None)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        findings = [asdict(finding) for finding in self.findings]
        for finding in findings:
            del finding["fine"]
        return {
            "table": self.table,
            "part": self.part,
            "hour": self.hour.isoformat() if self.hour else None,
            "rows": self.rows,
            "ok": self.ok,
            "findings": findings,
            "seconds": self.seconds,
            "pages": str(self.pages) if self.pages else None,
            "page": self.page,
        }
