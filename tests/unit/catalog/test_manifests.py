"""Manifests stay few, small and of one class, whatever is put in and taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyiceberg.manifest import DataFile, ManifestFile
from pyiceberg.table import Transaction

from alpr.errors import Corrupt
from catalog import manifests
from catalog.config import LakeConfig
from catalog.files import live_files, partition_of
from catalog.lake import Lake
from catalog.manifests import Span, change_files, span_of
from catalog.parquet import ParquetFile, Partition, data_file
from catalog.query import connect
from catalog.swap import swap
from tests.contract.lake.samples import make_reads, no_sleep, stage

DAY = 20_000


@pytest.fixture
def lake(config: LakeConfig) -> Lake:
    lake = Lake(config)
    lake.init()
    return lake


def entry(day: int, name: str, number: int) -> DataFile:
    """The entry of a file that nobody reads."""
    partition = Partition(DAY + day, name)
    uri = f"file:///nowhere/{partition.folder}/{number}.parquet"
    return data_file(ParquetFile(uri, partition, 10, 1000, day, day + 1), 0)


def change(lake: Lake, add: Sequence[DataFile] = (), remove: Sequence[DataFile] = ()) -> None:
    def apply(transaction: Transaction, summary: dict[str, str]) -> None:
        change_files(transaction, summary, add=add, remove=remove)

    swap(lake, "reads", "append", lambda _: apply, attempts=1, sleep=no_sleep)


def stored(lake: Lake) -> list[ManifestFile]:
    table = lake.table("reads")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    return snapshot.manifests(table.io)


def paths(lake: Lake) -> Counter[str]:
    return Counter(file.file_path for file in live_files(lake.table("reads")))


def test_many_appends_give_few_manifests_of_one_class_each(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "MAX_FILES", 20)
    monkeypatch.setattr(manifests, "MERGE_AT", 5)
    added = []
    for number in range(60):
        files = [entry(number // 6, name, number) for name in ("b", "a")]
        added += files
        change(lake, add=files)
    assert paths(lake) == Counter(file.file_path for file in added)
    assert len(stored(lake)) <= 120 // 10 + 2 + 5  # at least half full, small, fresh
    spans = [span for manifest in stored(lake) if (span := span_of(manifest)) is not None]
    assert {span.only_class for span in spans} >= {"a", "b"}
    for name in ("a", "b"):  # of one class the days of two full manifests overlap by one at most
        own = sorted((s.first_day, s.last_day) for s in spans if s.only_class == name)
        assert all(one[1] <= other[0] for one, other in pairwise(own))


def test_taking_out_leaves_other_manifests_as_they_are(lake: Lake) -> None:
    old = [entry(0, "a", 1), entry(0, "a", 2), entry(1, "a", 3)]
    new = [entry(9, "a", 4)]
    change(lake, add=old)
    change(lake, add=new)
    (kept,) = [m for m in stored(lake) if (span_of(m) or _ANY).first_day == DAY + 9]
    change(lake, remove=old[:2])
    assert paths(lake) == Counter([old[2].file_path, new[0].file_path])
    assert kept.manifest_path in [m.manifest_path for m in stored(lake)]
    summary = lake.table("reads").current_snapshot()
    assert summary is not None
    assert summary.summary is not None
    assert summary.summary["total-data-files"] == "2"
    assert summary.summary["total-records"] == "20"


def test_no_manifest_says_what_was_taken_out(lake: Lake) -> None:
    files = [entry(0, "a", 1), entry(0, "a", 2)]
    change(lake, add=files)
    change(lake, remove=files)
    assert stored(lake) == []
    change(lake, add=files)  # a table without a file goes on
    assert paths(lake) == Counter(file.file_path for file in files)


def test_a_purge_splits_what_lists_several_classes(lake: Lake) -> None:
    change(lake, add=[entry(0, "a", 1), entry(0, "b", 2)])
    change(lake, add=[entry(5, "a", 3), entry(5, "b", 4)])
    change(lake, add=[entry(5, "b", 5)])
    before = {manifest.manifest_path for manifest in stored(lake)}
    gone = [file for file in live_files(lake.table("reads")) if file.partition[0] == DAY]

    def apply(transaction: Transaction, summary: dict[str, str]) -> None:
        change_files(transaction, summary, remove=gone[:1], split=True)

    swap(lake, "reads", "purge", lambda _: apply, attempts=1, sleep=no_sleep)
    spans = [span_of(manifest) for manifest in stored(lake)]
    assert all(span is not None and span.only_class for span in spans)
    assert len(paths(lake)) == 4
    assert len({manifest.manifest_path for manifest in stored(lake)} & before) == 1


def test_a_file_that_is_not_there_cannot_be_taken_out(lake: Lake) -> None:
    change(lake, add=[entry(0, "a", 1)])
    with pytest.raises(Corrupt, match="not in the table"):
        change(lake, remove=[entry(0, "a", 2)])
    assert len(paths(lake)) == 1


def test_a_second_engine_reads_what_was_split_and_merged(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifests, "MERGE_AT", 3)
    for number in range(8):
        name = ("default", "toll")[number % 2]
        reads = make_reads(5, first=5 * number, days_ago=number, retention_class=name)
        group = stage(lake, reads)
        change(lake, add=[data_file(each.file, 0) for each in group.files])
    gone = [f for f in live_files(lake.table("reads")) if f.partition[1] == "toll"]
    change(lake, remove=gone)
    with connect(lake) as connection:
        rows = connection.sql("SELECT retention_class, count(*) FROM reads GROUP BY 1").fetchall()
    assert rows == [("default", 20)]


def test_the_bounds_in_the_list_are_those_of_the_files(lake: Lake) -> None:
    change(lake, add=[entry(-3, "toll", 1), entry(5, "default", 2)])
    (manifest,) = stored(lake)
    assert span_of(manifest) == Span(DAY - 3, DAY + 5, "default", "toll")


_ANY = Span(0, 0, "", "")
_PARTITIONS = st.builds(Partition, st.integers(0, 5), st.sampled_from("abc"))


@given(st.lists(_PARTITIONS, min_size=1), _PARTITIONS)
def test_a_span_may_hold_each_of_its_partitions(listed: list[Partition], other: Partition) -> None:
    days = [each.day for each in listed]
    names = [each.retention_class for each in listed]
    span = Span(min(days), max(days), min(names), max(names))
    assert all(span.may_hold(each) for each in listed)
    if not span.may_hold(other):
        assert other not in listed


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.sampled_from("abc")), max_size=30))
def test_whatever_is_done_the_table_lists_each_file_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("lake")
    lake = Lake(LakeConfig(f"sqlite:///{folder}/catalog.db", f"file://{folder}/lake"))
    lake.init()
    expected: dict[str, DataFile] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "MAX_FILES", 4)
        patch.setattr(manifests, "MERGE_AT", 3)
        for number, (adds, day, name) in enumerate(steps):
            new = [entry(day, name, number)] if adds else []
            partition = Partition(DAY + day, name)
            old = [] if adds else [f for f in expected.values() if partition_of(f) == partition]
            if not new and not old:
                continue
            change(lake, add=new, remove=old)
            expected |= {file.file_path: file for file in new}
            for file in old:
                del expected[file.file_path]
    assert paths(lake) == Counter(list(expected))
    lake.close()
