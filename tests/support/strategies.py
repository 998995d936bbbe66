"""Hypothesis strategies: any record that its own rules allow."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any, Final, get_args

from hypothesis import strategies as st

from alpr.records import (
    CameraKind,
    Candidate,
    Category,
    DeadLetter,
    Frame,
    Hit,
    HotlistChange,
    HotlistEntry,
    Read,
)

_FIRST: Final = datetime(2001, 1, 1, tzinfo=UTC)
_YEARS: Final = timedelta(days=180 * 365)

plates = st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=12)
lookalike_plates = st.text("O0I1B8", min_size=1, max_size=3)
"""Few and short, so that equal plates, look-alikes and different ones all occur."""

ids = st.text("0123456789abcdef", min_size=32, max_size=32)
names = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
shares = st.floats(0, 1)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
pictures = st.none() | st.binary(max_size=20)
headings = st.none() | st.floats(0, 360, exclude_max=True)
states = st.none() | st.from_regex(r"[A-Z]{2,3}", fullmatch=True)
times = st.integers(0, _YEARS // timedelta(microseconds=1)).map(
    lambda micros: _FIRST + timedelta(microseconds=micros)
)
places: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.tuples(
    st.floats(-90, 90), st.floats(-180, 180).filter(bool)
).map(lambda place: {"latitude": place[0], "longitude": place[1]})


def _build(kind: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    whole = st.fixed_dictionaries(fields)
    return st.tuples(whole, places).map(lambda parts: kind(**parts[0], **parts[1]))


frames: st.SearchStrategy[Frame] = _build(
    Frame,
    agency=names,
    camera=names,
    camera_kind=st.sampled_from(get_args(CameraKind)),
    captured_at=times,
    received_at=st.just(_FIRST + _YEARS),
    sequence=st.integers(0, 2**63 - 1),
    heading=headings,
    jpeg=st.binary(min_size=1, max_size=50),
)
reads: st.SearchStrategy[Read] = _build(
    Read,
    read_id=ids,
    agency=names,
    camera=names,
    captured_at=times,
    received_at=st.just(_FIRST + _YEARS),
    plate=plates,
    plate_raw=st.text(st.characters(codec="utf-8"), max_size=32),
    confidence=shares,
    state=states,
    state_confidence=st.none() | shares,
    candidates=st.lists(st.builds(Candidate, plates, shares), max_size=3).map(tuple),
    heading=headings,
    source=names,
    source_version=texts,
    source_id=texts,
    frames=st.integers(1, 1000),
    retention_class=names,
    crop=pictures,
    overview=pictures,
)
hits: st.SearchStrategy[Hit] = _build(
    Hit,
    hit_id=ids,
    read_id=ids,
    entry_id=ids,
    list_version=texts,
    agency=names,
    camera=names,
    captured_at=times,
    matched_at=times,
    plate=plates,
    state=states,
    confidence=shares,
    entry_plate=plates,
    entry_state=states,
    category=st.sampled_from(get_args(Category)),
    priority=st.integers(1, 5),
    match=st.sampled_from(("exact", "lookalike")),
    state_match=st.sampled_from(("same", "differs", "unknown")),
    alert=st.booleans(),
    heading=headings,
    retention_class=names,
)


def entries(of_plates: st.SearchStrategy[str] = plates) -> st.SearchStrategy[HotlistEntry]:
    return st.builds(
        HotlistEntry,
        entry_id=ids,
        source=names,
        plate=of_plates,
        state=states,
        category=st.sampled_from(get_args(Category)),
        priority=st.integers(1, 5),
        valid_from=times,
        valid_to=st.none() | times,
        agency=st.none() | names,
        case_number=st.none() | texts,
        reason=texts,
    )


changes: st.SearchStrategy[HotlistChange] = st.builds(
    HotlistChange, entry_id=ids, changed_at=times, entry=st.none() | entries()
)
dead_letters: st.SearchStrategy[DeadLetter] = st.builds(
    DeadLetter,
    reason=names,
    detail=texts,
    job=names,
    topic=texts,
    partition=st.integers(0, 1000),
    offset=st.integers(0, 2**62),
    at=times,
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=50),
    value_size=st.integers(0, 2**40),
    headers=st.lists(st.tuples(texts, st.binary(max_size=10)), max_size=3).map(tuple),
)
