"""How long a record is kept: periods, classes, and the moment a day's records end.

Everything counts in local calendar days, as statutes and policies do (the day of the event is
not counted, the last day counts whole). A record captured on local day `d` is kept through
local day `d + keep` and ends at the midnight after it, so all records of one class and one
local day end at the same instant: a whole partition of the lake can go at once, never a row too
early (the class's minimum) and never a row too late (its maximum).

A period in months or years ends on the day with the same number; where the month has none, on
its last day: a year from 29 February ends on 28 February.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from functools import cache, cached_property
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alpr.errors import BadInput, ConfigurationError

Kind = Literal["read", "hit"]
"""Kinds of record that have a retention class."""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

AS_POLICY: Final = "default"
"""The class a record asks for when it leaves the choice to its agency's policy."""

_PERIOD = re.compile(r"^\s*(\d{1,5})\s+(day|month|year)s?\s*$")
_LONGEST_YEARS: Final = 200
_CALENDAR_YEARS: Final = 400
"""After so many years the calendar repeats itself, leap days and all."""


@dataclass(frozen=True, order=False)
class Period:
    """A number of calendar years, months or days; exactly one of them is not zero."""

    years: int = 0
    months: int = 0
    days: int = 0

    def __post_init__(self) -> None:
        parts = (self.years, self.months, self.days)
        if sum(part != 0 for part in parts) != 1 or min(parts) < 0:
            raise ConfigurationError(
                f"a period is a positive number of days, months or years, not {parts}"
            )
        if self.longest > _LONGEST_YEARS * 366:
            raise ConfigurationError(f"a period may have {_LONGEST_YEARS} years, not {self}")

    @staticmethod
    def parse(text: str) -> Period:
        """From `30 days`, `18 months`, `1 year`. Raises ConfigurationError."""
        match = _PERIOD.match(text)
        if match is None:
            raise ConfigurationError(
                f"a period such as '30 days', '18 months' or '1 year' is required, not {text!r}"
            )
        return Period(**{f"{match[2]}s": int(match[1])})

    def __str__(self) -> str:
        for count, unit in ((self.years, "year"), (self.months, "month"), (self.days, "day")):
            if count:
                return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
        raise AssertionError("a period is never empty")

    @property
    def longest(self) -> int:
        """More days than this it never has."""
        return self.days + self.months * 31 + self.years * 366

    def covers(self, other: Period) -> bool:
        """Whether it never ends before the other, whatever day both begin on.

        A year covers 12 months and 365 days, not 366 days; 366 days cover a year.
        """
        ours, theirs = 12 * self.years + self.months, 12 * other.years + other.months
        if ours and theirs:
            return ours >= theirs
        if ours:
            return _days_in(ours)[0] >= other.days
        return self.days >= (_days_in(theirs)[1] if theirs else other.days)

    def after(self, day: date) -> date:
        """The last day of a period that begins with `day`, which itself is not counted."""
        month = day.month - 1 + self.months
        year = day.year + self.years + month // 12
        month = month % 12 + 1
        last = calendar.monthrange(year, month)[1]
        return date(year, month, min(day.day, last)) + timedelta(days=self.days)


@cache
def _days_in(months: int) -> tuple[int, int]:
    """The fewest and the most days that so many months have."""
    period = Period(months=months)
    counts = [
        (period.after(begin) - begin).days
        for year in range(2000, 2000 + _CALENDAR_YEARS)
        for month in range(1, 13)
        # Of the days before the 28th each month has one, so all give what the first gives.
        for day in (1, 28, 29, 30, 31)
        if day <= calendar.monthrange(year, month)[1]
        for begin in (date(year, month, day),)
    ]
    return min(counts), max(counts)


@dataclass(frozen=True)
class RetentionClass:
    """Records that are kept for the same time for the same reason.

    `minimum`: policy forbids to delete before; `maximum`: policy forbids to keep longer; None:
    the policy sets no such bound. `keep`: when they do end, within both. `sources`: patterns
    (`*`, `?`) of the read's `source` that the class is for; empty: any. `clause` names the
    place in the policy that `keep` follows, `why` says it in words; `minimum_clause` and
    `maximum_clause` name the places that set those bounds, or that were looked at for one.

    Raises ConfigurationError if the three periods contradict each other.
    """

    name: str
    policy: str
    records: frozenset[Kind]
    keep: Period
    zone: str
    clause: str
    why: str
    minimum: Period | None = None
    maximum: Period | None = None
    sources: tuple[str, ...] = ()
    minimum_clause: str = ""
    maximum_clause: str = ""

    def __post_init__(self) -> None:
        if not self.records:
            raise ConfigurationError(f"retention class {self.name} is for no kind of record")
        keep = ("keep", self.keep, self.clause)
        minimum = ("minimum", self.minimum, self.minimum_clause)
        maximum = ("maximum", self.maximum, self.maximum_clause)
        for longer, shorter in ((maximum, minimum), (keep, minimum), (maximum, keep)):
            self._check(longer, shorter)
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ConfigurationError(
                f"retention class {self.name}: a time zone such as America/New_York is required, "
                f"not {self.zone!r}"
            ) from error

    def _check(
        self, longer: tuple[str, Period | None, str], shorter: tuple[str, Period | None, str]
    ) -> None:
        (what, long, clause), (other, short, other_clause) = longer, shorter
        if long is None or short is None or long.covers(short):
            return
        raise ConfigurationError(
            f"retention class {self.name} contradicts itself: its {what} of {long} "
            f"({clause or 'no clause'}) can end before its {other} of {short} "
            f"({other_clause or 'no clause'}); correct one of them"
        )

    def is_for(self, kind: Kind, source: str) -> bool:
        """Whether records of this kind and source may be in the class."""
        return kind in self.records and (
            not self.sources or any(fnmatchcase(source, pattern) for pattern in self.sources)
        )

    def local_day(self, moment: datetime) -> date:
        """The calendar day of a moment where the class applies."""
        return moment.astimezone(ZoneInfo(self.zone)).date()

    def last_day(self, captured_on: date) -> date:
        """The last local day on which a record captured on this local day is kept."""
        return self.keep.after(captured_on)

    def ends_at(self, captured_on: date) -> datetime:
        """The moment (UTC) from which the records of a local day must not be there any more."""
        return midnight(self.last_day(captured_on) + timedelta(days=1), self.zone)

    def cutoff(self, now: datetime) -> date:
        """The first local day of capture whose records are still kept at `now`.

        What was captured on an earlier day has ended. Never moves back while `now` moves on.
        """
        today = self.local_day(now)
        day = today - timedelta(days=self.keep.longest + 1)
        while self.last_day(day) < today:
            day += timedelta(days=1)
        return day

    def has_ended(self, captured_at: datetime, now: datetime) -> bool:
        """Whether a record captured then is past its end at `now`."""
        return self.local_day(captured_at) < self.cutoff(now)


def midnight(day: date, zone: str) -> datetime:
    """The first moment (UTC) of a local day.

    Where summer time begins at midnight, the clock's jump; where it ends then, the earlier one.
    """
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True)
class Retention:
    """Which class a record belongs to: agencies follow policies, policies have classes.

    `policies`: per policy its classes in the order in which they are tried. `agencies`: which
    policy an agency follows; all others follow `default`. `directed`: per agency the classes
    that its administrator directed, tried before those of its policy. Class names are unique.
    """

    policies: Mapping[str, Sequence[RetentionClass]]
    agencies: Mapping[str, str]
    default: str
    directed: Mapping[str, Sequence[RetentionClass]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for policy in sorted({self.default, *self.agencies.values()} - set(self.policies)):
            raise ConfigurationError(
                f"no policy {policy!r} is known; there are {', '.join(sorted(self.policies))}"
            )
        known: dict[str, RetentionClass] = {}
        for each in self._every():
            if (first := known.setdefault(each.name, each)) is not each:
                raise ConfigurationError(
                    f"two retention classes are named {each.name!r}: of policy {first.policy} "
                    f"({first.clause}) and of policy {each.policy} ({each.clause}); rename one"
                )

    def _every(self) -> Iterator[RetentionClass]:
        for classes in (*self.policies.values(), *self.directed.values()):
            yield from classes

    @cached_property
    def classes(self) -> Mapping[str, RetentionClass]:
        """Every class by its name."""
        return {each.name: each for each in self._every()}

    def policy_of(self, agency: str) -> str:
        """The policy that an agency follows."""
        return self.agencies.get(agency, self.default)

    def class_of(
        self, kind: Kind, agency: str, source: str, asked: str = AS_POLICY
    ) -> RetentionClass:
        """The class of a record of an agency.

        `asked` other than AS_POLICY names a class of the agency's own: of its policy, or one
        that its administrator directed. Raises BadInput (`unknown-retention-class`) if it is
        none, or none for such a record.
        """
        own = (*self.directed.get(agency, ()), *self.policies[self.policy_of(agency)])
        for each in own:
            if each.is_for(kind, source) and asked in (AS_POLICY, each.name):
                return each
        raise BadInput(
            "unknown-retention-class",
            f"policy {self.policy_of(agency)} has no class {asked!r} for a {kind} of source "
            f"{source!r}: correct the sender, or add the class to the policy",
        )

    def zone_of(self, class_name: str) -> str:
        """The time zone of a class. Raises ConfigurationError for one that no policy has."""
        return self.named(class_name).zone

    def named(self, class_name: str) -> RetentionClass:
        """A class by its name. Raises ConfigurationError for one that no policy has."""
        try:
            return self.classes[class_name]
        except KeyError:
            raise ConfigurationError(
                f"no policy has a retention class {class_name!r}, but records of it are stored: "
                "put its policy back, or move the records with `platelake retain move`"
            ) from None
