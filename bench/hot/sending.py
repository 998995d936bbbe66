"""JSON of a hit, as it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from bench.hot import Ways
from bench.traffic import make_messages

_COUNT: Final = 2000


def _hits() -> list[Any]:
    from alpr.ids import entry_id
    from alpr.matching import match
    from alpr.records import HotlistEntry
    from ingest.codecs import decode_read

    hits: list[Any] = []
    now = datetime.now(UTC)
    for value in make_messages(1, _COUNT, 0.0).values:
        read = decode_read(value)
        entry = HotlistEntry(
            entry_id=entry_id("bench", read.plate), source="bench", plate=read.plate,
            category="bolo", valid_from=datetime(2000, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        hits += match(read, [entry], "1", now)
    return hits


def _ours() -> tuple[Callable[[], object], int]:
    from ingest.codecs import encode

    hits = _hits()
    return lambda: [encode(hit) for hit in hits], len(hits)


def _json() -> tuple[Callable[[], object], int]:
    import msgspec

    hits = [msgspec.structs.asdict(hit) for hit in _hits()]
    return lambda: [json.dumps(hit, default=datetime.isoformat).encode() for hit in hits], len(hits)


STEPS: Final[tuple[tuple[str, str, Ways], ...]] = (
    ("encode", "hit", {"msgspec": _ours, "json": _json}),
)
