"""The look-ups themselves: a query and a view in, Arrow out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import reduce
from itertools import takewhile
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from alpr.lookalikes import Pattern, exact, is_pattern, pattern, variants
from catalog.lookup.index import BLOCK_DAYS, OpenBlock, matches
from catalog.lookup.query import Canvass, Common, Sighting, Together, Where
from catalog.lookup.scan import Keep, scan
from catalog.lookup.view import File, View
from catalog.parquet import Partition
from catalog.schemas import READS

EVERY: Final = tuple(READS.arrow.names)
"""All columns of table `reads`."""

Mask = npt.NDArray[np.bool_]


def find(view: View, query: Sighting, columns: Sequence[str] = EVERY) -> pa.Table:
    """Up to `limit` reads of a plate, the newest first. Raises BadInput, Corrupt or Unavailable."""
    needed = list(dict.fromkeys([*columns, "captured_at", "read_id"]))
    newest = _Newest(query.limit, needed)
    for part in stream(view, query, needed, newest.may_have_newer):
        newest.add(part)
    return newest.rows().select(list(columns))


def stream(
    view: View,
    query: Sighting,
    columns: Sequence[str] = EVERY,
    worth: Callable[[File], bool] = lambda _: True,
) -> Iterator[pa.Table]:
    """Every read of a plate, in parts, those of the newest files first, in an order that is always
    the same; the limit is the caller's. Raises as `find`.

    From the first file on that is not `worth` reading none is read.
    """
    wanted = _wanted(query)
    files = view.within(query.where.first, query.where.last, query.where.classes)
    known, bare = _known(view, wanted, files)
    bare_files = set(bare)
    searched = sorted(
        (file for file in files if file in bare_files or file.partition in known),
        key=lambda file: (-file.last, file.uri),
    )

    def plates(file: File) -> list[str] | None:
        if file in bare_files:
            return wanted if isinstance(wanted, list) else None
        return known[file.partition]

    yield from scan(
        view,
        takewhile(worth, searched),
        columns,
        _plate_and(query.where, wanted),
        filter_columns=_order("plate", *query.where.columns),
        plates=plates,
        # The index knows that the plate is there: nothing is gained by looking first.
        certain=lambda file: file not in bare_files,
    )


class _Newest:
    """The newest rows of all that are added, `limit` at most; memory for about twice as many."""

    _ORDER: Final = (("captured_at", "descending"), ("read_id", "ascending"))

    def __init__(self, limit: int, columns: Sequence[str]) -> None:
        self._limit = limit
        self._parts = [pa.schema([READS.arrow.field(name) for name in columns]).empty_table()]
        self._count = 0
        self._oldest: int | None = None

    def may_have_newer(self, file: File) -> bool:
        """Whether a row of the file could be among them."""
        return self._oldest is None or file.last >= self._oldest

    def add(self, part: pa.Table) -> None:
        """Take the rows of a part."""
        self._parts.append(part)
        self._count += part.num_rows
        if self._count >= (self._limit if self._oldest is None else 2 * self._limit):
            rows = self.rows()
            self._parts, self._count = [rows], rows.num_rows
            self._oldest = rows["captured_at"].cast(pa.int64())[-1].as_py()

    def rows(self) -> pa.Table:
        """Those found, the newest first."""
        every = pa.concat_tables(self._parts)
        return every.sort_by(list(self._ORDER)).slice(0, self._limit)


def canvass(view: View, query: Canvass, columns: Sequence[str] = EVERY) -> pa.Table:
    """Up to `limit` reads of a place and time, in their order. Raises as `find`."""
    where = query.where
    files = view.within(where.first, where.last, where.classes)
    needed = list(dict.fromkeys([*columns, "captured_at", "read_id"]))
    parts = scan(view, files, needed, _keep(where), filter_columns=_order(*where.columns))
    order = [("captured_at", "ascending"), ("read_id", "ascending")]
    return _joined(parts, needed).sort_by(order).slice(0, query.limit).select(list(columns))


def common(view: View, query: Common) -> pa.Table:
    """Plates seen at so many of the places: `plate`, `places` (how many), `reads` (there).

    Those at most places first. Raises as `find`.
    """
    found = _Counts(len(query.places))
    masks = [_keep(where) for where in query.places]
    columns = _order("plate", *(name for where in query.places for name in where.columns))
    files = {
        file.uri: file
        for where in query.places
        for file in view.within(where.first, where.last, where.classes)
    }

    def anywhere(rows: pa.Table) -> pa.Array:
        return reduce(pc.or_, (mask(rows) for mask in masks))

    # One pass for all places: most of the work is to fetch and decode.
    for part in scan(view, files.values(), columns, anywhere, filter_columns=columns):
        for number, mask in enumerate(masks):
            found.add(part["plate"].filter(mask(part)), number)
    rows = found.rows(query.at_least)
    order = [("places", "descending"), ("reads", "descending"), ("plate", "ascending")]
    return rows.sort_by(order).slice(0, query.limit)


class _Counts:
    """How often each plate was at each place. Plates become numbers, and numbers are counted: three
    times as fast as grouping texts. Memory is that of the plates, each once, and of `_MANY` more.
    """

    _MANY: Final = 4_000_000

    def __init__(self, places: int) -> None:
        self._places = places
        self._plates = pa.array([], pa.large_string())
        self._counts = np.zeros((0, places), np.int64)
        self._waiting: list[tuple[pa.ChunkedArray, int]] = []
        self._rows = 0

    def add(self, plates: pa.ChunkedArray, place: int) -> None:
        """One read of each of these plates, at a place."""
        self._waiting.append((plates.cast(pa.large_string()), place))
        self._rows += len(plates)
        if self._rows >= self._MANY:
            self._count()

    def rows(self, at_least: int) -> pa.Table:
        """The plates that were at so many places: at how many, and how often."""
        self._count()
        there = (self._counts > 0).sum(axis=1)
        enough = pa.array(there >= at_least)
        table = pa.table([self._plates, there, self._counts.sum(axis=1)], schema=_COMMON)
        return table.filter(enough)

    def _count(self) -> None:
        before = len(self._plates)
        chunks = [chunk for plates, _ in self._waiting for chunk in plates.chunks]
        every = pa.concat_arrays([self._plates, *chunks]).dictionary_encode()
        counts = np.zeros((len(every.dictionary), self._places), np.int64)
        # Those known before come first, so they keep their numbers.
        counts[:before] = self._counts
        codes = every.indices.to_numpy()
        begin = before
        for plates, place in self._waiting:
            own = codes[begin : begin + len(plates)]
            counts[:, place] += np.bincount(own, minlength=len(counts))
            begin += len(plates)
        self._plates, self._counts = every.dictionary, counts
        self._waiting, self._rows = [], 0


_COMMON: Final = pa.schema(
    [("plate", pa.large_string()), ("places", pa.int64()), ("reads", pa.int64())]
)
_TOGETHER: Final = pa.schema(
    [("plate", pa.large_string()), ("times", pa.int64()), ("cameras", pa.int64())]
)


def together(view: View, query: Together) -> pa.Table:
    """Plates seen at the same camera close to this one's sightings: `plate`, `times`, `cameras`.

    A read of another plate counts for the nearest sighting only: a vehicle that was read twice in
    one pass was not followed twice. Those most often beside it first. Raises as `find`.
    """
    own_query = Sighting(query.text, query.where, limit=1_000_000)
    own = find(view, own_query, ["agency", "camera", "captured_at"])
    if not own.num_rows:
        return _TOGETHER.empty_table()
    keys = _cameras(own)
    names = sorted(set(keys))
    at = own["captured_at"].cast(pa.int64()).to_numpy()
    order = np.lexsort((at, np.searchsorted(names, keys)))
    camera, at = np.searchsorted(names, keys)[order], at[order]
    span = query.within // timedelta(microseconds=1)
    plate = exact(query.text)

    def near(rows: pa.Table) -> pa.Array:
        mask, _ = _beside(rows, names, camera, at, span)
        return pc.and_(pa.array(mask), pc.not_equal(rows["plate"], plate).combine_chunks())

    low, high = int(at.min()) - span, int(at.max()) + span
    days = {int(moment // 86_400_000_000) for moment in (*(at - span), *(at + span))}
    files = [
        file
        for file in view.within(classes=query.where.classes)
        if file.last >= low
        and file.first <= high
        and any(
            file.first <= (d + 1) * 86_400_000_000 and file.last >= d * 86_400_000_000 for d in days
        )
    ]
    columns = ["plate", "agency", "camera", "captured_at"]
    rows = _joined(scan(view, files, columns, near, filter_columns=columns), columns)
    if not rows.num_rows:
        return _TOGETHER.empty_table()
    _, which = _beside(rows, names, camera, at, span)
    pairs = pa.table({"plate": rows["plate"], "sighting": which, "camera": camera[which]}).group_by(
        "plate"
    )
    counted = pairs.aggregate([("sighting", "count_distinct"), ("camera", "count_distinct")])
    result = pa.table(
        [
            counted["plate"].cast(pa.large_string()),
            counted["sighting_count_distinct"],
            counted["camera_count_distinct"],
        ],
        schema=_TOGETHER,
    )
    result = result.filter(pc.greater_equal(result["times"], query.at_least))
    by = [("times", "descending"), ("cameras", "descending"), ("plate", "ascending")]
    return result.sort_by(by).slice(0, query.limit)


def _beside(
    rows: pa.Table,
    names: list[str],
    camera: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    span: int,
) -> tuple[Mask, npt.NDArray[np.int64]]:
    """For each row whether a sighting is near, and the number of the nearest one."""
    keys = _cameras(rows)
    place = np.searchsorted(names, keys)
    place = np.minimum(place, len(names) - 1)
    known = np.asarray(names, object)[place] == keys
    moment = rows["captured_at"].cast(pa.int64()).to_numpy()
    # One number a (camera, moment): sightings are sorted by it, and a search finds the next.
    base = int(min(at.min(), moment.min() if len(moment) else at.min()))
    width = int(max(at.max(), moment.max() if len(moment) else at.max())) - base + 2 * span + 2
    line = camera * width + (at - base)
    mine = place * width + (moment - base)
    after = np.searchsorted(line, mine)
    best = np.zeros(len(mine), np.int64)
    gap = np.full(len(mine), np.iinfo(np.int64).max)
    for candidate in (after - 1, after):
        valid = (candidate >= 0) & (candidate < len(line))
        index = np.clip(candidate, 0, len(line) - 1)
        distance = np.where(
            valid & (camera[index] == place), np.abs(at[index] - moment), np.iinfo(np.int64).max
        )
        best = np.where(distance < gap, index, best)
        gap = np.minimum(gap, distance)
    return known & (gap <= span), best


def _cameras(rows: pa.Table) -> npt.NDArray[np.object_]:
    names = pc.binary_join_element_wise(
        rows["agency"].cast(pa.large_string()),
        rows["camera"].cast(pa.large_string()),
        pa.scalar("/", pa.large_string()),
    )
    return np.asarray(names.to_numpy(zero_copy_only=False), object)


Plates = list[str] | Pattern
"""Plates to look for, ascending; or what they must look like."""


def _wanted(query: Sighting) -> Plates:
    if is_pattern(query.text):
        return pattern(query.text)
    plate = exact(query.text)
    return sorted(variants(plate)) if query.lookalikes else [plate]


def _known(
    view: View, wanted: Plates, files: Sequence[File]
) -> tuple[dict[Partition, list[str]], list[File]]:
    """Per day the plates that the index has there, ascending; and the files it does not cover."""
    masks, bare = view.covered(files)

    def ask(block: OpenBlock) -> pa.Table:
        return (
            block.find(view.lake, wanted)
            if isinstance(wanted, list)
            else block.match(view.lake, wanted)
        )

    known: dict[Partition, list[str]] = {}
    for block, found in zip(masks, view.pool.map(ask, masks), strict=True):
        days = found["days"].to_numpy() & np.uint32(masks[block])
        for bit in range(BLOCK_DAYS):
            there = np.flatnonzero(days & np.uint32(1 << bit))
            if len(there):
                day = block.block.number * BLOCK_DAYS + bit
                own = found["plate"].take(pa.array(there)).to_pylist()
                known[Partition(day, block.block.retention_class)] = own
    return known, bare


def _plate_and(where: Where, plates: Plates) -> Keep:
    keep = _keep(where)

    def mask(rows: pa.Table) -> pa.Array:
        if isinstance(plates, list):
            own = pc.is_in(rows["plate"], pa.array(plates, rows["plate"].type))
        else:
            own = matches(rows["plate"], plates)
        return pc.and_(own, keep(rows)) if where.columns else own

    return mask


def _keep(where: Where) -> Keep:
    """The mask of a `Where` over a table that has its columns."""

    def mask(rows: pa.Table) -> pa.Array:
        parts: list[Callable[[], pa.Array]] = []
        result = pa.chunked_array([pa.array(np.ones(rows.num_rows, np.bool_))])
        captured = rows["captured_at"] if "captured_at" in rows.column_names else None
        if where.first is not None:
            parts.append(lambda: pc.greater_equal(captured, _instant(where.first)))
        if where.last is not None:
            parts.append(lambda: pc.less(captured, _instant(where.last)))
        if where.states:
            parts.append(
                lambda: pc.is_in(
                    pc.fill_null(rows["state"], ""),
                    pa.array(sorted(where.states), rows["state"].type),
                )
            )
        if where.agencies:
            parts.append(lambda: _one_of(rows["agency"], where.agencies))
        if where.cameras:
            parts.append(lambda: _camera_is(rows, where.cameras))
        if (area := where.area) is not None:
            parts.append(
                lambda: pa.chunked_array(
                    [
                        pa.array(
                            area.contains(rows["latitude"].to_numpy(), rows["longitude"].to_numpy())
                        )
                    ]
                )
            )
        for part in parts:
            result = pc.and_(result, part())
        return result

    return mask


def _camera_is(rows: pa.Table, cameras: frozenset[str]) -> pa.Array:
    """By camera name first: names of cameras are told apart by their agencies seldom."""
    pairs = [name.split("/") for name in sorted(cameras)]
    result = pa.chunked_array([pa.array(np.zeros(rows.num_rows, np.bool_))])
    by_agency: dict[str, set[str]] = {}
    for agency, camera in pairs:
        by_agency.setdefault(agency, set()).add(camera)
    for agency, own in by_agency.items():
        mine = pc.and_(_one_of(rows["agency"], {agency}), _one_of(rows["camera"], own))
        result = pc.or_(result, mine)
    return result


def _one_of(column: pa.ChunkedArray, values: frozenset[str] | set[str]) -> pa.Array:
    return pc.is_in(column, pa.array(sorted(values), column.type))


def _instant(moment: object) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("us", "UTC"))


def _order(*names: str) -> list[str]:
    return list(dict.fromkeys(names))


def _joined(parts: Iterator[pa.Table], columns: Sequence[str]) -> pa.Table:
    schema = pa.schema([READS.arrow.field(name) for name in columns])
    found = list(parts)
    return pa.concat_tables(found) if found else schema.empty_table()
