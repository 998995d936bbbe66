from __future__ import annotations

from typing import Any

import apache_beam as beam
import pytest

from beam_jobs.decode import DEAD, Records, decode_records
from beam_jobs.io.coder import BatchCoder
from beam_jobs.io.source import Batch
from ingest.codecs import decode_read
from tests.support.records import make_read

BATCH = Batch("reads", 0, 5, 9, [5, 8], [1, 2], [b"k", None], [b"value", None], [(), ()])


@pytest.mark.parametrize(
    ("batch", "size"),
    [(BATCH, 5), (Records("reads", 0, 5, 9, [5], [1], [make_read()], 700), 700)],
)
def test_a_batch_comes_back_and_says_its_size(batch: Any, size: int) -> None:
    coder = BatchCoder()
    assert coder.decode(coder.encode(batch)) == batch
    assert coder.estimate_size(batch) == size


def test_no_batch_is_encoded_to_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: BatchCoder, value: object) -> bytes:
        raise AssertionError("a batch was encoded")

    monkeypatch.setattr(BatchCoder, "encode", refuse)
    coder = beam.coders.registry.get_coder(Batch)
    assert coder.get_impl().get_estimated_size_and_observables(BATCH) == (5, [])


def test_the_steps_of_a_job_name_their_types() -> None:
    pipeline = beam.Pipeline(runner="BundleBasedDirectRunner")
    batches = pipeline | beam.Create([BATCH])
    decoded = batches | decode_records("match", decode_read, 0.05)
    assert isinstance(beam.coders.registry.get_coder(decoded.records.element_type), BatchCoder)
    assert decoded[DEAD].element_type is not Any
