"""Records to the lake, each exactly once: staged in parallel, committed by one committer a table.

Both steps may repeat their work after a crash; the lake does not. A commit
moves the table's offsets on together with its data, drops what the table
already has by offset or by id, and only the newest committer of a table may
commit (see `catalog.commit`). What lies in this job's state is never the only
copy: Kafka still has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import apache_beam as beam
import msgspec
import numpy as np
from apache_beam.coders import BytesCoder, FloatCoder, VarIntCoder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from alpr.errors import Corrupt
from beam_jobs.decode import Records
from beam_jobs.metrics import job_metrics
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.offsets import Source, contiguous, gap_before
from catalog.rows import Origin
from catalog.schemas import HITS, READS
from catalog.staging import OffsetRange, StagedGroup, stage_hits, stage_reads

JOB: Final = "land"
_STAGE: Final[Mapping[str, Callable[..., StagedGroup]]] = {
    READS.name: stage_reads,
    HITS.name: stage_hits,
}

_encode_group = msgspec.msgpack.Encoder().encode
_decode_group = msgspec.msgpack.Decoder(StagedGroup).decode


class StageRecords(beam.DoFn):
    """Records in; (table, StagedGroup as bytes) out, one a bundle, its rows stored by then."""

    def __init__(
        self,
        lake_config: str,
        table: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._lake_config = lake_config
        self._table = table
        self._now = now
        self._lake: Lake | None = None
        self._batches: list[Records[Any]] = []

    def setup(self) -> None:
        """Open the lake, once per worker."""
        self._lake = Lake(LakeConfig.load(Path(self._lake_config)))

    def start_bundle(self) -> None:
        """Nothing outlives a bundle."""
        self._batches = []

    def process(self, element: Records[Any]) -> None:
        """Gather."""
        self._batches.append(element)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Store what was gathered. Raises Unavailable, and so fails the bundle, if that fails."""
        batches, self._batches = self._batches, []
        if not batches or self._lake is None:
            return
        records = [record for batch in batches for record in batch.records]
        origin = Origin(
            batches[0].topic,
            np.repeat([b.partition for b in batches], [len(b.records) for b in batches]),
            np.concatenate([np.asarray(b.offsets, np.int64) for b in batches]),
        )
        started = time.monotonic()
        group = _STAGE[self._table](self._lake, records, origin, _covered(batches), self._now())
        job_metrics(JOB).observe(
            "stage_latency_seconds", time.monotonic() - started, stage=f"stage_{self._table}"
        )
        value = (self._table, _encode_group(group))
        yield WindowedValue(value, Timestamp.now(), [GlobalWindow()])

    def teardown(self) -> None:
        """Close the lake."""
        if self._lake is not None:
            self._lake.close()


def _covered(batches: Sequence[Records[Any]]) -> list[OffsetRange]:
    """One range a partition: a bundle's batches of a partition follow each other without gaps."""
    ranges: dict[int, OffsetRange] = {}
    for batch in batches:
        before = ranges.get(batch.partition)
        first = batch.first if before is None else before.first
        ranges[batch.partition] = OffsetRange(batch.topic, batch.partition, first, batch.next)
    return list(ranges.values())


class CommitGroups(beam.DoFn):
    """(table, StagedGroup) in, rows committed out; keyed by table, so one committer for each.

    Commits `commit_s` after the first group that waits, or at once with
    `commit_rows` rows. A group before which offsets are missing waits for them;
    raises Corrupt when they have not come for `gap_s`.
    """

    WAITING = BagStateSpec("waiting", BytesCoder())
    ROWS = ReadModifyWriteStateSpec("rows", VarIntCoder())
    SINCE = ReadModifyWriteStateSpec("since", FloatCoder())
    DUE = TimerSpec("due", TimeDomain.REAL_TIME)

    def __init__(
        self,
        lake_config: str,
        starts: Mapping[str, Mapping[Source, int]],
        commit_s: float,
        commit_rows: int,
        gap_s: float = 120.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lake_config = lake_config
        self._starts = dict(starts)
        self._commit_s = commit_s
        self._commit_rows = commit_rows
        self._gap_s = gap_s
        self._clock = clock
        self._lake: Lake | None = None
        self._committers: dict[str, Committer] = {}

    def process(
        self,
        element: tuple[str, bytes],
        waiting: Any = beam.DoFn.StateParam(WAITING),
        rows: Any = beam.DoFn.StateParam(ROWS),
        since: Any = beam.DoFn.StateParam(SINCE),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[int]:
        """Keep the group until its commit is due."""
        table, data = element
        waiting.add(data)
        total = (rows.read() or 0) + _rows(_decode_group(data))
        rows.write(total)
        if since.read() is None:
            since.write(self._clock())
            due.set(Timestamp(self._clock() + self._commit_s))
        if total >= self._commit_rows:
            yield from self._commit(table, waiting, rows, since, due)

    @on_timer(DUE)
    def due(
        self,
        key: str = beam.DoFn.KeyParam,
        waiting: Any = beam.DoFn.StateParam(WAITING),
        rows: Any = beam.DoFn.StateParam(ROWS),
        since: Any = beam.DoFn.StateParam(SINCE),
        due: Any = beam.DoFn.TimerParam(DUE),
    ) -> Iterator[int]:
        """Commit what waits."""
        yield from self._commit(key, waiting, rows, since, due)

    def _commit(self, table: str, waiting: Any, rows: Any, since: Any, due: Any) -> Iterator[int]:
        groups = [_decode_group(data) for data in waiting.read()]
        if not groups:
            return
        committer = self._committer(table)
        ready, late = contiguous(groups, committer.offsets)
        if ready:
            result = committer.commit(ready)
            metrics = job_metrics(JOB)
            metrics.count("commits", table=table)
            metrics.count("commit_conflicts", result.attempts - 1, table=table)
            metrics.count("rows_replayed", result.replayed, table=table)
            metrics.count("rows_expired", result.expired, table=table)
            metrics.count("rows_duplicate", result.duplicates, table=table)
            metrics.observe("commit_seconds", result.seconds, table=table)
            landed = result.rows - result.replayed - result.expired - result.duplicates
            metrics.count("records_out", landed)
            yield landed
        waiting.clear()
        for group in late:
            waiting.add(_encode_group(group))
        rows.write(sum(_rows(group) for group in late))
        if not late:
            since.clear()
            return
        missing = gap_before(late[0], committer.offsets)
        waited = self._clock() - (since.read() or self._clock())
        if not ready and waited > self._gap_s:
            raise Corrupt(f"{table}: {missing}, and nothing came in between for {waited:.0f} s")
        if ready:
            since.write(self._clock())
        due.set(Timestamp(self._clock() + self._commit_s))

    def _committer(self, table: str) -> Committer:
        # Made when first needed: making one takes the table over from whoever had it before.
        if table not in self._committers:
            if self._lake is None:
                self._lake = Lake(LakeConfig.load(Path(self._lake_config)))
            self._committers[table] = Committer(self._lake, table, starts=self._starts[table])
        return self._committers[table]

    def teardown(self) -> None:
        """Close the lake."""
        if self._lake is not None:
            self._lake.close()


def _rows(group: StagedGroup) -> int:
    return sum(file.file.rows for file in group.files)
