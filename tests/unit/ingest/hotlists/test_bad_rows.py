"""A hundred thousand bad rows over all layouts: none crashes, none leaks, each is counted."""

from __future__ import annotations

import gzip
import io
import random
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest

from alpr.errors import BadInput
from alpr.records import HotlistEntry
from ingest.hotlists.entries import Settings
from ingest.hotlists.layouts import Layout, builtin, layout_names
from ingest.hotlists.origin import Limits
from ingest.hotlists.reading import Reading, read_entries
from ingest.hotlists.table import SCHEMA, to_entry
from tests.support.hotlists import header_names, render_row
from tests.unit.ingest.hotlists.test_personal_data import AROUND, MARKS, fields

SEED, ROWS, LIMIT_S = 20260301, 100_000, 30.0
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EACH = -(-ROWS // len(layout_names()))

Mutation = Callable[[random.Random, bytes], bytes]


def _cut(rng: random.Random, row: bytes) -> bytes:
    return row[: rng.randrange(1, len(row))]


def _nul(rng: random.Random, row: bytes) -> bytes:
    place = rng.randrange(len(row))
    return row[:place] + b"\0" + row[place:]


def _other_encoding(rng: random.Random, row: bytes) -> bytes:
    place = rng.randrange(len(row))
    return row[:place] + bytes([rng.randrange(128, 256)]) + row[place + 1 :]


def _wide(_: random.Random, row: bytes) -> bytes:
    return row.decode("latin-1").encode("utf-16-le").replace(b"\n", b"")


def _no_delimiters(_: random.Random, row: bytes) -> bytes:
    return row.replace(b",", b"").replace(b";", b"").replace(b":", b"")


def _stray(rng: random.Random, row: bytes) -> bytes:
    place = rng.randrange(len(row))
    return row[:place] + rng.choice([b'"', b",", b";", b"\t", b"\x1b[31m", b"*"]) + row[place:]


def _noise(rng: random.Random, _: bytes) -> bytes:
    return rng.randbytes(rng.randrange(1, 90)).replace(b"\n", b"?")


def _lost(rng: random.Random, row: bytes) -> bytes:
    """Characters lost in the middle: everything behind them moves to the left."""
    place = rng.randrange(len(row))
    return row[:place] + row[place + rng.randrange(1, 12) :]


def _again(rng: random.Random, row: bytes) -> bytes:
    return row * rng.randrange(2, 40)


MUTATIONS: tuple[Mutation, ...] = (
    _cut, _nul, _other_encoding, _wide, _no_delimiters, _stray, _noise, _lost, _again,
)  # fmt: skip


def bad_rows(layout: Layout, rng: random.Random) -> list[bytes]:
    around = AROUND.replace(",", "")
    whole = [render_row(layout, fields(layout, n), around).encode() for n in range(20)]
    bare = [render_row(layout, fields(layout, n)).encode() for n in range(20)]
    rows = []
    for _ in range(EACH):
        change = rng.choice(MUTATIONS)
        # Where columns are counted, what follows the last one would move into it: a name there
        # cannot be told from a colour. Where persons' data is known to follow, it can.
        blind = change is _lost and layout.kind == "fixed" and not layout.patterns
        rows.append(change(rng, rng.choice(bare if blind else whole)))
    rows[EACH // 2] = b"A" * 10_000_000
    return rows


def framed(layout: Layout, rows: list[bytes]) -> bytes:
    there = sum(bool(row.strip(b" \t\r")) for row in rows)
    lines = list(rows)
    if layout.header == "names":
        lines.insert(0, ",".join([*header_names(layout), "owner_name"]).encode())
    if layout.header_pattern is not None:
        lines.insert(0, b"DATE07/02/2018 09:00")
    if layout.footer is not None:
        lines.append(f"TOTAL RECORD {there:07d}".encode())
    if layout.kind == "json":
        lines.insert(0, b'{"plate": 7}')  # a document of lines begins with an object
    return b"\n".join(lines) + b"\n"


def packed_as(kind: int, data: bytes) -> bytes:
    if kind == 1:
        return gzip.compress(data, 1)
    if kind == 2:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("list.txt", data)
        return out.getvalue()
    return data


def read(layout: Layout, data: bytes, folder: Path) -> Reading:
    path = folder / "list"
    path.write_bytes(data)
    return read_entries([path], layout, Settings(source="s"), NOW, Limits())


def text_of(reading: Reading, folder: Path) -> bytes:
    """Every byte that the load would keep or tell."""
    report = folder / "rejects.csv"
    reading.rejects.write(report)
    told = repr((reading.tally, reading.rejects.counts)).encode()
    columns = [reading.pile.column(name).combine_chunks() for name in SCHEMA.names]
    return report.read_bytes() + told + b"".join(str(c.to_pylist()).encode() for c in columns)


def test_a_hundred_thousand_bad_rows(tmp_path: Path) -> None:
    rng, began = random.Random(SEED), time.process_time()
    fed, reasons = 0, Counter[str]()
    for number, name in enumerate(layout_names()):
        layout = builtin(name)
        rows = bad_rows(layout, rng)
        reading = read(layout, packed_as(number % 3, framed(layout, rows)), tmp_path)
        fed += len(rows)
        reasons.update(reading.rejects.counts)
        assert reading.pile.rows + len(reading.rejects) == reading.rows, name
        if layout.header != "names" and layout.kind != "json":
            there = sum(bool(row.strip(b" \t\r")) for row in rows)
            empty = sum(not row.strip(b" \t\r" + layout.delimiter.encode()) for row in rows)
            assert there - empty - 1 <= reading.rows <= there, name
        kept = text_of(reading, tmp_path)
        assert [mark for mark in MARKS if mark.encode() in kept] == [], name
        batch = reading.pile.take(np.arange(reading.pile.rows))
        for row in range(0, batch.num_rows, 7):  # what was taken for an entry is one
            msgspec.convert(msgspec.to_builtins(to_entry(batch, row)), HotlistEntry)
    assert fed >= ROWS
    assert reasons["line-too-long"] >= len(layout_names())
    for reason in ("nul-byte", "not-utf-8", "not-json", "columns", "quotes", "too-short"):
        assert reasons[reason] > 50, reason
    assert time.process_time() - began < LIMIT_S


@cache
def _gzip_bomb() -> bytes:
    return gzip.compress(bytes(64 << 20), 9)


@cache
def _zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("list.txt", bytes(64 << 20))
    return out.getvalue()


@pytest.mark.parametrize("name", layout_names())
def test_archives_that_are_bad_as_a_whole_load_nothing(name: str, tmp_path: Path) -> None:
    layout = builtin(name)
    good = framed(layout, [render_row(layout, fields(layout, n)).encode() for n in range(50)])
    for data in (
        packed_as(1, good)[:-9],
        packed_as(2, good)[:-9],
        gzip.compress(good) + _gzip_bomb(),
        _zip_bomb(),
    ):
        with pytest.raises(BadInput) as refused:
            read(layout, data, tmp_path)
        assert refused.value.reason in {
            "archive-damaged",
            "archive-bomb",
            *(("header", "no-plate-column") if layout.header not in ("none", "optional") else ()),
        }
