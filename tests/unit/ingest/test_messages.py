"""Messages of every version ever written must be understood: topics and lakes outlive releases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from alpr.records import Candidate, DeadLetter, Frame, Hit, HotlistChange, HotlistEntry, Read
from ingest.codecs import (
    decode_change,
    decode_dead_letter,
    decode_frame,
    decode_hit,
    decode_read,
)

V1 = Path(__file__).parents[2] / "data" / "messages" / "v1"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CAPTURED = NOON.replace(microsecond=250_000)
READ_ID, ENTRY_ID = "3f0c5a4b9d1e2f60718293a4b5c6d7e8", "ffeeddccbbaa99887766554433221100"


def test_a_read_of_version_1() -> None:
    assert decode_read((V1 / "reads.json").read_bytes()) == Read(
        read_id=READ_ID,
        agency="pd",
        camera="cam-1",
        captured_at=CAPTURED,
        received_at=NOON.replace(second=1),
        plate="ABC1234",
        plate_raw="ABC-1234",
        confidence=0.93,
        state="CA",
        state_confidence=0.81,
        candidates=(Candidate("ABC1234", 0.93), Candidate("A8C1234", 0.04)),
        latitude=38.5816,
        longitude=-121.4944,
        heading=90.0,
        source="platelake",
        source_version="1.0+abc",
        source_id="17.0",
        frames=5,
        crop=b"\xff\xd8\xff\xd9",
    )


def test_a_hit_of_version_1() -> None:
    assert decode_hit((V1 / "hits.json").read_bytes()) == Hit(
        hit_id="00112233445566778899aabbccddeeff",
        read_id=READ_ID,
        entry_id=ENTRY_ID,
        list_version="20260301T110000000000Z-0badcafe+7",
        agency="pd",
        camera="cam-1",
        captured_at=CAPTURED,
        matched_at=NOON.replace(second=1, microsecond=500_000),
        plate="ABC1234",
        state="CA",
        confidence=0.93,
        entry_plate="ABCI234",
        category="stolen-vehicle",
        priority=2,
        match="lookalike",
        state_match="unknown",
        alert=True,
        latitude=38.5816,
        longitude=-121.4944,
    )


def test_a_hot_list_change_of_version_1() -> None:
    assert decode_change((V1 / "hotlist-changes.json").read_bytes()) == HotlistChange(
        entry_id=ENTRY_ID,
        changed_at=datetime(2026, 3, 1, 11, 59, tzinfo=UTC),
        entry=HotlistEntry(
            entry_id=ENTRY_ID,
            source="state-list",
            plate="ABCI234",
            category="stolen-vehicle",
            priority=2,
            valid_from=datetime(2026, 2, 1, tzinfo=UTC),
            agency="pd",
            case_number="26-0042",
            reason="taken from a car park",
        ),
    )


def test_a_dead_letter_of_version_1() -> None:
    assert decode_dead_letter((V1 / "dead-letters.json").read_bytes()) == DeadLetter(
        reason="missing-field",
        detail="Object missing required field `plate`",
        job="match",
        topic="reads",
        partition=2,
        offset=41,
        at=NOON.replace(second=2),
        key=b"pd/cam-1",
        value=b"{}",
        value_size=2,
        headers=(("trace", b"\x00\x01"),),
    )


def test_a_frame_of_version_1() -> None:
    texts: dict[str, str] = json.loads((V1 / "frames.headers.json").read_text())
    headers = [(name, text.encode()) for name, text in texts.items()]
    assert decode_frame(b"\xff\xd8\xff\xd9", headers) == Frame(
        agency="pd",
        camera="cam-1",
        camera_kind="mobile",
        captured_at=CAPTURED,
        received_at=NOON.replace(second=1),
        sequence=1234,
        latitude=38.5816,
        longitude=-121.4944,
        heading=90.0,
        jpeg=b"\xff\xd8\xff\xd9",
    )


def test_the_samples_hold_fields_that_this_version_does_not_know() -> None:
    """Else they would not show that a later producer does no harm."""
    known = {
        "reads.json": Read,
        "hits.json": Hit,
        "hotlist-changes.json": HotlistChange,
        "dead-letters.json": DeadLetter,
        "frames.headers.json": Frame,
    }
    assert {path.name for path in V1.glob("*.json")} == known.keys()
    for name, record in known.items():
        fields = set(record.__struct_fields__)
        assert json.loads((V1 / name).read_text()).keys() - fields, name
