from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.hotlists import sieve
from ingest.hotlists.keys import plate_keys
from tests.support.strategies import plates

some = st.lists(plates, max_size=50)


@given(some, some)
def test_every_listed_key_passes(listed: list[str], others: list[str]) -> None:
    keys, asked = plate_keys(listed), plate_keys(others + listed)
    passed = sieve.passing(sieve.build(keys), asked)
    assert passed.tolist() == sorted(passed.tolist())
    wanted = {place for place, key in enumerate(asked.tolist()) if key in set(keys.tolist())}
    assert wanted <= set(passed.tolist())


def test_few_others_pass_at_any_size() -> None:
    rng = np.random.default_rng(1)
    others = rng.integers(37**11, 37**12, 20_000, dtype=np.uint64)
    for count in (1, 1000, 3 << 12, 100_000):
        listed = rng.integers(1, 37**11, count, dtype=np.uint64)
        table = sieve.build(listed)
        assert len(table) & (len(table) - 1) == 0
        assert count <= sieve.KEYS_A_WORD * len(table)
        assert len(sieve.passing(table, others)) < 0.003 * len(others)


def test_an_empty_list_lets_nothing_through() -> None:
    table = sieve.build(np.empty(0, np.uint64))
    assert sieve.passing(table, plate_keys(["ABC1", "Z"])).tolist() == []
