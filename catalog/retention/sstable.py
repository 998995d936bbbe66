"""RocksDB's table files, in which Flink keeps the jobs' state: blocks, mostly Snappy, no magic."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from catalog.retention.unpack import PIECE_BYTES, raw_snappy

_MAGIC: Final = 0x88E241B785F4CFF7.to_bytes(8, "little")
_FOOTER: Final = 53
_TRAILER: Final = 5  # one byte of compression type, four of checksum


def sst_blocks(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The data blocks of a block-based table (format versions 1 to 5), decompressed.

    Nothing for bytes that are none; a block that cannot be read is left out.
    """
    if len(data) < _FOOTER or not data.endswith(_MAGIC):
        return
    try:
        position = len(data) - _FOOTER + 1
        for _ in range(2):  # the meta index's handle, which is skipped
            _, position = _varint(data, position)
        offset, position = _varint(data, position)
        size, _ = _varint(data, position)
        index = _block(data, offset, size)
        version = int.from_bytes(data[-12:-8], "little")
        handles = list(_handles(index, version)) if index else []
    except (IndexError, ValueError):
        return
    for offset, size in handles:
        block = _block(data, offset, size)
        if block:
            yield f"rocksdb@{offset}", block
            yield f"rocksdb keys@{offset}", b"\0".join(_keys(block))


def _block(data: bytes, offset: int, size: int) -> bytes | None:
    body = data[offset : offset + size]
    if offset + size + _TRAILER > len(data):
        return None
    kind = data[offset + size]
    if kind == 0:
        return body
    if kind == 1:
        return raw_snappy(body)
    if kind == 2:  # deflate behind its length
        _, start = _varint(body, 0)
        try:
            return zlib.decompressobj(-14).decompress(body[start:], PIECE_BYTES)
        except zlib.error:
            return None
    return body  # LZ4 without a frame is not taken apart; zstd is found by its magic


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys (completed from the one before) and values of a block."""
    restarts = int.from_bytes(block[-4:], "little") & 0x7FFFFFFF
    end = len(block) - 4 - 4 * restarts
    position, key = 0, b""
    while 0 <= position < end:
        shared, position = _varint(block, position)
        fresh, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + fresh]
        position += fresh
        yield key, block[position : position + length]
        position += length


def _handles(index: bytes, version: int) -> Iterator[tuple[int, int]]:
    """Where the data blocks lie: offset and size of each.

    From format version 4 on an entry has no length of its value, and one that shares bytes with
    the key before it tells its block as the next one, by the difference in size.
    """
    restarts = int.from_bytes(index[-4:], "little") & 0x7FFFFFFF
    end = len(index) - 4 - 4 * restarts
    position = offset = size = 0
    while position < end:
        shared, position = _varint(index, position)
        fresh, position = _varint(index, position)
        if version < 4:
            _, position = _varint(index, position)
        position += fresh
        if version >= 4 and shared:
            delta, position = _varint(index, position)
            offset, size = offset + size + _TRAILER, size + ((delta >> 1) ^ -(delta & 1))
        else:
            offset, position = _varint(index, position)
            size, position = _varint(index, position)
        yield offset, size


def _keys(block: bytes) -> Iterator[bytes]:
    try:
        for key, _ in _entries(block):
            yield key
    except (IndexError, ValueError):
        return


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("no varint")
