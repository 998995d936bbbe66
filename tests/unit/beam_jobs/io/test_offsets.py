from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.io.offsets import OffsetVector, OffsetVectorCoder, OffsetVectorTracker

vectors = st.builds(
    lambda offsets, done: OffsetVector(tuple(sorted(offsets.items())), done),
    st.dictionaries(st.integers(0, 1000), st.integers(0, 2**62), max_size=5),
    st.booleans(),
)


@given(vectors)
def test_a_vector_survives_its_coder(vector: OffsetVector) -> None:
    coder = OffsetVectorCoder()
    assert coder.decode(coder.encode(vector)) == vector
    assert isinstance(coder.decode(coder.encode(vector)), OffsetVector)


def test_the_bytes_stay_what_they_were() -> None:
    """Checkpoints of running jobs hold them."""
    vector = OffsetVector(((0, 12), (3, 0)), done=True)
    assert OffsetVectorCoder().encode(vector) == b"[[[0, 12], [3, 0]], true]"


@given(vectors.filter(lambda vector: not vector.done), st.data())
def test_deferring_splits_into_what_was_read_and_what_remains(
    vector: OffsetVector, data: st.DataObject
) -> None:
    tracker = OffsetVectorTracker(vector)
    expected = dict(vector.offsets)
    for partition in expected:
        following = expected[partition] + data.draw(st.integers(0, 100))
        assert tracker.try_claim((partition, following))
        expected[partition] = following
    split = tracker.try_split(0)
    assert split is not None
    primary, residual = split
    assert primary.offsets == residual.offsets == tuple(sorted(expected.items()))
    assert (primary.done, residual.done) == (True, False)
    tracker.check_done()
    assert tracker.try_split(0) is None


def test_nothing_is_claimed_once_the_rest_was_deferred() -> None:
    tracker = OffsetVectorTracker(OffsetVector(((0, 5),)))
    assert tracker.try_split(0)
    assert not tracker.try_claim((0, 6))
    assert tracker.current_restriction() == OffsetVector(((0, 5),), done=True)


@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_no_other_split_is_granted(fraction: float) -> None:
    tracker = OffsetVectorTracker(OffsetVector(((0, 5),)))
    assert tracker.try_split(fraction) is None
    assert tracker.try_claim((0, 6))


def test_a_partition_never_goes_back() -> None:
    tracker = OffsetVectorTracker(OffsetVector(((0, 5),)))
    assert tracker.try_claim((0, 5))
    with pytest.raises(ValueError, match="partition 0"):
        tracker.try_claim((0, 4))


def test_leaving_without_deferring_is_an_error() -> None:
    with pytest.raises(ValueError, match="without deferring"):
        OffsetVectorTracker(OffsetVector(((0, 5),))).check_done()


def test_a_topic_has_no_end() -> None:
    tracker = OffsetVectorTracker(OffsetVector(((0, 5),)))
    assert not tracker.is_bounded()
    assert 0 < tracker.current_progress().fraction_completed < 1
