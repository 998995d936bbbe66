from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from alpr.errors import Refused
from alpr.records import DeadLetter, Read
from beam_jobs.dead_letters import TooManyDeadLetters
from beam_jobs.decode import DecodeRecords, Records
from ingest.codecs import decode_read, encode
from tests.support.beam import make_batch, split
from tests.support.records import T0, make_read


def decode(
    values: Sequence[bytes | None], limit: float = 1.0, **batch: Any
) -> tuple[Records[Any], list[DeadLetter]]:
    dofn = DecodeRecords("match", decode_read, limit, lambda: T0)
    dofn.setup()
    (records,), dead = split(dofn.process(make_batch(values, **batch)))
    return records, dead


READS = [make_read(seconds=s) for s in range(3)]


def test_good_messages_become_records_with_their_offsets() -> None:
    records, dead = decode([encode(read) for read in READS], first=10, partition=3)
    assert dead == []
    assert records.records == READS
    assert (records.topic, records.partition) == ("reads", 3)
    assert (records.first, records.next, records.offsets) == (10, 13, [10, 11, 12])


def test_bad_ones_go_aside_and_the_offsets_stay_right() -> None:
    records, dead = decode([encode(READS[0]), b"{", None, encode(READS[2])], first=10)
    assert records.records == [READS[0], READS[2]]
    assert (records.first, records.next, records.offsets) == (10, 14, [10, 13])
    assert len(records.timestamps_ms) == 2
    assert [(letter.reason, letter.offset) for letter in dead] == [
        ("not-json", 11),
        ("empty-message", 12),
    ]


def test_a_batch_without_a_good_message_still_covers_its_offsets() -> None:
    records, dead = decode([b"{", b"["], first=5)
    assert (records.records, records.first, records.next) == ([], 5, 7)
    assert len(dead) == 2


def test_too_many_bad_ones_fail_the_job() -> None:
    with pytest.raises(TooManyDeadLetters):
        decode([encode(READS[0])] * 90 + [b"{"] * 10, limit=0.05)


def test_what_policy_refuses_is_told_but_fails_no_job() -> None:
    """A patrol car uploaded a month at once: the job must go on for all the others."""

    def refuse(_: bytes | None) -> Read:
        raise Refused("past-retention", "too late")

    dofn = DecodeRecords("land", refuse, 0.05, lambda: T0)
    dofn.setup()
    (records,), dead = split(dofn.process(make_batch([encode(READS[0])] * 100)))
    assert (len(records.records), len(dead)) == (0, 100)
    assert {(letter.reason, letter.value) for letter in dead} == {("past-retention", None)}


def test_the_budget_is_the_workers_and_not_the_batchs() -> None:
    dofn = DecodeRecords("match", decode_read, 0.05, lambda: T0)
    dofn.setup()

    def feed() -> None:
        for _ in range(10):
            split(dofn.process(make_batch([encode(READS[0])] * 9 + [b"{"])))

    with pytest.raises(TooManyDeadLetters):
        feed()
