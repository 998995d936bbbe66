"""Reads at load-test rates: valid, deterministic, and faulty exactly as often as asked."""

from __future__ import annotations

import gzip
import math
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from alpr.ids import read_id
from alpr.records import Read
from ingest.simulator.reads import STATES, Faults, Traffic, draw_reads, write_reads
from tests.unit.ingest.simulator.worlds import START

FAULTS = Faults(late=0.03, duplicate=0.02, drifting=0.25, wrong_state=0.05)
TRAFFIC = Traffic(5, START, reads=20_000, cameras=400, vehicles=3000, faults=FAULTS)


def written(traffic: Traffic, folder: Path) -> tuple[bytes, list[dict[str, object]]]:
    count = write_reads(traffic, folder / "reads.jsonl", folder / "truth.parquet")
    data = (folder / "reads.jsonl").read_bytes()
    truth = pq.read_table(folder / "truth.parquet").to_pylist()
    assert count == len(truth) == data.count(b"\n")
    return data, truth


def test_every_line_is_the_read_that_the_truth_describes(tmp_path: Path) -> None:
    data, truth = written(replace(TRAFFIC, reads=3000), tmp_path)
    decoder = msgspec.json.Decoder(Read)
    previous = START
    for line, known in zip(data.splitlines(), truth, strict=True):
        read = decoder.decode(line)
        assert msgspec.json.encode(read) != b"", "a record, so it can be sent on"
        assert (read.plate, read.camera) == (known["plate"], known["camera"])
        assert (read.state != known["state"]) == known["wrong_state"]
        passed = known["passed_at"]
        assert isinstance(passed, datetime)
        offset = (read.captured_at - passed).total_seconds() * 1e6
        assert round(offset) == known["drift_us"]
        assert read.received_at >= previous, "lines are in order of arrival"
        previous = read.received_at
        assert read.read_id == read_id(
            read.agency, read.camera, read.captured_at, read.plate, read.source_id
        )


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, _ = written(replace(TRAFFIC, reads=2000), tmp_path)
    again, _ = written(replace(TRAFFIC, reads=2000), tmp_path)
    other, _ = written(replace(TRAFFIC, reads=2000, seed=6), tmp_path)
    assert first == again
    assert first != other


def test_a_compressed_file_holds_the_same_lines(tmp_path: Path) -> None:
    traffic = replace(TRAFFIC, reads=500)
    plain, _ = written(traffic, tmp_path)
    write_reads(traffic, tmp_path / "reads.jsonl.gz", tmp_path / "truth.parquet")
    assert gzip.decompress((tmp_path / "reads.jsonl.gz").read_bytes()) == plain


def within_binomial(hits: int, trials: int, share: float) -> bool:
    """Five standard deviations: wrong once in over a million seeds, and the seed is fixed."""
    return abs(hits - trials * share) <= 5 * math.sqrt(trials * share * (1 - share))


def test_faults_come_at_their_rates() -> None:
    drawn = draw_reads(TRAFFIC)
    first = ~drawn.duplicate
    assert first.sum() == TRAFFIC.reads
    assert within_binomial(int(drawn.duplicate.sum()), TRAFFIC.reads, FAULTS.duplicate)
    assert within_binomial(int(drawn.late[first].sum()), TRAFFIC.reads, FAULTS.late)
    wrong = drawn.state != drawn.true_state
    assert within_binomial(int(wrong[first].sum()), TRAFFIC.reads, FAULTS.wrong_state)
    drifting = set(drawn.camera[drawn.captured_us != drawn.true_us].tolist())
    assert within_binomial(len(drifting), TRAFFIC.cameras, FAULTS.drifting)


def delays(late: bool) -> NDArray[np.int64]:
    drawn = draw_reads(TRAFFIC)
    chosen = (drawn.late == late) & ~drawn.duplicate
    delay: NDArray[np.int64] = (drawn.received_us - drawn.true_us)[chosen]
    return delay


def test_late_uploads_are_late_and_others_are_not() -> None:
    assert delays(late=True).min() >= 60e6
    assert delays(late=True).max() <= FAULTS.late_seconds * 1e6
    assert delays(late=False).max() < 60e6


def test_a_camera_drifts_by_one_amount() -> None:
    drawn = draw_reads(TRAFFIC)
    drift = drawn.captured_us - drawn.true_us
    for camera in range(TRAFFIC.cameras):
        assert len(set(drift[drawn.camera == camera].tolist())) <= 1
    assert np.abs(drift).max() <= FAULTS.drift_seconds * 1e6


def test_a_duplicate_repeats_its_original_later() -> None:
    drawn = draw_reads(TRAFFIC)
    where = {n: i for i, n in enumerate(drawn.number.tolist()) if not drawn.duplicate[i]}
    for index in np.flatnonzero(drawn.duplicate).tolist():
        original = where[int(drawn.number[index])]
        assert original < index
        assert drawn.captured_us[original] == drawn.captured_us[index]
        assert drawn.vehicle[original] == drawn.vehicle[index]


def test_no_faults_when_none_are_asked_for() -> None:
    none = Faults(late=0, duplicate=0, drifting=0, wrong_state=0)
    drawn = draw_reads(replace(TRAFFIC, faults=none))
    assert not drawn.duplicate.any()
    assert not drawn.late.any()
    assert (drawn.captured_us == drawn.true_us).all()
    assert (drawn.state == drawn.true_state).all()
    assert drawn.state.max() < len(STATES)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_outside_0_to_1_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="late is a share"):
        Faults(late=share)


def test_generating_is_faster_than_building_and_encoding_records(tmp_path: Path) -> None:
    """What the column-wise way is for, as a ratio on the same machine, not a time."""
    traffic = replace(TRAFFIC, reads=60_000)
    begin = time.process_time()
    data, _ = written(traffic, tmp_path)
    columns = time.process_time() - begin
    decoder, encoder = msgspec.json.Decoder(Read), msgspec.json.Encoder()
    lines = data.splitlines()
    begin = time.process_time()
    for line in lines:
        encoder.encode(decoder.decode(line))
    records = time.process_time() - begin
    assert columns < 4 * records
