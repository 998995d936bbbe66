"""Which ids a table already holds: exact, in memory, a capture day at a time.

An id is 128 bits of a hash. Per day the ids are kept in a few sorted runs whose sizes
grow geometrically (as in a log-structured merge tree): adding a batch costs little, and a
look-up is one binary search a run. A run is two columns, high and low 64 bits, sorted by
the high half; the low half settles what the high half leaves open.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alpr.errors import Corrupt

Halves = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

ID_BYTES = 16


def id_bytes(column: pa.ChunkedArray) -> bytes:
    """The 16 bytes of each id of a column of 32-digit hexadecimal text, in row order.

    Raises Corrupt if one is not such a text.
    """
    parts: list[bytes] = []
    for chunk in column.chunks:
        texts = chunk.cast(pa.large_string())
        offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset :][: len(texts) + 1]
        if len(texts) and not (np.diff(offsets) == 2 * ID_BYTES).all():
            raise Corrupt("an id is not 32 hexadecimal digits")
        data = texts.buffers()[2].slice(offsets[0], offsets[-1] - offsets[0]) if len(texts) else b""
        try:
            part = bytes.fromhex(str(data, "ascii"))
        except ValueError as error:
            raise Corrupt("an id is not 32 hexadecimal digits") from error
        if len(part) != ID_BYTES * len(texts):  # fromhex() skips blanks
            raise Corrupt("an id is not 32 hexadecimal digits")
        parts.append(part)
    return b"".join(parts)


@dataclass(frozen=True)
class Ids:
    """A batch of ids as two columns of the same length: high and low 64 bits."""

    high: Halves
    low: Halves

    @staticmethod
    def of(data: bytes) -> Ids:
        """From 16 bytes an id."""
        halves = np.frombuffer(data, np.dtype(">u8")).reshape(-1, 2).astype(np.uint64)
        return Ids(np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1]))

    @staticmethod
    def join(batches: Iterable[Ids]) -> Ids:
        """One batch after the other."""
        listed = list(batches)
        empty = np.zeros(0, np.uint64)
        return Ids(
            np.concatenate([batch.high for batch in listed] or [empty]),
            np.concatenate([batch.low for batch in listed] or [empty]),
        )

    def __len__(self) -> int:
        return len(self.high)

    def where(self, mask: Mask) -> Ids:
        """Those that `mask` marks."""
        return Ids(self.high[mask], self.low[mask])

    def sorted(self) -> Ids:
        """In ascending order of the high half."""
        order = np.argsort(self.high)
        return Ids(self.high[order], self.low[order])

    def repeated(self) -> Mask:
        """True for each id that occurs earlier in the batch."""
        order = np.argsort(self.high, kind="stable")
        high = self.high[order]
        mask = np.zeros(len(self), np.bool_)
        if not (high[1:] == high[:-1]).any():
            return mask  # the usual case: all distinct by the high half alone
        order = np.lexsort((self.low, self.high))  # stable: equal ids stay in batch order
        same = (np.diff(self.high[order]) == 0) & (np.diff(self.low[order]) == 0)
        mask[order[1:][same]] = True
        return mask

    @property
    def nbytes(self) -> int:
        """Memory taken, in bytes."""
        return self.high.nbytes + self.low.nbytes


class DayIds:
    """The ids of one day."""

    def __init__(self) -> None:
        self._runs: list[Ids] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    @property
    def nbytes(self) -> int:
        """Memory taken, in bytes."""
        return sum(run.nbytes for run in self._runs)

    def add(self, ids: Ids) -> None:
        """Add ids, none of which is in here."""
        run = ids.sorted()
        # Merge while the run before is less than twice as large: sizes stay geometric,
        # so an id is copied only about log2(all / batch) times.
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = _merge(self._runs.pop(), run)
        if len(run):
            self._runs.append(run)

    def contains(self, ids: Ids) -> Mask:
        """True for each id that is in here."""
        found = np.zeros(len(ids), np.bool_)
        order = np.argsort(ids.high)  # in order, searches next to each other share cache lines
        high, low = ids.high[order], ids.low[order]
        for run in self._runs:
            found[order[_search(run, high, low)]] = True
        return found


class IdIndex:
    """The ids of the days lately written to, within `max_bytes` of memory.

    `load(day)` reads a day's ids from the table when they are first asked for. The least
    recently used days are forgotten when the bound is passed; the day in use always stays,
    so memory is at most `max_bytes` or one day, whichever is more.
    """

    def __init__(self, load: Callable[[int], Ids], max_bytes: int) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._days: OrderedDict[int, DayIds] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory taken, in bytes."""
        return sum(day.nbytes for day in self._days.values())

    def contains(self, day: int, ids: Ids) -> Mask:
        """True for each id that the table holds on that day."""
        known = self._days.get(day)
        if known is None:
            known = DayIds()
            known.add(self._load(day))
            self._days[day] = known
        self._days.move_to_end(day)
        mask = known.contains(ids)
        self._shrink()
        return mask

    def add(self, day: int, ids: Ids) -> None:
        """Note ids just committed; a day that is not in memory is left to `load`."""
        if day in self._days:
            self._days[day].add(ids)
            self._days.move_to_end(day)
            self._shrink()

    def forget(self) -> None:
        """Drop everything: somebody else changed the table's rows."""
        self._days.clear()

    def _shrink(self) -> None:
        while len(self._days) > 1 and self.nbytes > self._max_bytes:
            self._days.popitem(last=False)


def _merge(left: Ids, right: Ids) -> Ids:
    places = np.searchsorted(left.high, right.high)
    return Ids(np.insert(left.high, places, right.high), np.insert(left.low, places, right.low))


def _search(run: Ids, high: Halves, low: Halves) -> npt.NDArray[np.intp]:
    """Positions in the query of the ids that are in the run."""
    place = np.searchsorted(run.high, high)
    candidate = np.flatnonzero(place < len(run))
    candidate = candidate[run.high[place[candidate]] == high[candidate]]
    found: list[npt.NDArray[np.intp]] = []
    step = 0
    # Two ids with the same high half lie next to each other, in no order of the low half:
    # go on until the high half changes. One round nearly always does.
    while len(candidate):
        at = place[candidate] + step
        hit = run.low[at] == low[candidate]
        found.append(candidate[hit])
        candidate = candidate[~hit]
        step += 1
        at = place[candidate] + step
        candidate = candidate[at < len(run)]
        at = place[candidate] + step
        candidate = candidate[run.high[at] == high[candidate]]
    return np.concatenate(found) if found else np.zeros(0, np.intp)
