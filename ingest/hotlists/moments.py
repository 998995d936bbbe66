"""Times as sources write them, as instants: whole columns, local days and zones included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

_REMEMBERED: Final = 50_000
"""Different dates remembered: a list of millions has some thousand."""
INSTANT: Final = pa.timestamp("us", "UTC")
_FIRST, _LAST = datetime(1900, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001  (local times)


def parse_moments(
    texts: pa.Array, formats: Sequence[str], timezone: str, *, end_of_day: bool = False
) -> pa.Array:
    """The instants of the texts, null where no format fits; the first one that does counts.

    A time without a zone is one of `timezone`; one that occurs twice is the earlier. A date alone
    is its first instant, or with `end_of_day` the instant at which the day is over: what is valid
    to a day is valid on it. Years before 1900 and from 2200 on are mistakes, and null.
    """
    found = pa.nulls(len(texts), INSTANT)
    for form in formats:
        if not found.null_count:
            break
        news = (
            _iso(texts, timezone, end_of_day)
            if form == "iso"
            else _formatted(texts, form, timezone, end_of_day)
        )
        found = pc.coalesce(found, news)
    return found


def _formatted(texts: pa.Array, form: str, timezone: str, end_of_day: bool) -> pa.Array:
    """Each different text is read once: the rows of a list share few dates."""
    coded = texts.dictionary_encode()
    moments = [_strptime(text, form, timezone, end_of_day) for text in coded.dictionary.to_pylist()]
    return pa.array(moments, INSTANT).take(coded.indices)


@lru_cache(_REMEMBERED)
def _strptime(text: str, form: str, timezone: str, end_of_day: bool) -> datetime | None:
    try:
        local = datetime.strptime(text, form)  # noqa: DTZ007  (the zone is put in below)
    except ValueError:
        return None
    return _placed(local, timezone, end_of_day and "%H" not in form)


def _iso(texts: pa.Array, timezone: str, end_of_day: bool) -> pa.Array:
    coded = texts.dictionary_encode()
    moments = [_from_iso(text, timezone, end_of_day) for text in coded.dictionary.to_pylist()]
    return pa.array(moments, INSTANT).take(coded.indices)


@lru_cache(_REMEMBERED)
def _from_iso(text: str, timezone: str, end_of_day: bool) -> datetime | None:
    try:
        if len(text) == 10 and text[4] == text[7] == "-":
            return _placed(datetime.combine(date.fromisoformat(text), time()), timezone, end_of_day)
        if len(text) < 16 or text[4] != "-" or text[10] not in "Tt ":
            return None
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return _placed(moment, timezone, False)
    return moment if _within(moment.replace(tzinfo=None)) else None


def _placed(local: datetime, timezone: str, end_of_day: bool) -> datetime | None:
    if not _within(local):
        return None
    if end_of_day:
        local += timedelta(days=1)
    return local.replace(tzinfo=ZoneInfo(timezone))


def _within(local: datetime) -> bool:
    return _FIRST <= local < _LAST
