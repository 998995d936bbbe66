"""Rules as frozen values: validated when made, run elsewhere (`expectations.checkpoint`).

Those of the lake's tables hold rows as a second reader sees them against what `alpr.records`
and the jobs promise, so that a fault of a job, a foreign writer or a damaged file comes to
light. The records themselves are checked one by one where they enter (`ingest.codecs`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alpr.errors import ConfigurationError
from catalog.schemas import TABLES
from expectations.registry import Registry

CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far two clocks on the way of a record may differ, as at the entrance (`ingest.codecs`)."""

CAMERAS: Final = "cameras"
"""The suite over what each camera did in an hour."""

LISTS: Final = "hotlist"
"""The suite over a hot list's entries."""

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
    """No two rows of the slice have the same values in these columns.

    `mostly` is the share of rows for which that must be so.
    """

    columns: tuple[str, ...]
    mostly: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.mostly <= 1.0:
            raise ConfigurationError(
                f"rule for {' + '.join(self.columns)}: mostly must be above 0 and at most 1, "
                f"got {self.mostly}"
            )

    @property
    def title(self) -> str:
        """The rule in words."""
        told = f"{' + '.join(self.columns)} occurs once"
        return told if self.mostly == 1.0 else f"{told}, in {self.mostly:.0%} of the rows"


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


@dataclass(frozen=True)
class LocalDay:
    """The day is one that the moment has somewhere on earth: at most a day from its day in UTC."""

    day: str
    moment: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.day, self.moment)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.day} is the local day of {self.moment}"


@dataclass(frozen=True)
class Known:
    """Every row's agency and camera are in the registry (None: there is none to judge by)."""

    registry: Registry | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return ("agency", "camera")

    @property
    def title(self) -> str:
        """The rule in words."""
        return "agency + camera is in the registry of cameras"


@dataclass(frozen=True)
class InState:
    """A row's place lies in the box of the state that its camera works in (`alpr.places`).

    Judged for rows that have a place and a camera in the registry (None: there is none).
    """

    registry: Registry | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return ("agency", "camera", "latitude", "longitude")

    @property
    def title(self) -> str:
        """The rule in words."""
        return "latitude + longitude lie in the camera's state"


@dataclass(frozen=True)
class Usual:
    """A measure is as usual: at most so many robust deviations from its own past.

    `measure` names the column, `<measure>_deviation` holds how far it is from the median of the
    past, in deviations (`expectations.past`), and no value where there is too little past.
    `below` and `above`: how many are still usual, None: any number.
    """

    measure: str
    words: str
    below: float | None = None
    above: float | None = None

    def __post_init__(self) -> None:
        given = [bound for bound in (self.below, self.above) if bound is not None]
        if not given or min(given) <= 0:
            raise ConfigurationError(
                f"rule for {self.measure}: a positive number of deviations below or above is "
                f"required, got {self.below} and {self.above}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.measure, self.deviation)

    @property
    def deviation(self) -> str:
        """The column that is judged."""
        return f"{self.measure}_deviation"

    @property
    def title(self) -> str:
        """The rule in words."""
        bounds = [
            f"at most {bound:g} deviations {side}"
            for bound, side in ((self.below, "below"), (self.above, "above"))
            if bound is not None
        ]
        return f"{self.words} as usual, {' and '.join(bounds)}"


@dataclass(frozen=True)
class AtMost:
    """A share or number that must not be larger than this; no value where too few to tell."""

    column: str
    limit: float
    words: str

    def __post_init__(self) -> None:
        if not self.limit >= 0:
            raise ConfigurationError(
                f"rule for {self.column}: a limit of at least 0 is required, got {self.limit}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        return (self.column,)

    @property
    def title(self) -> str:
        """The rule in words."""
        return f"{self.words} at most {self.limit:g}"


RowRule = (
    Columns
    | NotNull
    | Between
    | Matches
    | OneOf
    | Unique
    | NotAfter
    | Together
    | RefersTo
    | LocalDay
    | Known
    | InState
)
Rule = RowRule | Usual | AtMost

_COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    **{name: frozenset(table.arrow.names) for name, table in TABLES.items()},
    CAMERAS: frozenset(
        {
            *("subject", "reads", "reads_day", "confidence", "stateless", "frames", "delay"),
            *("reads_deviation", "reads_day_deviation", "confidence_deviation"),
            *("stateless_deviation", "frames_deviation", "delay_deviation", "ahead"),
        }
    ),
    "hit-rates": frozenset({"subject", "hits", "hits_deviation"}),
    "states": frozenset({"subject", "plates", "unfit"}),
    LISTS: frozenset(
        {
            *("entry_id", "source", "plate", "state", "category", "priority"),
            *("valid_from", "valid_to", "agency", "case_number", "reason"),
        }
    ),
    "hotlist-sources": frozenset({"subject", "entries", "expired", "age_h"}),
}
"""What a suite can be for, and the columns there."""


@dataclass(frozen=True)
class Suite:
    """All rules of one table of rows, or of numbers about one.

    Raises ConfigurationError for an unknown table, a column that it does not have, a rule
    without a column, or the same rule twice.
    """

    table: str
    rules: tuple[Rule, ...]

    def __post_init__(self) -> None:
        known = _COLUMNS.get(self.table)
        if known is None:
            raise ConfigurationError(
                f"a suite is for one of {', '.join(_COLUMNS)}, not for {self.table!r}"
            )
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
