"""Image packs: many small JPEGs in few objects, one set of packs per retention class and day.

One object per crop is tens of times slower to write and to delete. The class and the day are
in the pack's key, so that a day expires by deleting its packs, and evidence of another class
outlives it.

A pack is an 8-byte magic, then per image an 8-byte header (length and CRC-32, little endian)
and the bytes as they came. A reference points at the bytes themselves, so that any tool can
fetch an image by a plain range request; `read_image` takes the header before them along and
checks it. A pack can also be walked without its table (`walk`).
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from alpr.errors import BadInput, Corrupt
from catalog.store import Store

MAGIC = b"ALPRPK1\n"
PACK_BYTES = 16_000_000
"""A pack is sent off when it has grown to this size."""

_HEADER = struct.Struct("<II")


class ImageRef(NamedTuple):
    """Where an image lies: pack (address below the warehouse), first byte, number of bytes."""

    pack: str
    offset: int
    length: int


@dataclass
class _Pack:
    key: str
    parts: list[bytes] = field(default_factory=lambda: [MAGIC])
    size: int = len(MAGIC)


def image_folder(retention_class: str, day: date) -> str:
    """Where the packs of a class and local day lie, below the warehouse."""
    return f"images/class={retention_class}/day={day.isoformat()}"


class PackWriter:
    """Collects the images of one batch; references hold only after `flush`.

    Rows that hold a reference must be staged after `flush` returned, never before: a
    row in the lake then always finds its image. `folder`: where the packs of a class and
    day go, below the warehouse.
    """

    def __init__(
        self,
        store: Store,
        warehouse: str,
        *,
        pack_bytes: int = PACK_BYTES,
        new_name: Callable[[], str] = lambda: str(uuid.uuid4()),
        folder: Callable[[str, date], str] = image_folder,
    ) -> None:
        self._folder = folder
        self._store = store
        self._warehouse = warehouse
        self._pack_bytes = pack_bytes
        self._new_name = new_name
        self._open: dict[tuple[str, date], _Pack] = {}

    def add(self, image: bytes, retention_class: str, day: date) -> ImageRef:
        """Put one image into the pack of its class and local day of capture.

        Raises BadInput for an empty image, Unavailable if a full pack cannot be written.
        """
        if not image:
            raise BadInput("empty-image", "an image must have at least one byte")
        pack = self._open.get((retention_class, day))
        if pack is None:
            key = f"{self._folder(retention_class, day)}/{self._new_name()}.pack"
            pack = self._open[retention_class, day] = _Pack(key)
        ref = ImageRef(pack.key, pack.size + _HEADER.size, len(image))
        pack.parts += (_HEADER.pack(len(image), zlib.crc32(image)), image)
        pack.size += _HEADER.size + len(image)
        if pack.size >= self._pack_bytes:
            self._send(pack)
            del self._open[retention_class, day]
        return ref

    def flush(self) -> None:
        """Write what is not yet in the store; Unavailable if that fails (call it again)."""
        for key, pack in list(self._open.items()):
            self._send(pack)
            del self._open[key]

    def _send(self, pack: _Pack) -> None:
        self._store.write(f"{self._warehouse}/{pack.key}", b"".join(pack.parts))


def read_image(store: Store, warehouse: str, ref: ImageRef) -> bytes:
    """The bytes of one image.

    Raises Corrupt if the pack is missing or cut short, or if length or checksum differ.
    """
    start = ref.offset - _HEADER.size
    if start < len(MAGIC):
        raise Corrupt(f"image reference {ref} points into the head of its pack")
    data = store.read(f"{warehouse}/{ref.pack}", start, _HEADER.size + ref.length)
    length, checksum = _HEADER.unpack_from(data)
    image = data[_HEADER.size :]
    if length != ref.length or zlib.crc32(image) != checksum:
        raise Corrupt(f"image {ref} fails its checksum")
    return image


def walk(pack: bytes) -> Iterator[tuple[int, bytes]]:
    """Every (offset, image) of a whole pack, checked; Corrupt at the first damage."""
    if not pack.startswith(MAGIC):
        raise Corrupt("not an image pack: wrong magic")
    position = len(MAGIC)
    while position < len(pack):
        if position + _HEADER.size > len(pack):
            raise Corrupt(f"image pack is cut short at byte {position}")
        length, checksum = _HEADER.unpack_from(pack, position)
        position += _HEADER.size
        image = pack[position : position + length]
        if len(image) != length or zlib.crc32(image) != checksum:
            raise Corrupt(f"image at byte {position} of the pack is damaged")
        yield position, image
        position += length
