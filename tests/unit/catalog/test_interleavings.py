"""Any order of replays, restarts, duplicates and compactions gives each distinct id once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.offsets import Source, contiguous
from catalog.query import connect
from catalog.staging import StagedGroup
from tests.contract.lake.samples import (
    DAY,
    NOW,
    ids_of,
    make_read,
    no_sleep,
    stage,
    stored_ids,
)

PARTITIONS = 2
EAGER = CompactionPolicy(open_files=2, closed_files=2)


@dataclass(frozen=True)
class Attempt:
    """One run of the job: the batches a partition is cut into, and the order they arrive in."""

    cuts: list[set[int]]
    order: list[int]
    stop_after: int
    compacts: bool


# The log of each partition: numbers of reads. Few numbers, so the same read comes often.
logs = st.lists(
    st.lists(st.integers(0, 12), min_size=1, max_size=15), min_size=PARTITIONS, max_size=PARTITIONS
)
attempts = st.lists(
    st.builds(
        Attempt,
        cuts=st.lists(st.sets(st.integers(1, 14), max_size=4), min_size=2, max_size=2),
        order=st.permutations(range(10)),
        stop_after=st.integers(0, 6),
        compacts=st.booleans(),
    ),
    min_size=1,
    max_size=3,
)


def batches(lake: Lake, attempt: Attempt, log: list[list[int]]) -> list[StagedGroup]:
    """Every message of the log once, staged in this attempt's batches and order."""
    groups = []
    for partition, numbers in enumerate(log):
        ends = sorted({cut for cut in attempt.cuts[partition] if cut < len(numbers)})
        for first, end in zip([0, *ends], [*ends, len(numbers)], strict=True):
            reads = [make_read(n, days_ago=n % 2) for n in numbers[first:end]]
            groups.append(stage(lake, reads, first=first, partition=partition))
    rank = {number: place for place, number in enumerate(attempt.order)}
    return [group for _, group in sorted(enumerate(groups), key=lambda pair: rank[pair[0]])]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(log=logs, runs=attempts)
def test_each_distinct_id_once(
    log: list[list[int]], runs: list[Attempt], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each run starts from offset 0 again (a checkpoint that old), the last one goes to the end."""
    home = tmp_path_factory.mktemp("lake")
    lake = Lake(LakeConfig(f"sqlite:///{home}/catalog.db", f"file://{home}/lake"))
    lake.init()
    for number, attempt in enumerate(runs):
        owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
        waiting: list[StagedGroup] = []
        commits = 0
        for group in batches(lake, attempt, log):
            ready, waiting = contiguous([*waiting, group], owner.offsets)
            if ready:
                owner.commit(ready)
                commits += 1
            if attempt.compacts and commits == 2:
                compact(lake, "reads", DAY.date(), EAGER)
            if number < len(runs) - 1 and commits > attempt.stop_after:
                break
    assert waiting == []
    assert owner.offsets == {Source("reads", p): len(numbers) for p, numbers in enumerate(log)}
    expected = [make_read(n, days_ago=n % 2) for numbers in log for n in numbers]
    assert stored_ids(lake) == ids_of(expected)
    second = connect(lake)
    count = second.execute("SELECT count(*), count(DISTINCT read_id) FROM reads").fetchall()
    assert count == [(len(ids_of(expected)),) * 2]
    second.close()
    lake.close()
