from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.traffic import make_messages, write_hotlist
from ingest.codecs import decode_read
from ingest.hotlists.index import HotlistIndex


def test_reads_are_valid_and_hit_as_often_as_asked(tmp_path: Path) -> None:
    messages = make_messages(3, 2000, 0.1)
    reads = [decode_read(value) for value in messages.values]
    assert 1900 < len({read.read_id for read in reads}) < 2000, "some are sent twice"
    assert messages.keys == [f"{read.agency}/{read.camera}".encode() for read in reads]
    write_hotlist(tmp_path, messages.wanted, 1000)
    index = HotlistIndex(tmp_path, None)
    assert len(index) == 1000
    hits = sum(1 for _ in index.search([read.plate for read in reads]))
    assert hits == pytest.approx(200, abs=20)


def test_other_seeds_give_other_reads_of_the_same_wanted_vehicles() -> None:
    first, second = make_messages(3, 2000, 0.5), make_messages(4, 2000, 0.5)

    def ids(values: list[bytes]) -> set[str]:
        return {msgspec.json.decode(value)["read_id"] for value in values}

    assert not ids(first.values) & ids(second.values)
    assert len(first.wanted & second.wanted) > 150
