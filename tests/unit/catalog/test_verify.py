"""`catalog.retention.verify`: each thing that must not be is found, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.table import Table

from alpr.errors import ConfigurationError, Corrupt
from alpr.holds import HeldRecord
from alpr.retention import Period, Retention, RetentionClass
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.files import live_files, partition_of
from catalog.images import MAGIC
from catalog.lake import Lake
from catalog.lookup.index import block_of, build
from catalog.parquet import Partition, encode
from catalog.retention.holds import Holds, Purpose
from catalog.retention.purge import run_purge
from catalog.retention.rules import Rules
from catalog.retention.topics import TopicState, judge_topics
from catalog.retention.verification import Verification
from catalog.retention.verify import Progress, verify
from catalog.rows import Origin, reads_to_arrow
from catalog.staging import stage_reads
from catalog.store import StoredObject
from tests.contract.lake.samples import (
    DAY,
    NOW,
    RETENTION,
    make_reads,
    no_sleep,
    stage,
)

OLD = 25
"""Days ago: still kept in `default` (30 days) at NOW, ended in six days and in `toll` now."""
LATER = NOW + timedelta(days=6)


@pytest.fixture
def lake(config: LakeConfig) -> Iterator[Lake]:
    lake = Lake(config)
    lake.init()
    lake.retention = RETENTION
    yield lake
    lake.close()


@pytest.fixture
def landed(lake: Lake) -> Lake:
    """50 reads of today and 20 old ones, all with images."""
    land(lake, days_ago=0, count=50)
    land(lake, days_ago=OLD, count=20, first=50)
    return lake


def land(lake: Lake, *, days_ago: int, count: int, first: int = 0, name: str = "default") -> None:
    reads = make_reads(count, first=first, days_ago=days_ago, retention_class=name, image=True)
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, reads, first=first)])


def check(lake: Lake, now: datetime = LATER, share_ppm: int = 1_000_000) -> Verification:
    return verify(lake, RETENTION, now, share_ppm=share_ppm, sleep=no_sleep)


def kinds(result: Verification) -> set[str]:
    return {each.kind for each in result.findings}


def purge(lake: Lake, now: datetime = LATER) -> None:
    run_purge(lake, lambda: now, sleep=no_sleep)


def data_uri(lake: Lake, name: str, day: date = (DAY - timedelta(days=OLD)).date()) -> str:
    folder = Partition((day - date(1970, 1, 1)).days, "default").folder
    return f"{lake.config.warehouse}/alpr/reads/{folder}/{name}.parquet"


def test_all_is_well_while_everything_is_kept(landed: Lake) -> None:
    result = check(landed, NOW)
    assert (result.ok, result.full, result.found) == (True, True, 0)
    assert (result.rows, result.images) == (70, 105)
    assert result.listed == result.decoded
    assert "nothing that had ended" in result.statement


def test_before_the_purge_everything_old_is_found_and_after_it_nothing(landed: Lake) -> None:
    before = check(landed)
    assert kinds(before) == {
        "expired-object",
        "expired-rows",
        "expired-reference",
        "expired-time",
    }
    told = {each.what: each.count for each in before.findings if each.kind == "expired-rows"}
    assert set(told.values()) == {20}, "by the day and, separately, by the time of capture"
    assert len(told) == 2
    purge(landed)
    after = check(landed)
    assert after.findings == ()
    assert after.rows == 50
    assert after.cutoffs["default"] == date(2026, 10, 27)


def test_a_deleted_entry_and_the_old_states_are_found(landed: Lake) -> None:
    """What `table.delete` alone leaves behind: files, and manifests that name them."""
    table: Table = landed.table("reads")
    table.delete(f"captured_on = '{(DAY - timedelta(days=OLD)).date()}'")
    result = check(landed)
    assert {"expired-object", "expired-reference"} <= kinds(result)
    assert any("(deleted)" in each.what for each in result.findings)


def test_a_row_whose_day_lies_is_found_by_its_time(lake: Lake) -> None:
    """Its captured_on says today; only the time of capture tells."""
    reads = make_reads(3, days_ago=40)
    rows = reads_to_arrow(reads, Origin("reads", 0, range(3)), NOW)
    today = pa.array([DAY.date()] * 3, pa.date32())
    rows = rows.set_column(rows.schema.get_field_index("captured_on"), "captured_on", today)
    lake.store.write(data_uri(lake, "lying", DAY.date()), encode(rows, 1))
    (finding,) = check(lake, NOW).findings
    assert (finding.kind, finding.count) == ("expired-rows", 3)
    assert "by their time" in finding.what


def test_a_row_whose_time_lies_is_found_by_its_day(lake: Lake) -> None:
    rows = reads_to_arrow(make_reads(3), Origin("reads", 0, range(3)), NOW)
    old = pa.array([DAY.date() - timedelta(days=40)] * 3, pa.date32())
    rows = rows.set_column(rows.schema.get_field_index("captured_on"), "captured_on", old)
    lake.store.write(data_uri(lake, "lying", DAY.date()), encode(rows, 1))
    result = check(lake, NOW)
    assert kinds(result) == {"expired-rows", "misplaced"}
    assert any("by their day" in each.what for each in result.findings)


def test_the_last_moment_kept_and_the_first_one_ended(lake: Lake) -> None:
    """`toll` ends after 21 days of New York: at NOW its first kept day is 2026-10-30."""
    rules = Rules.at(RETENTION, NOW)
    assert rules.cutoffs["toll"] == date(2026, 10, 30)
    first = datetime(2026, 10, 30, 4, tzinfo=UTC)  # midnight in New York, summer time
    assert rules.starts["toll"] == first.timestamp() * 1_000_000
    for moment, found in ((first, 0), (first - timedelta(microseconds=1), 1)):
        read = msgspec.structs.replace(
            make_reads(1, retention_class="toll")[0], captured_at=moment, received_at=NOW
        )
        origin = Origin("reads", 0, [0])
        group = stage_reads(lake, [read], origin, [], NOW)
        result = check(lake, NOW)
        rows = [each for each in result.findings if each.kind == "expired-rows"]
        assert len(rows) == 2 * found, moment
        lake.store.delete([each.file.uri for each in group.files])


def test_an_orphan_of_an_ended_day_is_found(lake: Lake) -> None:
    """Staged, never committed: no metadata names it."""
    stage(lake, make_reads(5, days_ago=40))
    assert {"expired-rows", "expired-object"} <= kinds(check(lake, NOW))


def test_a_class_that_no_policy_has(landed: Lake) -> None:
    other = Retention(
        {
            "other": (
                RetentionClass(
                    "short", "other", frozenset({"read"}), Period(days=1), "UTC", "§ 1", "a test"
                ),
            )
        },
        {},
        "other",
    )
    result = verify(landed, other, NOW, sleep=no_sleep)
    assert "unknown-class" in kinds(result)
    rows = [each for each in result.findings if "rows of class default" in each.what]
    assert sum(each.count for each in rows) == 70


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("notes.txt", b"a note", "unknown-object"),
        ("alpr/leaky/data/x.parquet", b"PAR1", "unknown-object"),
        ("alpr/reads/data/.x.parquet.0123.tmp", b"half", "unknown-object"),
        ("alpr/reads/metadata/9.metadata.json", b"{", "undecodable"),
        ("alpr/reads/metadata/9.metadata.json", b"[]", "undecodable"),
        ("alpr/reads/metadata/9-m0.avro", b"Obj\x01junk", "undecodable"),
        ("retention/certificates/x.json", b"{}", "undecodable"),
        ("retention/journal/r/reads-1.json", b"{}", "undecodable"),
        ("retention/keys/x.pem", b"no key", "undecodable"),
        ("images/class=default/day=2026-11-20/x.pack", MAGIC + b"\x01", "undecodable"),
        ("images/class=default/day=2026-11-31/x.pack", MAGIC, "unknown-class"),
        ("images/class=default/day=2026-10-01/x.pack", MAGIC, "expired-object"),
        ("images/class=nobody/day=2026-11-20/x.pack", MAGIC, "unknown-class"),
        ("evidence/hold=abc/x.pack", MAGIC, "expired-object"),
    ],
)
def test_a_strange_object(lake: Lake, path: str, content: bytes, kind: str) -> None:
    uri = f"{lake.config.warehouse}/{path}"
    lake.store.write(uri, content)
    (finding,) = check(lake, NOW).findings
    assert (finding.kind, finding.where) == (kind, uri)


def test_the_views_of_the_sql_engine_are_known_and_hold_no_rows(lake: Lake) -> None:
    """`platelake up --profile full` leaves them; the first check of such a lake found them."""
    folder = f"{lake.config.warehouse}/alpr/views/sightings/metadata"
    lake.store.write(f"{folder}/1-a.metadata.json", b'{"format-version": 1}')
    assert check(lake, NOW).findings == ()


def test_a_cut_short_file_is_found(landed: Lake) -> None:
    uri = next(
        item.uri
        for item in landed.store.list(landed.config.warehouse)
        if item.uri.endswith(".parquet")
    )
    landed.store.write(uri, landed.store.read(uri)[:-20])
    assert "undecodable" in kinds(check(landed, NOW))


def test_plate_text_in_the_bounds_of_a_manifest_is_found(lake: Lake) -> None:
    """pyiceberg's own writer with default metrics: what a plain sink would leave."""
    with lake.table("reads").transaction() as transaction:
        transaction.set_properties({"write.metadata.metrics.default": "truncate(16)"})
    rows = reads_to_arrow(make_reads(5), Origin("reads", 0, range(5)), NOW)
    lake.table("reads").append(rows)
    result = check(lake, NOW)
    assert "plate-in-metadata" in kinds(result)
    assert "AAAAAA" not in repr(result), "a finding must not tell the plate"


def test_old_bounds_of_time_are_found(landed: Lake) -> None:
    """A manifest of a kept partition whose bounds of time lie before the class's cut-off."""
    folder = f"{landed.config.warehouse}/alpr/reads/metadata"
    uri = next(item.uri for item in landed.store.list(folder) if "-m0" in item.uri)
    with landed.store.open(uri) as source:
        reader = fastavro.reader(source)
        schema, entries = reader.writer_schema, list(reader)
    assert schema is not None
    old = int((NOW - timedelta(days=99)).timestamp() * 1e6).to_bytes(8, "little", signed=True)
    entry = next(iter(entries))
    assert isinstance(entry, dict)
    entry["data_file"]["lower_bounds"] = [{"key": 4, "value": old}]
    path = Path(uri.removeprefix("file://"))
    with path.open("wb") as out:
        fastavro.writer(out, schema, [entry], codec="deflate")
    result = check(landed, NOW)
    assert kinds(result) == {"expired-time"}


def test_metadata_that_names_an_ended_day_is_found(lake: Lake) -> None:
    document = {"format-version": 2, "x": "images/class=default/day=2026-10-01/a.pack"}
    uri = f"{lake.config.warehouse}/alpr/reads/metadata/9.metadata.json"
    lake.store.write(uri, json.dumps(document).encode())
    (finding,) = check(lake, NOW).findings
    assert finding.kind == "expired-reference"


def test_a_row_that_names_an_image_of_another_day_is_found(lake: Lake) -> None:
    """Its image would outlive it."""
    read = make_reads(1, days_ago=3, image=True)[0]
    group = stage_reads(lake, [read], Origin("reads", 0, [0]), [], NOW)
    uri = group.files[0].file.uri
    rows = pq.read_table(uri.removeprefix("file://"), partitioning=None)
    crop = rows["crop"].to_pylist()[0]
    crop["pack"] = crop["pack"].replace("2026-11-17", "2026-11-20")
    place = rows.schema.get_field_index("crop")
    rows = rows.set_column(place, "crop", pa.array([crop], rows.schema.field("crop").type))
    lake.store.write(uri, encode(rows, 1))
    (finding,) = check(lake, NOW).findings
    assert finding.kind == "misplaced"


def test_an_index_that_remembers_a_purged_day_is_found(landed: Lake) -> None:
    """Of a plate it keeps the days on which it was read: that is a record too."""
    files: dict[int, dict[int, frozenset[str]]] = {}
    for file in live_files(landed.table("reads")):
        day = partition_of(file).day
        files.setdefault(block_of(day), {})[day] = frozenset({file.file_path})
    for number, of in files.items():
        build(landed, "default", number, of)
    assert check(landed, NOW).findings == ()
    assert check(landed, NOW).listed["index"] == len(files)
    of_index = [each for each in check(landed).findings if "/index/" in each.where]
    assert {each.kind for each in of_index} == {"expired-rows", "expired-reference"}
    assert {each.count for each in of_index if each.kind == "expired-rows"} == {20}
    purge(landed)
    assert check(landed).findings == ()


def test_a_sample_opens_a_share_and_says_so(lake: Lake) -> None:
    for number in range(40):
        stage(lake, make_reads(1, first=number, days_ago=number % 10))
    result = check(lake, NOW, share_ppm=300_000)
    assert result.ok
    assert not result.full
    assert 0 < result.decoded["rows"] < result.listed["rows"] == 40
    assert "sample of 30 %" in result.statement
    again = check(lake, NOW, share_ppm=300_000)
    assert again.decoded == result.decoded
    stage(lake, make_reads(1, first=99, days_ago=60))
    assert "expired-object" in kinds(check(lake, NOW, share_ppm=1)), "addresses are all judged"


def test_a_share_must_be_one(lake: Lake) -> None:
    with pytest.raises(ConfigurationError):
        check(lake, share_ppm=0)


def test_what_is_held_is_no_finding_until_its_hold_ends(landed: Lake) -> None:
    read = make_reads(1, first=50, days_ago=OLD, image=True)[0]
    holds = Holds(landed, "an officer", lambda: NOW, no_sleep)
    record = HeldRecord("read", read.read_id, read.captured_at.date(), "default")
    state = holds.add([record], Purpose("evidence", "S1-CP7b", "a case", "26-1"))
    purge(landed)
    result = check(landed)
    assert result.findings == ()
    assert result.held > 0
    assert result.listed["evidence-rows"] == 1
    Holds(landed, "an officer", lambda: LATER, no_sleep).release(state.hold.hold_id, "closed")
    ended = check(landed, LATER + timedelta(seconds=1))
    assert {"expired-object", "expired-reference"} <= kinds(ended)
    purge(landed, LATER + timedelta(seconds=1))
    assert check(landed, LATER + timedelta(seconds=1)).findings == ()


def test_a_registration_without_a_hold_hides_nothing(landed: Lake) -> None:
    """Whoever writes a table property alone cannot keep rows: the hold's history must know."""
    day = (DAY - timedelta(days=OLD)).date().isoformat()
    with landed.table("reads").transaction() as transaction:
        transaction.set_properties({"platelake.hold.0000": json.dumps([f"{day}/default"])})
    assert "expired-rows" in kinds(check(landed))


def test_what_is_deleted_while_it_runs_is_no_finding(landed: Lake) -> None:
    doomed = [
        item.uri
        for item in landed.store.list(landed.config.warehouse)
        if f"{(DAY - timedelta(days=OLD)).date()}" in item.uri
    ]
    real = landed.store.list

    def list_then_delete(prefix: str) -> Iterator[StoredObject]:
        yield from list(real(prefix))
        landed.store.delete(doomed)

    landed.store.list = list_then_delete  # type: ignore[method-assign]
    result = check(landed)
    assert result.gone == len(doomed) == 2
    assert "expired-object" not in kinds(result)


def test_what_comes_while_it_runs_is_judged(landed: Lake) -> None:
    """Compaction that began before the purge may store its output after the listing."""
    real, calls = landed.store.list, 0

    def list_then_add(prefix: str) -> Iterator[StoredObject]:
        nonlocal calls
        calls += 1
        yield from list(real(prefix))
        if calls == 1:
            stage(landed, make_reads(2, first=900, days_ago=60))

    landed.store.list = list_then_add  # type: ignore[method-assign]
    result = check(landed, NOW)
    assert "expired-rows" in kinds(result)


def test_progress_reaches_everything_listed(landed: Lake) -> None:
    seen: list[Progress] = []
    result = verify(landed, RETENTION, NOW, progress=seen.append)
    assert seen[-1].objects == seen[-1].of == sum(result.listed.values())
    assert seen[-1].bytes == seen[-1].of_bytes == result.listed_bytes


def test_a_damaged_policy_of_holds_stops_it(landed: Lake) -> None:
    with landed.table("reads").transaction() as transaction:
        transaction.set_properties({"platelake.hold.0000": "nonsense"})
    with pytest.raises(Corrupt):
        check(landed)


WANTED = {
    "retention.ms": "3600000",
    "segment.ms": "900000",
    "message.timestamp.type": "LogAppendTime",
}


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (TopicState("reads", WANTED, WANTED, NOW - timedelta(minutes=80)), 0),
        (TopicState("reads", WANTED, WANTED, NOW - timedelta(minutes=86)), 1),
        (TopicState("reads", WANTED, WANTED | {"retention.ms": "-1"}, None), 1),
        (TopicState("reads", WANTED, {}, None), 3),
        (TopicState("stray", None, WANTED, None), 1),
        (TopicState("compacted", {"cleanup.policy": "compact"}, {"cleanup.policy": "compact"},
                    NOW - timedelta(days=900)), 0),
    ],
)  # fmt: skip
def test_topics_are_judged(state: TopicState, found: int) -> None:
    assert len(list(judge_topics([state], NOW))) == found


def test_topics_are_part_of_it(lake: Lake) -> None:
    stray = TopicState("stray", None, {}, None)
    result = verify(lake, RETENTION, NOW, topics=lambda: [stray])
    assert kinds(result) == {"topic"}
    assert "topics" in result.scope


def test_disks_are_of_a_bucket_only(landed: Lake, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"format\.json"):
        verify(landed, RETENTION, NOW, store_disk=tmp_path)


def test_what_it_says_survives_json(landed: Lake) -> None:
    result = check(landed)
    assert msgspec.json.decode(msgspec.json.encode(result), type=Verification) == result
    assert result.as_json()["ok"] is False
