"""Is it as usual? A number against the same hour of the week in the weeks before.

The middle of the past is its median and its spread the median absolute deviation, times 1.4826
(what makes it a standard deviation where the past is normal): one week with a holiday or an
outage moves neither. A deviation is how many spreads a number lies above (+) or below (-) the
middle. A spread has a floor, or a camera that counted the same in four weeks would be called
wrong for one vehicle more: for counts it is that of chance alone, the root of the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alpr.errors import ConfigurationError

Numbers = NDArray[np.float64]

_NORMAL: Final = 1.4826


@dataclass(frozen=True)
class Past:
    """How far back to look, and how much is enough: of `weeks` weeks at least `enough`.

    The hour of the week is that of a clock on the wall in `zone`, so that rush hour stays rush
    hour when summer time begins.
    """

    weeks: int = 8
    enough: int = 4
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not 2 <= self.enough <= self.weeks <= 10:
            raise ConfigurationError(
                f"a past of 2 to 10 weeks, and of at least 2 to be enough, is required: "
                f"got weeks={self.weeks}, enough={self.enough}"
            )
        try:
            ZoneInfo(self.zone)
        except (KeyError, ValueError, OSError) as error:
            raise ConfigurationError(
                f"a time zone such as America/New_York is required, not {self.zone!r}"
            ) from error

    def hours(self, hour: datetime) -> Iterator[datetime]:
        """The same hour of the week on the wall clock, in the weeks before; the nearest first.

        For a time that the clock skipped that week, the hour after.
        """
        wall = hour.astimezone(ZoneInfo(self.zone))
        for week in range(1, self.weeks + 1):
            then = (wall.replace(tzinfo=None) - timedelta(weeks=week)).replace(
                tzinfo=ZoneInfo(self.zone), fold=wall.fold
            )
            yield then.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def usual(past: Numbers, enough: int) -> tuple[Numbers, Numbers]:
    """Middle and spread of each column of `past`, shape (weeks, subjects); NaN: nothing known.

    NaN for a subject of which fewer than `enough` weeks are known.
    """
    known = np.isfinite(past).sum(axis=0) >= enough
    middle = np.full(past.shape[1], np.nan)
    spread = np.full(past.shape[1], np.nan)
    if known.any():
        judged = past[:, known]
        middle[known] = np.nanmedian(judged, axis=0)
        spread[known] = _NORMAL * np.nanmedian(np.abs(judged - middle[known]), axis=0)
    return middle, spread


def deviations(now: Numbers, past: Numbers, floor: Numbers | float, enough: int) -> Numbers:
    """How many spreads each number lies from its past's middle; NaN where it cannot be told.

    `now` has shape (subjects,), `past` (weeks, subjects); `floor`: the least spread.
    """
    middle, spread = usual(past, enough)
    return (now - middle) / np.maximum(spread, floor)


def count_deviations(now: Numbers, past: Numbers, enough: int) -> Numbers:
    """`deviations` of counts: the floor is chance, and a tenth of the middle for the weather."""
    middle, _ = usual(past, enough)
    floor = np.maximum(np.sqrt(np.maximum(middle, 1.0)), middle / 10)
    return deviations(now, past, floor, enough)


def rate_deviations(now: Numbers, expected: Numbers) -> Numbers:
    """How far rare counts lie from what was expected, in standard deviations of chance.

    Counts of rare events are not normal; their roots nearly are (Anscombe 1948).
    """
    found: Numbers = 2 * (np.sqrt(now + 0.375) - np.sqrt(expected + 0.375))
    return found
