"""Image packs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.errors import BadInput, Corrupt
from catalog.images import ImageRef, PackWriter, read_image, walk
from catalog.store import LocalStore

DAY = date(2026, 11, 20)


@settings(max_examples=25)
@given(images=st.lists(st.binary(min_size=1, max_size=200), max_size=30))
def test_what_goes_in_comes_out(
    images: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    warehouse = f"file://{tmp_path_factory.mktemp('packs')}"
    store = LocalStore()
    writer = PackWriter(store, warehouse, pack_bytes=500)
    refs = [writer.add(image, "default", DAY) for image in images]
    writer.flush()
    assert [read_image(store, warehouse, ref) for ref in refs] == images
    for ref, image in zip(refs, images, strict=True):  # and by a plain range request
        assert store.read(f"{warehouse}/{ref.pack}", ref.offset, ref.length) == image
    packs = [store.read(item.uri) for item in store.list(warehouse)]
    assert sorted(image for pack in packs for _, image in walk(pack)) == sorted(images)


def test_classes_and_days_lie_in_packs_of_their_own(tmp_path: Path) -> None:
    store = LocalStore()
    writer = PackWriter(store, f"file://{tmp_path}", new_name=lambda: "name")
    keys = [
        writer.add(b"x", name, day).pack
        for name in ("default", "toll")
        for day in (DAY, date(2026, 11, 21))
    ]
    writer.flush()
    assert keys[0] == "images/class=default/day=2026-11-20/name.pack"
    assert len(set(keys)) == 4
    assert len(list(store.list(f"file://{tmp_path}"))) == 4


def test_a_full_pack_is_sent_before_flush(tmp_path: Path) -> None:
    store = LocalStore()
    writer = PackWriter(store, f"file://{tmp_path}", pack_bytes=1_000)
    refs = [writer.add(bytes([n]) * 300, "default", DAY) for n in range(1, 9)]
    assert len(list(store.list(f"file://{tmp_path}"))) == 2
    writer.flush()
    assert len({ref.pack for ref in refs}) == 2


def test_an_empty_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="empty-image"):
        PackWriter(LocalStore(), f"file://{tmp_path}").add(b"", "default", DAY)


@pytest.mark.parametrize("position", range(8, 21))
def test_any_damaged_byte_is_noticed(tmp_path: Path, position: int) -> None:
    store, warehouse = LocalStore(), f"file://{tmp_path}"
    writer = PackWriter(store, warehouse)
    ref = writer.add(b"jpeg!", "default", DAY)
    writer.flush()
    pack = bytearray(store.read(f"{warehouse}/{ref.pack}"))
    pack[position] ^= 0x40
    store.write(f"{warehouse}/{ref.pack}", bytes(pack))
    with pytest.raises(Corrupt):
        read_image(store, warehouse, ref)
    with pytest.raises(Corrupt):
        list(walk(bytes(pack)))


def test_a_reference_must_fit_its_pack(tmp_path: Path) -> None:
    store, warehouse = LocalStore(), f"file://{tmp_path}"
    writer = PackWriter(store, warehouse)
    ref = writer.add(b"jpeg!", "default", DAY)
    writer.flush()
    for wrong in (ref._replace(length=6), ref._replace(offset=0), ref._replace(length=4)):
        with pytest.raises(Corrupt):
            read_image(store, warehouse, wrong)
    with pytest.raises(Corrupt, match="not stored"):
        read_image(store, warehouse, ImageRef("images/none.pack", 16, 5))


def test_walk_refuses_another_file() -> None:
    with pytest.raises(Corrupt, match="magic"):
        list(walk(b"PAR1 and so on"))
