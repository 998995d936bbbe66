"""MinIO's own files: what lies on its disk, whatever its interface lists.

An object is a folder with `xl.meta` (small ones' bytes are in there) and, for larger ones,
`<uuid>/part.N`. Bytes come in blocks of up to 1 MiB, each behind a 32-byte hash against bit rot.
What is deleted is first renamed into a trash, where it lies until the next clean-up; a broken
upload lies in `multipart` until it is stale; neither is in any listing. (Found by looking at
what this project's MinIO writes, on one drive; with several drives each holds pieces only.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from alpr.errors import ConfigurationError, Corrupt

SYSTEM: Final = ".minio.sys"
META: Final = "xl.meta"
META_MAGIC: Final = b"XL2 "

_HASH, _BLOCK = 32, 2**20
_BIN_WIDTH: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}  # MessagePack: bytes with such a length before
_FOLDER_MARK: Final = "__XLDIR__"
_PROBE: Final = bytes(2048) + b"*"


@dataclass(frozen=True)
class DiskObject:
    """An object as it lies on the disk.

    `versions` counts those kept, delete markers too; 0: its `xl.meta` cannot be read.
    """

    bucket: str
    key: str
    folder: Path
    versions: int


@dataclass(frozen=True)
class Leftover:
    """A file that no listing shows. `area`: trash, multipart or tmp."""

    area: str
    path: Path
    size: int


@dataclass(frozen=True)
class XlMeta:
    """What `xl.meta` says: how many versions, and the bytes of those that lie in it."""

    versions: int
    inline: dict[str, bytes]


def check_folder(root: Path) -> None:
    """Raise ConfigurationError unless this is a folder that a MinIO server keeps objects in."""
    if not (root / SYSTEM / "format.json").is_file():
        raise ConfigurationError(
            f"the folder in which MinIO keeps its objects was required, {root} has no "
            f"{SYSTEM}/format.json: give the folder that `minio server` was started with"
        )


def objects(root: Path, bucket: str, prefix: str = "") -> Iterator[DiskObject]:
    """Every object of a bucket whose key begins with the folder `prefix`, by looking at the disk.

    One that is deleted meanwhile is left out.
    """
    base = root / bucket
    for folder, _, names in os.walk(base / prefix if prefix else base):
        if META not in names:
            continue
        path = Path(folder)
        try:
            data = (path / META).read_bytes()
        except FileNotFoundError:
            continue
        key = path.relative_to(base).as_posix()
        if key.endswith(_FOLDER_MARK):
            key = key.removesuffix(_FOLDER_MARK) + "/"
        try:
            versions = parse_meta(data, str(path / META)).versions
        except Corrupt:
            versions = 0
        yield DiskObject(bucket, key, path, versions)


def leftovers(root: Path) -> Iterator[Leftover]:
    """Every file in MinIO's trash, its broken uploads and its half-written objects.

    But for what it writes every few seconds to see whether the drive can be written.
    """
    system = root / SYSTEM
    for folder, _, names in os.walk(system):
        inside = Path(folder).relative_to(system).parts
        if inside[:2] == ("tmp", ".trash"):
            area = "trash"
        elif inside[:1] in (("tmp",), ("multipart",)):
            area = inside[0]
        else:
            continue
        for name in names:
            path = Path(folder, name)
            try:
                size = path.stat().st_size
                if inside == ("tmp",) and size == len(_PROBE) and path.read_bytes() == _PROBE:
                    continue
            except FileNotFoundError:
                continue  # cleaned up since
            yield Leftover(area, path, size)


def parse_meta(data: bytes, origin: str) -> XlMeta:
    """The contents of an `xl.meta`. Raises Corrupt, naming `origin`, if it is none."""
    try:
        if data[:4] != META_MAGIC:
            raise ValueError("wrong magic")
        width = _BIN_WIDTH[data[8]]
        start = 9 + width
        end = start + int.from_bytes(data[9:start], "big")
        body = data[start:end]
        # The header's and the body's version, then the number of versions; the CRC comes after.
        versions = _first_int(body[2:])
        inline: dict[str, bytes] = {}
        rest = data[end + 5 :]
        if rest:
            inline = msgspec.msgpack.decode(rest[1:], type=dict[str, bytes])
    except (ValueError, KeyError, IndexError, msgspec.MsgspecError) as error:
        raise Corrupt(f"{origin} is no xl.meta that is known here: {error}") from error
    return XlMeta(versions, {name: without_hashes(value) for name, value in inline.items()})


def without_hashes(data: bytes) -> bytes:
    """The bytes of a part: each block of up to 1 MiB has a 32-byte hash before it."""
    step = _HASH + _BLOCK
    return b"".join(data[start + _HASH : start + step] for start in range(0, len(data), step))


def parts(folder: Path) -> list[Path]:
    """The part files right under a folder, in the order of their numbers."""
    found = [
        (int(number), entry)
        for entry in folder.iterdir()
        if entry.name.startswith("part.") and (number := entry.name[5:]).isdecimal()
    ]
    return [entry for _, entry in sorted(found)]


def content(item: DiskObject) -> list[bytes]:
    """The bytes of every version of an object on the disk (of one drive), in no order.

    Raises Corrupt if they cannot be taken apart.
    """
    meta = parse_meta((item.folder / META).read_bytes(), str(item.folder / META))
    found = list(meta.inline.values())
    folders = sorted(each for each in item.folder.iterdir() if each.is_dir())
    found += [
        b"".join(without_hashes(part.read_bytes()) for part in numbered)
        for numbered in map(parts, folders)
        if numbered
    ]
    return found


def _first_int(data: bytes) -> int:
    first = data[0]
    if first < 0x80:
        return first
    width = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}[first]
    return int.from_bytes(data[1 : 1 + width], "big")
