"""What a file, folder or archive may hold, and what becomes of one that means us harm."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from alpr.errors import BadInput, ConfigurationError
from ingest.hotlists.origin import Limits, content_digest, files_of, open_parts


def texts(path: Path, limits: Limits | None = None) -> list[bytes]:
    read = []
    for stream in open_parts(files_of(path), limits or Limits()):
        parts = []
        while data := stream.read(1000):
            parts.append(data)
        read.append(b"".join(parts))
    return read


def stored(folder: Path, data: bytes) -> Path:
    path = folder / "list"
    path.write_bytes(data)
    return path


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_plain_gzip_and_zip_are_told_by_their_bytes(tmp_path: Path) -> None:
    text = b"ABC123\n" * 5000
    assert texts(stored(tmp_path, text)) == [text]
    assert texts(stored(tmp_path, gzip.compress(text))) == [text]
    assert texts(stored(tmp_path, gzip.compress(text) + gzip.compress(b"Z"))) == [text + b"Z"]
    packed = zipped({"b.txt": b"B", "a.txt": text, "__MACOSX/a": b"no", "d/.hidden": b"no"})
    assert texts(stored(tmp_path, packed)) == [text, b"B"]
    assert texts(stored(tmp_path, b"")) == [b""]


def test_a_folder_is_its_files_by_name_without_the_hidden(tmp_path: Path) -> None:
    for name in ("b", "a", ".c"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "folder").mkdir()
    assert texts(tmp_path) == [b"a", b"b"]
    with pytest.raises(ConfigurationError, match="was required"):
        files_of(tmp_path / "folder")
    with pytest.raises(ConfigurationError):
        files_of(tmp_path / "nothing")


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"a": data})])
@pytest.mark.parametrize("keep", [0.3, 0.9, -1])
def test_an_archive_cut_short_is_never_taken_for_whole(
    tmp_path: Path, pack: object, keep: float
) -> None:
    import os

    assert callable(pack)
    data = pack(os.urandom(20_000).hex().encode())
    cut = data[:-1] if keep == -1 else data[: int(len(data) * keep)]
    with pytest.raises(BadInput, match="archive-damaged"):
        texts(stored(tmp_path, cut))


def test_a_damaged_member_is_found(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"ABC123\n" * 1000}, zipfile.ZIP_STORED))
    data[200] ^= 1
    with pytest.raises(BadInput, match="archive-damaged"):
        texts(stored(tmp_path, bytes(data)))


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped({"a": data})])
def test_a_bomb_is_stopped_while_it_goes_off(tmp_path: Path, pack: object) -> None:
    assert callable(pack)
    bomb = stored(tmp_path, pack(bytes(60 << 20)))
    assert bomb.stat().st_size < 100_000
    with pytest.raises(BadInput, match="archive-bomb"):
        texts(bomb)


def test_a_bomb_of_many_members_is_one_bomb(tmp_path: Path) -> None:
    bomb = stored(tmp_path, zipped({f"{i}": bytes(4 << 20) for i in range(20)}))
    with pytest.raises(BadInput, match="archive-bomb"):
        texts(bomb)


def test_too_much_text_and_too_many_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="too-large"):
        texts(stored(tmp_path, b"x" * 3000), Limits(total_bytes=2000))
    many = zipped({f"{i}": b"x" for i in range(5)})
    with pytest.raises(BadInput, match="too-large"):
        texts(stored(tmp_path, many), Limits(members=4))


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    for inner in (gzip.compress(b"x"), zipped({"a": b"x"})):
        for data in (gzip.compress(inner), zipped({"a": inner})):
            with pytest.raises(BadInput, match="archive-nested"):
                texts(stored(tmp_path, data))


def test_a_locked_member_is_refused(tmp_path: Path) -> None:
    data = bytearray(zipped({"a": b"ABC123"}, zipfile.ZIP_STORED))
    data[6] |= 1  # the flag for encryption, in the member's head and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(BadInput, match="locked"):
        texts(stored(tmp_path, bytes(data)))


def test_the_digest_is_of_the_bytes_and_not_of_the_names(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"12")
    b.write_bytes(b"3")
    before = content_digest([a, b])
    assert content_digest([a]) != before
    a.write_bytes(b"1")
    b.write_bytes(b"23")
    assert content_digest([a, b]) != before, "where one file ends and the next begins counts"
    a.rename(tmp_path / "c")
    assert content_digest([tmp_path / "c"]) == content_digest([stored(tmp_path, b"1")])


def test_progress_goes_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = stored(tmp_path, gzip.compress(b"ABC123\n" * 100_000))
    for stream in open_parts([path], Limits(), lambda done, total: told.append((done, total))):
        while stream.read(1 << 16):
            pass
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
