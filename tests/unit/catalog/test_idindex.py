"""The id index: exact under collisions, duplicates, merging and eviction."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import Corrupt
from catalog.idindex import DayIds, IdIndex, Ids, id_bytes

# Few distinct halves, so that equal high halves with different low halves are common.
halves = st.integers(0, 3).map(lambda n: n.to_bytes(8, "big"))
ids = st.tuples(halves, halves).map(b"".join)


def random_ids(count: int, seed: int) -> Ids:
    return Ids.of(np.random.default_rng(seed).bytes(16 * count))


@given(st.lists(ids))
def test_repeated_marks_all_but_the_first(batch: list[bytes]) -> None:
    seen: set[bytes] = set()
    expected = []
    for one in batch:
        expected.append(one in seen)
        seen.add(one)
    assert Ids.of(b"".join(batch)).repeated().tolist() == expected


@given(st.lists(st.lists(ids), max_size=8), st.lists(ids))
def test_contains_is_exact(batches: list[list[bytes]], asked: list[bytes]) -> None:
    day, known = DayIds(), set[bytes]()
    for batch in batches:
        new = [one for one in dict.fromkeys(batch) if one not in known]
        day.add(Ids.of(b"".join(new)))
        known.update(new)
    assert len(day) == len(known)
    assert day.contains(Ids.of(b"".join(asked))).tolist() == [one in known for one in asked]


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_id_bytes_reads_hexadecimal_text(batch: list[bytes]) -> None:
    texts = [one.hex() for one in batch]
    column = pa.chunked_array([texts[:2], texts[2:]], pa.string())
    assert id_bytes(column) == b"".join(batch)
    sliced = pa.chunked_array([["f" * 32, *texts]], pa.large_string()).slice(1)
    assert id_bytes(sliced) == b"".join(batch)


@pytest.mark.parametrize("wrong", ["0" * 31, "g" * 32, " " * 32, "é" * 16, ""])
def test_id_bytes_refuses_anything_else(wrong: str) -> None:
    with pytest.raises(Corrupt, match="32 hexadecimal digits"):
        id_bytes(pa.chunked_array([["0" * 32, wrong]]))


def test_a_day_keeps_few_runs() -> None:
    day = DayIds()
    for seed in range(500):
        day.add(random_ids(100, seed))
    assert len(day) == 50_000
    assert len(day._runs) <= 16
    assert day.nbytes == 50_000 * 16
    assert day.contains(random_ids(100, 250)).all()
    assert not day.contains(random_ids(100, 900)).any()


def test_memory_stays_within_its_bound_and_forgotten_days_are_loaded_again() -> None:
    loads: list[int] = []

    def load(day: int) -> Ids:
        loads.append(day)
        return random_ids(1_000, day)

    index = IdIndex(load, max_bytes=3 * 16_000)
    for day in range(10):
        assert index.contains(day, random_ids(1_000, day)).all()
        assert index.nbytes <= 3 * 16_000
    assert index.contains(9, random_ids(10, 99)).sum() == 0
    assert loads == list(range(10))
    assert index.contains(0, random_ids(1_000, 0)).all()
    assert loads == [*range(10), 0]


def test_one_day_larger_than_the_bound_is_still_held_whole() -> None:
    index = IdIndex(lambda day: random_ids(1_000, day), max_bytes=100)
    assert index.contains(1, random_ids(1_000, 1)).all()
    index.add(1, random_ids(10, 50))
    assert index.contains(1, random_ids(10, 50)).all()


def test_forget_loads_anew() -> None:
    stored = [random_ids(10, 1)]
    index = IdIndex(lambda _: stored[0], max_bytes=10_000)
    assert index.contains(1, random_ids(10, 1)).all()
    stored[0] = random_ids(10, 2)
    index.forget()
    assert not index.contains(1, random_ids(10, 1)).any()
