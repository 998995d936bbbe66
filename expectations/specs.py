"""The rules for each table of the lake, as frozen values: validated when made, run elsewhere.

They hold rows as a second reader sees them against what `alpr.records` and the jobs
promise, so that a fault of a job, a foreign writer or a damaged file comes to light. The
records themselves are checked one by one where they enter (`ingest.codecs`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from alpr.errors import ConfigurationError
from alpr.ids import ID_PATTERN
from alpr.plates import PLATE_PATTERN, STATE_PATTERN
from alpr.records import NAME_PATTERN, Category
from catalog.schemas import HITS, READS, TABLES

CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far two clocks on the way of a record may differ, as at the entrance (`ingest.codecs`)."""

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)

Bound = float | datetime


@dataclass(frozen=True)
class Columns:
    """The table has these columns and no other."""

    columns: tuple[str, ...]

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"there are exactly the {len(self.columns)} columns of this version"


@dataclass(frozen=True)
class NotNull:
    """Every row has a value here."""

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.column,)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.column} is never missing"


@dataclass(frozen=True)
class Between:
    """low <= value <= high, or < high if `below`; a missing value is no fault here."""

    column: str
    low: Bound
    high: Bound
    below: bool = False

    def __post_init__(self) -> None:
        if type(self.low) is datetime and type(self.high) is datetime:
            ordered = self.low < self.high
        else:
            ordered = not (
                isinstance(self.low, datetime) or isinstance(self.high, datetime)
            ) and float(self.low) < float(self.high)
        if not ordered:
            raise ConfigurationError(
                f"rule for {self.column}: low must be below high and of one kind, "
                f"got {self.low} and {self.high}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.column,)

    @property
    def title(self) -> str:
        """The rule in words."""
        return (
            f"{self.column} lies from {self.low} {'to below' if self.below else 'to'} {self.high}"
        )


@dataclass(frozen=True)
class Matches:
    """Every value matches a regular expression."""

    column: str
    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ConfigurationError(f"rule for {self.column}: not a pattern: {error}") from error

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.column,)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.column} is of the form {self.pattern}"


@dataclass(frozen=True)
class OneOf:
    """Every value is one of these."""

    column: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ConfigurationError(f"rule for {self.column}: at least one value is required")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.column,)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.column} is one of {', '.join(self.values)}"


@dataclass(frozen=True)
class Unique:
    """No two rows of the slice have the same values in these columns."""

    columns: tuple[str, ...]

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{' + '.join(self.columns)} occurs once"


@dataclass(frozen=True)
class NotAfter:
    """earlier <= later + slack."""

    earlier: str
    later: str
    slack: timedelta = CLOCK_SLACK

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.earlier, self.later)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.earlier} is at most {self.slack} after {self.later}"


@dataclass(frozen=True)
class Together:
    """These columns have a value or have none, but never only some of them."""

    columns: tuple[str, ...]

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{' and '.join(self.columns)} come together or not at all"


@dataclass(frozen=True)
class RefersTo:
    """Every value is the id of a row of another table, of the same day of capture."""

    column: str
    table: str

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise ConfigurationError(f"rule for {self.column}: no table {self.table!r}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.column,)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.column} is in table {self.table}"


Rule = Columns | NotNull | Between | Matches | OneOf | Unique | NotAfter | Together | RefersTo


@dataclass(frozen=True)
class Suite:
    """All rules of one table.

    Raises ConfigurationError for an unknown table, a column that it does not have, a rule
    without a column, or the same rule twice.
    """

    table: str
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        if self.table not in TABLES:
            raise ConfigurationError(
                f"a suite is for one of {', '.join(TABLES)}, not for {self.table!r}"
            )
        known = set(TABLES[self.table].arrow.names)
        for rule in self.rules:
            if not rule.columns or not set(rule.columns) <= known:
                raise ConfigurationError(
                    f"table {self.table} has no column {sorted(set(rule.columns) - known)} "
                    f"that the rule {rule.title!r} asks for"
                )
        if len(set(self.rules)) != len(self.rules):
            raise ConfigurationError(f"the suite of {self.table} has a rule twice")

    @property
    def references(self) -> tuple[RefersTo, ...]:
        """The rules that need another table."""
        return tuple(rule for rule in self.rules if isinstance(rule, RefersTo))


def suites(retention_classes: Iterable[str] = ("default",)) -> dict[str, Suite]:
    """The suite of each table; `retention_classes` are those that a policy knows."""
    classes = tuple(sorted(set(retention_classes)))
    return {
        READS.name: Suite(READS.name, (*_common(READS.name, classes), *_reads())),
        HITS.name: Suite(HITS.name, (*_common(HITS.name, classes), *_hits())),
    }


def _common(table: str, classes: tuple[str, ...]) -> Iterator[Rule]:
    definition = TABLES[table]
    yield Columns(tuple(definition.arrow.names))
    for field in definition.arrow:
        if not field.nullable:
            yield NotNull(field.name)
    yield Matches(definition.id_column, ID_PATTERN)
    yield Unique((definition.id_column,))
    yield Unique(("source_topic", "source_partition", "source_offset"))
    yield OneOf("source_topic", (table,))
    yield Matches("agency", NAME_PATTERN)
    yield Matches("camera", NAME_PATTERN)
    yield Matches("plate", PLATE_PATTERN)
    yield Matches("state", STATE_PATTERN)
    yield Between("confidence", 0.0, 1.0)
    yield Between("latitude", -90.0, 90.0)
    yield Between("longitude", -180.0, 180.0)
    yield Together(("latitude", "longitude"))
    yield Between("heading", 0.0, 360.0, below=True)
    yield Between("captured_at", _EARLIEST, _LATEST, below=True)
    yield OneOf("retention_class", classes)


def _reads() -> Iterator[Rule]:
    yield NotAfter("captured_at", "received_at")
    yield NotAfter("received_at", "landed_at")
    yield Between("state_confidence", 0.0, 1.0)
    yield Between("frames", 1, 1_000_000)


def _hits() -> Iterator[Rule]:
    yield NotAfter("captured_at", "matched_at")
    yield NotAfter("matched_at", "landed_at")
    yield RefersTo("read_id", READS.name)
    yield Unique(("read_id", "entry_id"))
    yield Matches("entry_id", ID_PATTERN)
    yield Matches("entry_plate", PLATE_PATTERN)
    yield Matches("entry_state", STATE_PATTERN)
    yield OneOf("category", get_args(Category))
    yield Between("priority", 1, 5)
    yield OneOf("match", ("exact", "lookalike"))
    yield OneOf("state_match", ("same", "differs", "unknown"))
