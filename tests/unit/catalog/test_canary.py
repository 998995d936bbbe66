"""Canaries: every spelling and wrapping in which a plate may hide is seen through.

A search that finds nothing proves something only if it would have found it.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import os
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import fastavro
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from alpr.errors import BadInput, ConfigurationError
from alpr.plates import canonical, is_canonical
from catalog.check import check_table
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.images import ImageRef, read_image
from catalog.lake import Lake
from catalog.retention import search as searching
from catalog.retention.canary import Brood, Canary, make_canary, plant
from catalog.retention.disk import parse_meta, without_hashes
from catalog.retention.needles import Needles, spellings
from catalog.retention.purge import run_purge
from catalog.retention.search import Database, Folder, Objects, Search, search
from catalog.retention.unpack import unpack
from tests.contract.lake.samples import NOW, RETENTION, make_reads, no_sleep, stage

TOKEN = b"QXZ7KM4P"
NEEDLES = Needles([TOKEN])
SSTS = Path(__file__).parents[2] / "data" / "rocksdb"


@pytest.fixture
def lake(config: LakeConfig) -> Iterator[Lake]:
    lake = Lake(config)
    lake.init()
    lake.retention = RETENTION
    yield lake
    lake.close()


def haystack(size: int = 20_000) -> bytes:
    """Compressible text with the token in the middle, such that a compressor splits it."""
    source = random.Random(5)
    words = [TOKEN[:4], TOKEN[4:], b" ", b"plate", b"camera"]
    filler = b"".join(source.choices(words, k=size // 5)).replace(TOKEN, b"")
    return filler[: size // 2] + b" QXZ7 " + TOKEN + b" KM4P " + filler[size // 2 :]


def found(data: bytes, tmp_path: Path) -> Search:
    (tmp_path / "blob").write_bytes(data)
    return search(NEEDLES, [Folder("a place", tmp_path)])


def snappy(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="snappy", asbytes=True))


def lz4(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def xerial(data: bytes) -> bytes:
    head = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    blocks = [snappy(data[start : start + 8192]) for start in range(0, len(data), 8192)]
    return head + b"".join(struct.pack(">i", len(block)) + block for block in blocks)


def snappy_stream(data: bytes) -> bytes:
    block = b"\0\0\0\0" + snappy(data)
    return b"\xff\x06\x00\x00sNaPpY\x00" + len(block).to_bytes(3, "little") + block


def avro(codec: str) -> Callable[[bytes], bytes]:
    def wrap(data: bytes) -> bytes:
        sink = io.BytesIO()
        schema = {"type": "record", "name": "r", "fields": [{"name": "b", "type": "bytes"}]}
        fastavro.writer(
            sink, fastavro.parse_schema(schema), [{"b": data}], codec=codec, sync_marker=b"s" * 16
        )
        return sink.getvalue()

    return wrap


def parquet(codec: str, **how: object) -> Callable[[bytes], bytes]:
    def wrap(data: bytes) -> bytes:
        sink = io.BytesIO()
        rows = [data.decode()] + ["QXZ7KM4AAAAA"] * 10
        pq.write_table(pa.table({"plate": rows}), sink, compression=codec, **how)
        return sink.getvalue()

    return wrap


def kafka_snappy(data: bytes) -> bytes:
    """A record batch as librdkafka writes it: Snappy without a frame, after another batch."""
    body = snappy(data)
    head = struct.pack(">qiibIhiqqqhii", 0, 49 + len(body), 0, 2, 0, 2, 0, 0, 0, -1, -1, -1, 1)
    empty = struct.pack(">qiibIhiqqqhii", 0, 49, 0, 2, 0, 0, 0, 0, 0, -1, -1, -1, 0)
    assert len(head) == 61
    return empty + head + body


def xl_meta(data: bytes) -> bytes:
    """As MinIO writes a small object (see the test on a real one in tests/integration)."""
    body = b"\x03\x03\x01" + b"\xc4\x04head" + b"\xc4\x04meta"
    inline = b"\x01" + msgspec.msgpack.encode({"null": b"h" * 32 + data})
    return (
        b"XL2 \x01\x00\x03\x00"
        + b"\xc6" + len(body).to_bytes(4, "big") + body
        + b"\xce" + (0).to_bytes(4, "big") + inline
    )  # fmt: skip


def wal(data: bytes) -> bytes:
    """PostgreSQL's pages of 8 kB, with the token across the header of the second one."""
    first = b"\x10\xd1\x02\x00".ljust(40, b"\0")
    room = 8192 - len(first)
    body = b"." * (room - 4) + data
    second = b"\x10\xd1\x00\x00".ljust(24, b"\0")
    return (first + body[:room] + second + body[room:]).ljust(3 * 8192, b"\0")


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: zstandard.compress(data, 3),
    "zstd without a size": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(
        data
    ),
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib best": lambda data: zlib.compress(data, 9),
    "lz4": lz4,
    "snappy of Java": xerial,
    "snappy stream": snappy_stream,
    "snappy in Kafka": kafka_snappy,
    "avro deflate": avro("deflate"),
    "avro null": avro("null"),
    "parquet zstd": parquet("zstd"),
    "parquet snappy": parquet("snappy"),
    "parquet gzip": parquet("gzip"),
    "parquet lz4": parquet("lz4"),
    "parquet brotli": parquet("brotli"),
    "parquet none, delta": parquet(
        "none", use_dictionary=False, column_encoding={"plate": "DELTA_BYTE_ARRAY"}
    ),
    "xl.meta": xl_meta,
    "xl.meta of zstd": lambda data: xl_meta(zstandard.compress(data)),
    "gzip of avro of zstd": lambda data: gzip.compress(avro("deflate")(zstandard.compress(data))),
    "xl.meta of parquet": lambda data: xl_meta(parquet("snappy")(data)),
}


class TestSpellings:
    @given(
        before=st.binary(max_size=9), after=st.binary(max_size=9),
        needle=st.binary(min_size=8, max_size=20),
    )  # fmt: skip
    def test_base64_and_hex_are_found_whatever_stands_around(
        self, before: bytes, after: bytes, needle: bytes
    ) -> None:
        raw = before + needle + after
        needles = Needles([needle])
        for written in (
            base64.b64encode(raw),
            base64.urlsafe_b64encode(raw),
            raw.hex().encode(),
            raw.hex().upper().encode(),
            raw,
        ):
            assert list(needles.search(b"x" + written + b"y")), written

    @pytest.mark.parametrize(
        "written",
        [
            b'{"plate":"QXZ7KM4P0001"}',
            b"qxz7km4p0001",
            "QXZ7KM4P".encode("utf-16"),
            "xQXZ7KM4P".encode("utf-16-be"),
            b"QXZ7KM4P-0001",
            quote("QXZ7KM4P 0001").encode(),
            "é QXZ7KM4P".encode("latin-1"),
        ],
    )
    def test_as_platforms_write_text(self, written: bytes) -> None:
        assert list(NEEDLES.search(written))

    def test_what_is_not_there_is_not_found(self) -> None:
        data = random.Random(1).randbytes(2_000_000)
        assert list(NEEDLES.search(data)) == []
        assert list(NEEDLES.search(TOKEN[:7] + b" " + TOKEN[7:])) == []

    def test_all_spellings_differ_and_are_long(self) -> None:
        patterns = [pattern for _, pattern in spellings(TOKEN)]
        assert len(set(patterns)) == len(patterns)
        assert min(map(len, patterns)) >= 8

    def test_short_needles_are_refused(self) -> None:
        with pytest.raises(ValueError, match="8 bytes"):
            Needles([b"ABC1234"])


class TestWrappings:
    @pytest.mark.parametrize("name", WRAPPINGS)
    def test_a_plate_inside(self, name: str, tmp_path: Path) -> None:
        wrapped = WRAPPINGS[name](haystack())
        result = found(b"before it " + wrapped if "parquet" not in name and "xl" not in name
                       and "Kafka" not in name else wrapped, tmp_path)  # fmt: skip
        assert result.sightings, name
        assert result.expanded > 0

    @pytest.mark.parametrize("name", WRAPPINGS)
    def test_nothing_inside(self, name: str, tmp_path: Path) -> None:
        result = found(WRAPPINGS[name](haystack().replace(TOKEN, b"ABCDEFGH")), tmp_path)
        assert (result.sightings, result.unread) == ([], [])

    def test_most_wrappings_do_hide_it(self) -> None:
        """Else the tests above would show nothing."""
        plain = [name for name, wrap in WRAPPINGS.items() if TOKEN in wrap(haystack())]
        assert sorted(plain) == ["avro null", "parquet none, delta", "xl.meta"]

    def test_a_log_page_in_the_middle_of_it(self, tmp_path: Path) -> None:
        data = wal(TOKEN)
        assert TOKEN not in data
        assert found(data, tmp_path).sightings

    @pytest.mark.parametrize("file", sorted(SSTS.glob("*.sst")), ids=lambda file: file.stem)
    def test_the_state_of_flink(self, file: Path, tmp_path: Path) -> None:
        """Files that RocksDB's own library wrote (tests/data/rocksdb/Write.java)."""
        data = file.read_bytes()
        assert (b"QXZ7KM4PAB01" in data) == file.stem.startswith("plain")
        for needle in (b"QXZ7KM4PAB01", b"QXZ7KM4PKEY1"):
            (tmp_path / "blob").write_bytes(data)
            result = search(Needles([needle]), [Folder("a place", tmp_path)])
            assert any("rocksdb" in part for each in result.sightings for part in each.inside)

    @given(st.binary(max_size=300))
    def test_junk_is_taken_apart_without_an_error(self, junk: bytes) -> None:
        heads = (
            b"", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\x78\x9c", b"\x04\x22\x4d\x18", b"Obj\x01",
            b"PAR1", b"XL2 \x01\x00\x03\x00", b"\x82SNAPPY\x00", b"\xff\x06\x00\x00sNaPpY",
            b"\0" * 16 + b"\x02",
        )  # fmt: skip
        for head in heads:
            list(searching._inside(head + junk))
            list(searching._inside(head + junk + b"PAR1"))
            list(searching._inside(junk + bytes.fromhex("f7cff485b741e288")))

    @given(st.data())
    def test_damaged_wrappings_raise_nothing(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(WRAPPINGS)))
        wrapped = bytearray(WRAPPINGS[name](b"QXZ7 KM4P" * 30))
        for _ in range(data.draw(st.integers(1, 5))):
            wrapped[data.draw(st.integers(0, 2**16)) % len(wrapped)] = data.draw(
                st.integers(0, 255)
            )
        list(unpack(bytes(wrapped)))

    def test_what_expands_without_end_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "_EXPANDED", 1_000_000)
        result = found(gzip.compress(gzip.compress(b"\0" * 50_000_000)), tmp_path)
        assert result.unread == [str(tmp_path / "blob")]
        assert result.findings()

    def test_bzip2_is_not_seen_through(self, tmp_path: Path) -> None:
        """Nothing here writes it; if that changes, this test must."""
        assert not found(bz2.compress(haystack()), tmp_path).sightings


class TestPlaces:
    def test_a_large_file_is_searched_in_windows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(searching, "WHOLE_BYTES", 4096)
        monkeypatch.setattr(searching, "_OVERLAP", 1024)
        inside = zstandard.compress(haystack(2000))
        assert len(inside) < 1024
        for at in range(0, 20_000, 391):
            (tmp_path / "blob").write_bytes(b"." * at + inside + b"." * (20_000 - at))
            assert search(NEEDLES, [Folder("a place", tmp_path)]).sightings, at

    def test_parts_are_joined_without_their_hashes(self, tmp_path: Path) -> None:
        """The token lies across two blocks of one part, a frame across two parts."""
        block = b"." * (2**20 - 4) + TOKEN + b"." * 100
        part = b"h" * 32 + block[: 2**20] + b"h" * 32 + block[2**20 :]
        assert TOKEN not in part
        assert without_hashes(part) == block
        frame = gzip.compress(haystack())
        folder = tmp_path / "object" / "uuid"
        folder.mkdir(parents=True)
        (folder / "part.1").write_bytes(part)
        (folder / "part.2").write_bytes(b"h" * 32 + frame[:200])
        (folder / "part.10").write_bytes(b"h" * 32 + frame[200:])
        result = search(NEEDLES, [Folder("disk", tmp_path)])
        assert {each.inside[:1] for each in result.sightings} == {(), (f"gzip@{len(block)}",)}

    def test_a_file_is_left_out_and_links_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "needles.json").write_bytes(TOKEN)
        (tmp_path / "link").symlink_to(tmp_path / "needles.json")
        place = Folder("a place", tmp_path, frozenset({tmp_path / "needles.json"}))
        assert search(NEEDLES, [place]).sightings == []
        assert search(NEEDLES, [Folder("a place", tmp_path)]).sightings

    def test_a_place_that_is_not_there_is_no_clean_one(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError):
            search(NEEDLES, [Folder("a place", tmp_path / "none")])

    def test_a_file_that_cannot_be_read_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "blob").write_bytes(b"x")

        def refuse(*_: object) -> bytes:
            raise PermissionError

        monkeypatch.setattr(searching, "_window", refuse)
        result = search(NEEDLES, [Folder("a place", tmp_path)])
        assert result.unread == [str(tmp_path / "blob")]
        assert len(result.findings()) == 1

    def test_a_database_by_its_rows_and_by_its_file(self, tmp_path: Path) -> None:
        """A deleted row's bytes stay in SQLite's file."""
        engine = create_engine(f"sqlite:///{tmp_path}/some.db")
        with engine.begin() as connection:
            connection.execute(text('CREATE TABLE "a ""b" (n INTEGER, t TEXT, raw BLOB)'))
            connection.execute(
                text('INSERT INTO "a ""b" VALUES (1, :t, :raw)'),
                {"t": "x QXZ7KM4P", "raw": zlib.compress(haystack())},
            )
        result = search(NEEDLES, [Database(engine)])
        assert {each.inside for each in result.sightings} >= {()}
        assert any("zlib" in part for each in result.sightings for part in each.inside)
        with engine.begin() as connection:
            connection.execute(text("PRAGMA secure_delete = OFF"))  # some builds have it on
            connection.execute(text('DELETE FROM "a ""b"'))
        engine.dispose()
        assert search(NEEDLES, [Database(engine)]).sightings == []
        assert search(NEEDLES, [Folder("disk", tmp_path)]).sightings
        engine.dispose()


class TestCanary:
    def test_every_class_gets_records_that_end_within_a_day(self) -> None:
        brood = make_canary(RETENTION, NOW)
        assert {read.retention_class for read in brood.reads} == set(RETENTION.classes)
        assert len(brood.hits) == len(brood.reads) == 3
        for read in brood.reads:
            rule = RETENTION.named(read.retention_class)
            assert not rule.has_ended(read.captured_at, NOW)
            assert rule.has_ended(read.captured_at, brood.canary.ends_at)
            assert is_canonical(read.plate)
            assert canonical(read.plate_raw) == read.plate
            assert read.plate.startswith(brood.canary.token)
        assert brood.canary.ends_at - NOW < timedelta(hours=30)

    def test_two_plantings_share_nothing(self) -> None:
        one, other = make_canary(RETENTION, NOW), make_canary(RETENTION, NOW)
        assert one.canary.token != other.canary.token
        assert one.canary.marker != other.canary.marker

    def test_its_file_is_for_its_owner_and_is_not_overwritten(self, tmp_path: Path) -> None:
        canary = make_canary(RETENTION, NOW).canary
        path = tmp_path / "canary.json"
        canary.save(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert Canary.load(path) == canary
        with pytest.raises(ConfigurationError):
            canary.save(path)
        path.write_text("{}")
        with pytest.raises(ConfigurationError):
            Canary.load(path)

    def test_planted_beside_a_committer_whose_work_goes_on(self, lake: Lake) -> None:
        owner = Committer(lake, "reads", now=lambda: NOW)
        owner.commit([stage(lake, make_reads(10, image=True))])
        brood = make_canary(RETENTION, NOW)
        assert plant(lake, brood, NOW, no_sleep) == 6
        owner.commit([stage(lake, make_reads(10, first=10, image=True), first=10)])
        report = check_table(lake, "reads", None)
        assert (report.rows, report.problems) == (23, ())

    def test_the_image_is_a_picture_with_its_marker(self, lake: Lake) -> None:
        import cv2
        import numpy as np

        brood = make_canary(RETENTION, NOW)
        plant(lake, brood, NOW, no_sleep)
        ref = ImageRef(**lake.table("reads").scan().to_arrow()["crop"][0].as_py())
        image = read_image(lake.store, lake.config.warehouse, ref)
        assert image.count(brood.canary.marker.encode()) >= 9
        picture = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        assert picture.shape == (8, 8)

    def test_found_everywhere_before_the_purge_and_nowhere_after_it(
        self, lake: Lake, tmp_path: Path
    ) -> None:
        brood = make_canary(RETENTION, NOW, image_bytes=2_500_000)
        Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, make_reads(20))])
        plant(lake, brood, NOW, no_sleep)
        places = self.places(lake, tmp_path)
        before = search(brood.canary.needles(), places)
        assert {(each.place, each.needle) for each in before.sightings} == {
            ("lake", 0), ("lake", 1), ("disk", 0), ("disk", 1),
        }  # fmt: skip
        kinds = {each.where.rpartition(".")[2] for each in before.sightings}
        assert kinds == {"parquet", "pack"}, "and in no manifest, metadata or database"
        run_purge(lake, lambda: brood.canary.ends_at, sleep=no_sleep)
        after = search(brood.canary.needles(), places)
        assert after.findings() == []
        assert after.searched["lake"][0] > 3

    def test_what_a_plain_delete_leaves_is_found(self, lake: Lake, tmp_path: Path) -> None:
        """Deleted by pyiceberg alone: no query shows it, and everything is still there."""
        brood = self.planted(lake)
        lake.table("reads").delete("camera = 'platelake-canary'")
        lake.table("hits").delete("camera = 'platelake-canary'")
        assert lake.table("reads").scan().to_arrow().num_rows == 0
        result = search(brood.canary.needles(), [Objects(lake)])
        assert {each.needle for each in result.sightings} == {0, 1}

    def test_a_finding_does_not_tell_the_plate(self, lake: Lake, tmp_path: Path) -> None:
        brood = self.planted(lake)
        result = search(brood.canary.needles(), self.places(lake, tmp_path))
        told = repr(result.findings()) + repr(result.as_json())
        assert brood.canary.token not in told
        assert brood.canary.marker not in told

    def test_one_that_comes_too_late_is_told(self, lake: Lake) -> None:
        brood = make_canary(RETENTION, NOW)
        run_purge(lake, lambda: brood.canary.ends_at, sleep=no_sleep)
        with pytest.raises(BadInput, match="plant again"):
            plant(lake, brood, NOW, no_sleep)

    def test_what_is_deleted_while_searching_is_left_out(self, lake: Lake) -> None:
        self.planted(lake)
        objects = list(Objects(lake).blobs())
        lake.store.delete([blob.where for blob in objects if blob.where.endswith(".pack")])
        reads = [blob for blob in objects if blob.where.endswith(".pack")]
        with pytest.raises(FileNotFoundError):
            reads[0].read()

    @staticmethod
    def planted(lake: Lake) -> Brood:
        brood = make_canary(RETENTION, NOW)
        plant(lake, brood, NOW, no_sleep)
        return brood

    @staticmethod
    def places(lake: Lake, folder: Path) -> list[searching.Place]:
        return [Objects(lake), Database(lake.catalog.engine), Folder("disk", folder)]


def test_an_xl_meta_of_our_own_making_is_read_as_one() -> None:
    meta = parse_meta(xl_meta(b"data"), "a test")
    assert (meta.versions, meta.inline) == (1, {"null": b"data"})


def test_random_bytes_have_no_sightings(tmp_path: Path) -> None:
    """Magic numbers occur by chance: none of them may end the search."""
    result = found(os.urandom(3_000_000), tmp_path)
    assert (result.sightings, result.unread) == ([], [])
