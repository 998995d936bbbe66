"""The commands against a real broker: what they say they sent is what is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from cli.main import app
from infra.services.kafka import Kafka
from ingest.codecs import decode_frame, decode_read
from ingest.simulator.truth import read_truth
from ingest.topics import FRAMES, READS, beginning_offsets, end_offsets, ensure_topics
from tests.integration.ingest.messages import Message, messages

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def bootstrap(kafka: Kafka) -> str:
    ensure_topics(kafka.bootstrap)
    return kafka.bootstrap


def run(*arguments: str, exit_code: int = 0) -> dict[str, object]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == exit_code, result.output
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def new_messages(bootstrap: str, topic: str, before: dict[int, int]) -> list[Message]:
    return messages(bootstrap, topic, before, end_offsets(bootstrap, topic))


def test_simulated_frames_arrive_and_the_truth_is_about_them(
    bootstrap: str, tmp_path: Path
) -> None:
    before = end_offsets(bootstrap, FRAMES)
    truth = tmp_path / "truth.jsonl"
    answer = run(
        "simulate", "frames", "--seconds", "12", "--agencies", "1", "--fast",
        "--truth", str(truth), "--bootstrap", bootstrap,
    )  # fmt: skip
    arrived = {
        (frame.agency, frame.camera, frame.sequence): frame
        for frame in (decode_frame(m.value, m.headers) for m in new_messages(
            bootstrap, FRAMES, before
        ))
    }  # fmt: skip
    assert len(arrived) == answer["sent"]
    passes = list(read_truth(truth))
    assert passes
    assert len(passes) == answer["passes_shown"]
    for shown in passes:
        for showing in shown.showings:
            frame = arrived[shown.agency, shown.camera, showing.sequence]
            assert frame.captured_at == showing.captured_at


def test_a_folder_of_pictures_arrives_in_order_with_bad_ones_refused(
    bootstrap: str, tmp_path: Path
) -> None:
    folder = tmp_path / "sim"
    run("simulate", "frames", "--seconds", "5", "--agencies", "1", "--out", str(folder))
    pictures = sorted((folder / "northfield-pd" / "main-st-north").glob("*.jpg"))
    (pictures[0].parent / "000001b.jpg").write_bytes(b"")
    before = end_offsets(bootstrap, FRAMES)
    answer = run(
        "feed", "frames", str(pictures[0].parent), "--camera", "b-so/gate-7",
        "--bootstrap", bootstrap, exit_code=1,
    )  # fmt: skip
    assert answer["sent"] == len(pictures)
    assert answer["refused"] == {"not-a-picture": 1}
    arrived = new_messages(bootstrap, FRAMES, before)
    assert len({m.partition for m in arrived}) == 1, "one camera, one partition"
    assert [m.value for m in arrived] == [p.read_bytes() for p in pictures]
    assert {m.key for m in arrived} == {b"b-so/gate-7"}


def test_reads_arrive_with_their_duplicates_and_bad_lines_are_refused(
    bootstrap: str, tmp_path: Path
) -> None:
    run("simulate", "reads", "--count", "3000", "--out", str(tmp_path), "--duplicate", "0.1")
    file = tmp_path / "reads.jsonl"
    with file.open("ab") as out:
        out.write(b"not JSON\n")
    before = end_offsets(bootstrap, READS)
    answer = run("feed", "reads", str(file), "--bootstrap", bootstrap, exit_code=1)
    arrived = [decode_read(m.value) for m in new_messages(bootstrap, READS, before)]
    truth = pq.read_table(tmp_path / "truth.parquet").to_pylist()
    assert len(arrived) == answer["sent"] == len(truth)
    assert answer["refused"] == {"not-json": 1}
    assert Counter(read.plate for read in arrived) == Counter(row["plate"] for row in truth)
    twice = sum(row["duplicate"] for row in truth)
    assert twice > 0
    assert len(arrived) - len({read.read_id for read in arrived}) == twice
    assert beginning_offsets(bootstrap, READS)
