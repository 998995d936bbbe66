"""How each source stands: how old its list is, what is in it, and whether it is stale."""

from __future__ import annotations

from datetime import datetime

import msgspec

from alpr.records import Instant
from ingest.hotlists.snapshot import Loaded, Manifest
from ingest.hotlists.sources import Event, Source


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One source."""

    source: str
    layout: str
    stale: bool
    """Nothing says that the list is still the source's newest: no load for its refresh time."""
    age_s: float | None
    """Since the list in force was last known to be the source's newest; None: never loaded."""
    refresh_h: float
    checked_at: Instant | None = None
    """When a load last succeeded, or found the same list again."""
    loaded_at: Instant | None = None
    issued: Instant | None = None
    mode: str | None = None
    entries: int = 0
    categories: dict[str, int] = {}
    rejected: dict[str, int] = {}
    unknown: dict[str, int] = {}
    dropped: dict[str, int] = {}
    last_outcome: str | None = None
    last_reason: str | None = None
    last_at: Instant | None = None


def status_of(
    manifest: Manifest | None, sources: list[Source], history: list[Event], now: datetime
) -> list[SourceStatus]:
    """The declared sources, and those that a list in force has besides."""
    declared = {source.source: source for source in sources}
    loaded = manifest.sources if manifest is not None else {}
    return [
        _status(
            declared.get(name) or Source(source=name, layout=loaded[name].layout),
            loaded.get(name),
            [event for event in history if event.source == name and event.action == "load"],
            now,
        )
        for name in sorted({*declared, *loaded})
    ]


def _status(
    source: Source, loaded: Loaded | None, loads: list[Event], now: datetime
) -> SourceStatus:
    good = [event.at for event in loads if event.outcome in ("done", "unchanged")]
    checked = max([*good, *([loaded.loaded_at] if loaded else [])], default=None)
    age = (now - checked).total_seconds() if loaded is not None and checked is not None else None
    last = loads[-1] if loads else None
    return SourceStatus(
        source=source.source,
        layout=source.layout,
        stale=age is None or age > source.refresh.total_seconds(),
        age_s=age,
        refresh_h=source.refresh_h,
        checked_at=checked,
        loaded_at=loaded.loaded_at if loaded else None,
        issued=loaded.issued if loaded else None,
        mode=loaded.mode if loaded else None,
        entries=loaded.entries if loaded else 0,
        categories=loaded.categories if loaded else {},
        rejected=loaded.rejected if loaded else {},
        unknown=loaded.unknown if loaded else {},
        dropped=loaded.dropped if loaded else {},
        last_outcome=last.outcome if last else None,
        last_reason=last.reason if last else None,
        last_at=last.at if last else None,
    )
