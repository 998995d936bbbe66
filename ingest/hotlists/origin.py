"""Where a list's bytes come from: a file, a folder, an archive; and what a file may not do to us.

An archive says nothing true about itself: what comes out of it is counted as it comes, against
a size and against a multiple of what went in.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from alpr.errors import BadInput, ConfigurationError, Unavailable
from ingest.hotlists.lines import Stream

Progress = Callable[[int, int], None]
"""Called with bytes of the files read so far, and their total."""

_CHUNK: Final = 4 << 20
_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Limits:
    """How much one load may take."""

    total_bytes: int = 8 << 30
    """Of text, unpacked; twelve million lines of NCIC are 0.8 GB."""
    ratio: int = 200
    """Unpacked bytes for each packed one, beyond the first 16 MiB; text packs to a tenth."""
    members: int = 1000


class _Budget:
    """What has come out of the files of one load."""

    free = 16 << 20

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._came = 0

    def spend(self, size: int, packed: int | None) -> None:
        self._came += size
        if self._came > self._limits.total_bytes:
            raise BadInput(
                "too-large",
                f"up to {self._limits.total_bytes >> 20} MiB of text were required, more came: "
                "nothing was loaded",
            )
        if packed is not None and self._came > self.free + self._limits.ratio * packed:
            raise BadInput(
                "archive-bomb",
                f"an archive unpacks to more than {self._limits.ratio} times its size: no list "
                "does that, nothing was loaded",
            )


def files_of(path: Path) -> list[Path]:
    """The file, or the files of a folder in the order of their names, hidden ones left out.

    Raises ConfigurationError if there is none.
    """
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    else:
        found = [path] if path.is_file() else []
    if not found:
        raise ConfigurationError(
            f"a file, or a folder with files, was required at {path}: there is none"
        )
    return found


def content_digest(files: Sequence[Path]) -> str:
    """SHA-256 over the files' bytes and sizes, in hexadecimal; names do not count."""
    digest = hashlib.sha256()
    for path in files:
        with _opened(path) as file:
            digest.update(path.stat().st_size.to_bytes(8, "big"))
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def open_parts(
    files: Sequence[Path], limits: Limits, progress: Progress | None = None
) -> Iterator[Stream]:
    """The texts of the files, unpacked, one after the other; each is read before the next.

    Raises BadInput (`too-large`, `archive-bomb`, `archive-damaged`, `archive-nested`), also while
    a text is read: then nothing of the load may be used.
    """
    budget, total, before = _Budget(limits), sum(path.stat().st_size for path in files), 0
    for path in files:
        with _opened(path) as raw:
            size = path.stat().st_size

            def tell(done: int, base: int = before) -> None:
                if progress is not None:
                    progress(base + done, total)

            head = raw.read(4)
            raw.seek(0)
            counted = _Counted(raw, tell)
            if head[:2] == _GZIP:
                with closing(gzip.GzipFile(fileobj=counted)) as packed:
                    yield _Text(packed, budget, raw.tell)
            elif head in _ZIP:
                yield from _members(counted, budget, limits, size)
            else:
                yield _Text(counted, budget, None)
            before += size


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise Unavailable(f"{path} cannot be read: {error.strerror}") from error


def _members(raw: _Counted, budget: _Budget, limits: Limits, size: int) -> Iterator[Stream]:
    try:
        archive = zipfile.ZipFile(raw)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged() from error
    with archive:
        infos = [
            info
            for info in archive.infolist()
            if not info.is_dir()
            and not info.filename.startswith("__MACOSX/")
            and not Path(info.filename).name.startswith(".")
        ]
        if len(infos) > limits.members:
            raise BadInput("too-large", f"an archive of up to {limits.members} files was required")
        for info in sorted(infos, key=lambda info: info.filename):
            try:
                member = archive.open(info)
            except (zipfile.BadZipFile, RuntimeError, NotImplementedError, ValueError) as error:
                raise _damaged() from error
            with member:
                yield _Text(member, budget, lambda: size, nested=True)


def _damaged() -> BadInput:
    return BadInput(
        "archive-damaged",
        "a whole archive without a password was required, this one is cut short, damaged or "
        "locked: fetch it again; nothing was loaded",
    )


class _Counted(io.RawIOBase):
    """A file that says how far it has been read."""

    def __init__(self, raw: IO[bytes], tell: Callable[[int], None]) -> None:
        self._raw = raw
        self._tell = tell

    def read(self, size: int = -1, /) -> bytes:
        data = self._raw.read(size)
        self._tell(self._raw.tell())
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()


class _Text:
    """The text of one file or member; every failure of unpacking is the one that it is."""

    def __init__(
        self,
        stream: IO[bytes] | _Counted | gzip.GzipFile,
        budget: _Budget,
        packed: Callable[[], int] | None,
        *,
        nested: bool = False,
    ) -> None:
        self._stream = stream
        self._budget = budget
        self._packed = packed
        self._check_nested = nested or packed is not None

    def read(self, size: int, /) -> bytes:
        try:
            data: bytes = self._stream.read(min(size, _CHUNK))
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise _damaged() from error
        except (OSError, ValueError, NotImplementedError) as error:
            raise _damaged() from error
        self._budget.spend(len(data), None if self._packed is None else self._packed())
        if self._check_nested and (data[:2] == _GZIP or data[:4] in _ZIP):
            raise BadInput(
                "archive-nested",
                "text was required in the archive, another archive came: unpack it first",
            )
        self._check_nested = False
        return data
