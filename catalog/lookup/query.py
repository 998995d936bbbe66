"""What is asked: checked when it is made, so that a search that cannot be meant is never run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from alpr.errors import BadInput
from catalog.lookup.places import Area

DEFAULT_LIMIT: Final = 1_000
MOST_ROWS: Final = 1_000_000


@dataclass(frozen=True)
class Where:
    """Which reads count: all that is given must hold.

    `first` <= captured_at < `last` (aware); the others name what a read must be of: `states`
    issuing states ("" is a read whose state was not told), `cameras` as `agency/camera`.
    """

    first: datetime | None = None
    last: datetime | None = None
    states: frozenset[str] = frozenset()
    agencies: frozenset[str] = frozenset()
    cameras: frozenset[str] = frozenset()
    area: Area | None = None
    classes: frozenset[str] | None = None

    def __post_init__(self) -> None:
        for moment in (self.first, self.last):
            if moment is not None and moment.tzinfo is None:
                raise BadInput("bad-time", "a time needs its offset from UTC")
        if self.first and self.last and self.first >= self.last:
            raise BadInput("bad-time", "the first moment must be before the last")
        for camera in self.cameras:
            if camera.count("/") != 1:
                raise BadInput("bad-camera", f"AGENCY/CAMERA was required, not {camera!r}")

    @property
    def placed(self) -> bool:
        """Whether a place is asked for."""
        return bool(self.agencies or self.cameras or self.area)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it looks at."""
        needed = ["captured_at"] if self.first or self.last else []
        needed += ["state"] if self.states else []
        needed += ["agency"] if self.agencies or self.cameras else []
        needed += ["camera"] if self.cameras else []
        needed += ["latitude", "longitude"] if self.area else []
        return tuple(needed)


@dataclass(frozen=True)
class Sighting:
    """Where was this plate? `text` may hold `?` and `*`; `lookalikes`: what looks like it too."""

    text: str
    where: Where = Where()
    lookalikes: bool = False
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        _check_limit(self.limit)


@dataclass(frozen=True)
class Canvass:
    """What passed here then? A place and a time are needed."""

    where: Where
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        _check_limit(self.limit)
        if not (self.where.first and self.where.last):
            raise BadInput("bad-time", "a canvass needs its first and its last moment")


@dataclass(frozen=True)
class Common:
    """Which plates were at `at_least` of these places and times?"""

    places: tuple[Where, ...]
    at_least: int
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        _check_limit(self.limit)
        if not 2 <= len(self.places) <= 32 or not 2 <= self.at_least <= len(self.places):
            raise BadInput("bad-places", "2 to 32 places, and at least 2 of them, were required")
        if not all(place.placed and place.first and place.last for place in self.places):
            raise BadInput("bad-places", "each place needs cameras, agencies or an area, and times")


@dataclass(frozen=True)
class Together:
    """Which plates were seen within `within` of this one, at `at_least` of its sightings?"""

    text: str
    where: Where
    within: timedelta = timedelta(seconds=10)
    at_least: int = 2
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        _check_limit(self.limit)
        if not timedelta(0) < self.within <= timedelta(minutes=10) or self.at_least < 2:
            raise BadInput("bad-time", "up to 10 minutes, and 2 sightings or more, were required")


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_ROWS:
        raise BadInput("bad-limit", f"a limit of 1 to {MOST_ROWS:,} rows was required")
