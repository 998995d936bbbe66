from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alpr.plates import match_key
from ingest.hotlists.keys import MAX_LENGTH, plate_keys
from tests.support.strategies import lookalike_plates, plates

some_plates = st.lists(plates | lookalike_plates, max_size=20)


@given(some_plates)
def test_two_plates_have_the_same_number_just_when_they_have_the_same_match_key(
    listed: list[str],
) -> None:
    keys = plate_keys(listed)
    assert keys.shape == (len(listed),)
    texts = [match_key(plate) for plate in listed]
    for i, key in enumerate(keys):
        assert [bool(key == other) for other in keys] == [texts[i] == text for text in texts]


@given(some_plates)
def test_numbers_sort_as_the_match_keys_do(listed: list[str]) -> None:
    by_number = [match_key(listed[i]) for i in np.argsort(plate_keys(listed), kind="stable")]
    assert by_number == sorted(match_key(plate) for plate in listed)


def test_every_length_is_told_apart_up_to_the_longest() -> None:
    longest = ["Z" * length for length in range(1, MAX_LENGTH + 1)]
    zeros = ["0" * length for length in range(1, MAX_LENGTH + 1)]
    assert len(set(plate_keys(longest + zeros).tolist())) == 2 * MAX_LENGTH


def test_the_greatest_plate_stays_within_64_bits() -> None:
    (key,) = plate_keys(["Z" * MAX_LENGTH]).tolist()
    assert key == sum(36 * 37**place for place in range(MAX_LENGTH))
    assert key < 2**63
