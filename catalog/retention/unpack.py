"""Bytes inside bytes: whatever in a blob is compressed or wrapped, taken out.

Nothing is believed of names: frames of zstd, gzip, zlib and LZ4 are found by their magic
wherever they begin; Avro, Parquet, Kafka's batches, RocksDB's tables, Snappy's streams and
MinIO's blocks are recognised and taken apart. A frame that does not decompress is no frame.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from alpr.errors import Corrupt
from catalog.retention import disk

PIECE_BYTES: Final = 64 * 2**20
"""Of one frame so many decompressed bytes are given out; more is cut off, and said so."""

ZSTD, GZIP, LZ4 = b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\x04\x22\x4d\x18"
_ZLIB: Final = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_SNAPPY_STREAM, _SNAPPY_XERIAL = b"\xff\x06\x00\x00sNaPpY", b"\x82SNAPPY\x00"
_AVRO, _PARQUET = b"Obj\x01", b"PAR1"
_PG_PAGE: Final = 8192
_WAL_MAGIC: Final = range(0xD100, 0xD200)  # PostgreSQL's WAL pages, of all its versions since 14

Piece = tuple[str, bytes]
"""How it was wrapped, and what was inside."""


def unpack(data: bytes) -> Iterator[Piece]:
    """Everything that is directly inside; the caller unpacks the pieces further."""
    for found in (
        _zstd,
        _gzip,
        _zlib,
        _lz4,
        _snappy,
        _avro,
        _parquet,
        _kafka,
        _minio,
        _wal,
    ):
        yield from found(data)


def places(data: bytes, magic: bytes) -> Iterator[int]:
    """Every place at which these bytes begin."""
    at = data.find(magic)
    while at >= 0:
        yield at
        at = data.find(magic, at + 1)


def _zstd(data: bytes) -> Iterator[Piece]:
    for at in places(data, ZSTD):
        decompressor = zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
        if piece := _drain(lambda part, d=decompressor: d.decompress(part), data, at):  # type: ignore[misc]
            yield f"zstd@{at}", piece


def _gzip(data: bytes) -> Iterator[Piece]:
    for at in places(data, GZIP):
        if piece := _inflate(data, at, 31):
            yield f"gzip@{at}", piece


def _zlib(data: bytes) -> Iterator[Piece]:
    for match in _ZLIB.finditer(data):
        if piece := _inflate(data, match.start(), 15):
            yield f"zlib@{match.start()}", piece


def _inflate(data: bytes, at: int, window: int) -> bytes:
    inflater = zlib.decompressobj(window)
    return _drain(lambda part: inflater.decompress(part, PIECE_BYTES), data, at)


def _drain(decompress: Callable[[bytes], bytes], data: bytes, at: int) -> bytes:
    """What a decompressor makes of the bytes from a place on, as far as it gets."""
    pieces: list[bytes] = []
    size = 0
    step = 4096
    while at < len(data) and size < PIECE_BYTES:
        try:
            piece = decompress(data[at : at + step])
        except (zlib.error, zstandard.ZstdError):
            break
        except EOFError:
            break
        if pieces and not piece and step > 2**22:
            break
        pieces.append(piece)
        size += len(piece)
        at += step
        step = min(2 * step, 2**23)
    return b"".join(pieces)


def _lz4(data: bytes) -> Iterator[Piece]:
    for at in places(data, LZ4):
        if piece := _stream(data, at, "lz4"):
            yield f"lz4@{at}", piece


def _stream(data: bytes, at: int, codec: str) -> bytes:
    pieces: list[bytes] = []
    try:
        with pa.CompressedInputStream(pa.BufferReader(memoryview(data)[at:]), codec) as stream:
            while sum(map(len, pieces)) < PIECE_BYTES and (piece := stream.read(2**16)):
                pieces.append(piece)
    except (OSError, pa.ArrowException):
        pass  # the frame has ended and other bytes follow, or it was none
    return b"".join(pieces)


def _snappy(data: bytes) -> Iterator[Piece]:
    for at in places(data, _SNAPPY_XERIAL):  # as Java's client of Kafka writes it
        position, pieces = at + 16, []
        while position + 4 <= len(data):
            size = int.from_bytes(data[position : position + 4], "big")
            piece = raw_snappy(data[position + 4 : position + 4 + size])
            if not size or piece is None:
                break
            pieces.append(piece)
            position += 4 + size
        if pieces:
            yield f"snappy@{at}", b"".join(pieces)
    for at in places(data, _SNAPPY_STREAM):
        position, pieces = at + len(_SNAPPY_STREAM), []
        while position + 4 <= len(data):
            kind, size = data[position], int.from_bytes(data[position + 1 : position + 4], "little")
            body = data[position + 8 : position + 4 + size]  # behind a checksum
            piece = raw_snappy(body) if kind == 0 else body if kind == 1 else b""
            if kind not in (0, 1, 0xFE) or piece is None:
                break
            pieces.append(piece)
            position += 4 + size
        if pieces:
            yield f"snappy@{at}", b"".join(pieces)


def raw_snappy(data: bytes) -> bytes | None:
    """A Snappy block, which says its length first; None if it is none."""
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        return None
    if not 0 < size <= PIECE_BYTES:
        return None
    try:
        return pa.decompress(data, decompressed_size=size, codec="snappy", asbytes=True)  # type: ignore[no-any-return]
    except (OSError, pa.ArrowException):
        return None


def _avro(data: bytes) -> Iterator[Piece]:
    """The blocks of Avro container files (Iceberg's manifests are deflated without a magic)."""
    for at in places(data, _AVRO):
        try:
            codec, sync, position = _avro_head(data, at + len(_AVRO))
            pieces = []
            while position < len(data):
                _, position = _long(data, position)
                size, position = _long(data, position)
                if size < 0 or position + size > len(data):
                    break
                pieces.append(_avro_block(codec, data[position : position + size]))
                position += size + len(sync)
                if data[position - len(sync) : position] != sync:
                    break
        except (IndexError, ValueError, zlib.error):
            continue
        if pieces:
            yield f"avro {codec}@{at}", b"".join(pieces)


def _avro_head(data: bytes, position: int) -> tuple[str, bytes, int]:
    codec = "null"
    while True:
        count, position = _long(data, position)
        if count == 0:
            break
        if not 0 < count < 1000:
            raise ValueError("no header of an Avro file")
        for _ in range(count):
            key, position = _avro_bytes(data, position)
            value, position = _avro_bytes(data, position)
            if key == b"avro.codec":
                codec = value.decode("ascii")
    return codec, data[position : position + 16], position + 16


def _avro_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    size, position = _long(data, position)
    if not 0 <= size <= len(data) - position:
        raise ValueError("no bytes of an Avro file")
    return data[position : position + size], position + size


def _avro_block(codec: str, block: bytes) -> bytes:
    if codec == "deflate":
        return zlib.decompressobj(-15).decompress(block, PIECE_BYTES)
    if codec == "snappy":
        return raw_snappy(block[:-4]) or b""
    return block  # null; zstandard, which has a magic of its own


def _long(data: bytes, position: int) -> tuple[int, int]:
    """A zigzag varint, as Avro writes a long, and where the next byte is."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position
        shift += 7
        if shift > 63:
            raise ValueError("no varint")


def _parquet(data: bytes) -> Iterator[Piece]:
    """Every column's values, whatever the pages are compressed and encoded with."""
    if not (data.startswith(_PARQUET) and data.endswith(_PARQUET)) or len(data) < 12:
        return
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        for group in range(file.num_row_groups):
            for column in file.read_row_group(group).columns:
                for piece in _buffers(column):
                    yield f"parquet group {group}", piece
    except (OSError, ValueError, pa.ArrowException):
        return  # damaged, or none: a name that is no text is a ValueError


def _buffers(column: pa.ChunkedArray) -> Iterator[bytes]:
    for chunk in column.chunks:
        for buffer in chunk.buffers():
            if buffer is not None and buffer.size >= 8:
                yield buffer.to_pybytes()


def _kafka(data: bytes) -> Iterator[Piece]:
    """Snappy in a Kafka log segment has no magic where librdkafka wrote it: by its batches."""
    position = 0
    while position + 61 <= len(data):
        size = int.from_bytes(data[position + 8 : position + 12], "big")
        if data[position + 16] != 2 or not 49 <= size <= len(data) - position - 12:
            return
        codec = data[position + 22] & 7
        if codec == 2:
            body = data[position + 61 : position + 12 + size]
            if not body.startswith(_SNAPPY_XERIAL) and (piece := raw_snappy(body)):
                yield f"kafka snappy@{position}", piece
        position += 12 + size


def _minio(data: bytes) -> Iterator[Piece]:
    """What lies in an `xl.meta`, without the hash before it."""
    if data.startswith(disk.META_MAGIC):
        try:
            meta = disk.parse_meta(data, "")
        except Corrupt:
            return
        for value in meta.inline.values():
            yield "xl.meta", value


def _wal(data: bytes) -> Iterator[Piece]:
    """PostgreSQL's log without its page headers, at which a text may be cut in two."""
    if len(data) < 2 * _PG_PAGE or int.from_bytes(data[:2], "little") not in _WAL_MAGIC:
        return
    yield (
        "wal",
        b"".join(
            data[start + (40 if data[start + 2] & 2 else 24) : start + _PG_PAGE]
            for start in range(0, len(data), _PG_PAGE)
            if len(data) - start > 40
        ),
    )
