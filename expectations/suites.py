"""Which rules hold where: the suites of the lake's tables, of cameras, hit rates and hot lists.

Limits that no policy gives are settings (`Limits`), and say what they are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from alpr.errors import ConfigurationError
from alpr.ids import ID_PATTERN
from alpr.plates import PLATE_PATTERN, STATE_PATTERN
from alpr.records import NAME_PATTERN, Category
from catalog.schemas import HITS, READS, TABLES
from expectations.registry import Registry
from expectations.specs import (
    CAMERAS,
    LISTS,
    AtMost,
    Between,
    Columns,
    InState,
    Known,
    LocalDay,
    Matches,
    NotAfter,
    NotNull,
    OneOf,
    RefersTo,
    RowRule,
    Suite,
    Together,
    Unique,
    Usual,
)

HIT_RATES: Final = "hit-rates"
STATES: Final = "states"
LIST_SOURCES: Final = "hotlist-sources"

_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Limits:
    """How far is too far. Deviations are robust ones (`expectations.past`).

    `fewer`, `more`: reads of a camera in an hour, and in 24. `drop`: its mean confidence and its
    frames a read. `rise`: its share of reads without a state. `drift`: its median seconds from
    capture to receipt, either way. `ahead`: share of its reads received before they were
    captured. `hit_jump`: hits of a category at a camera. `unfit`: share of a state's plates that
    fit none of its serials (personalised plates alone are some per cent). `expired`: share of a
    list source's entries that are over. `list_age_h`: hours since the list was built (S1-MP-D1,
    S4-C3: the newest list each shift or day).
    """

    fewer: float = 4.0
    more: float = 10.0
    drop: float = 5.0
    rise: float = 5.0
    drift: float = 6.0
    ahead: float = 0.05
    hit_jump: float = 4.5
    unfit: float = 0.4
    expired: float = 0.5
    list_age_h: float = 24.0

    def __post_init__(self) -> None:
        for name in ("ahead", "unfit", "expired"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigurationError(
                    f"limit {name} is a share from 0 to 1, not {getattr(self, name)}"
                )


def suites(
    retention_classes: Iterable[str] = ("default",), registry: Registry | None = None
) -> dict[str, Suite]:
    """The suite of each table; `retention_classes` are those that a policy knows.

    Without a registry the rules that need one cannot be judged, and say so.
    """
    classes = tuple(sorted(set(retention_classes)))
    return {
        READS.name: Suite(READS.name, (*_common(READS.name, classes, registry), *_reads())),
        HITS.name: Suite(HITS.name, (*_common(HITS.name, classes, registry), *_hits())),
    }


def camera_suite(limits: Limits = Limits()) -> Suite:
    """Of what each camera did in an hour against its own past (S4-B2: alignment, malfunction)."""
    return Suite(
        CAMERAS,
        (
            NotNull("subject"),
            Unique(("subject",)),
            Usual("reads", "reads an hour are", limits.fewer, limits.more),
            Usual("reads_day", "reads in 24 hours are", limits.fewer, limits.more),
            Usual("confidence", "mean confidence is", below=limits.drop),
            Usual("frames", "frames a read are", below=limits.drop),
            Usual("stateless", "the share of reads without a state is", above=limits.rise),
            Usual("delay", "seconds from capture to receipt are", limits.drift, limits.drift),
            AtMost("ahead", limits.ahead, "the share of reads received before capture is"),
        ),
    )


def hit_rate_suite(limits: Limits = Limits()) -> Suite:
    """Of the hits of each list category, over all cameras and at each one."""
    return Suite(
        HIT_RATES,
        (
            NotNull("subject"),
            Unique(("subject",)),
            Usual("hits", "hits for these many reads are", above=limits.hit_jump),
        ),
    )


def state_suite(limits: Limits = Limits()) -> Suite:
    """Of the plates of each state (`alpr.grammar`)."""
    return Suite(
        STATES,
        (
            NotNull("subject"),
            Unique(("subject",)),
            AtMost("unfit", limits.unfit, "the share of plates that fit no serial of the state is"),
        ),
    )


def list_suites(limits: Limits = Limits()) -> tuple[Suite, Suite]:
    """Of a hot list: its entries, and the numbers of each source."""
    entries: tuple[RowRule, ...] = (
        *(NotNull(name) for name in ("entry_id", "source", "plate", "category", "priority")),
        NotNull("valid_from"),
        NotNull("reason"),
        Matches("entry_id", ID_PATTERN),
        Unique(("entry_id",)),
        Matches("source", NAME_PATTERN),
        Matches("agency", NAME_PATTERN),
        Matches("plate", PLATE_PATTERN),
        Matches("state", STATE_PATTERN),
        OneOf("category", get_args(Category)),
        Between("priority", 1, 5),
        Between("valid_from", _EARLIEST, _LATEST, below=True),
        NotAfter("valid_from", "valid_to", slack=timedelta(0)),
        # Two entries for one plate are two hits; some are meant: two cases, two bulletins.
        Unique(("source", "plate", "state", "category"), mostly=0.99),
    )
    sources = (
        NotNull("subject"),
        Unique(("subject",)),
        AtMost("expired", limits.expired, "the share of entries that are over is"),
        AtMost("age_h", limits.list_age_h, "hours since the list was built are"),
    )
    return Suite(LISTS, entries), Suite(LIST_SOURCES, sources)


def _common(table: str, classes: tuple[str, ...], registry: Registry | None) -> Iterator[RowRule]:
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
    yield Known(registry)
    yield Matches("plate", PLATE_PATTERN)
    yield Matches("state", STATE_PATTERN)
    yield Between("confidence", 0.0, 1.0)
    yield Between("latitude", -90.0, 90.0)
    yield Between("longitude", -180.0, 180.0)
    yield Together(("latitude", "longitude"))
    yield InState(registry)
    yield Between("heading", 0.0, 360.0, below=True)
    yield Between("captured_at", _EARLIEST, _LATEST, below=True)
    if "captured_on" in definition.arrow.names:
        yield LocalDay("captured_on", "captured_at")
    yield OneOf("retention_class", classes)


def _reads() -> Iterator[RowRule]:
    yield NotAfter("captured_at", "received_at")
    yield NotAfter("received_at", "landed_at")
    yield Between("state_confidence", 0.0, 1.0)
    yield Between("frames", 1, 1_000_000)


def _hits() -> Iterator[RowRule]:
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
