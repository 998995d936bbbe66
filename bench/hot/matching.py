"""Batches of plates against a hot list of ten thousand, a million and twelve million entries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.hot import Ways

BATCH: Final = 2000
_LETTERS: Final = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)


def plates(count: int, seed: int = 1) -> list[str]:
    """Plates of seven characters, all in canonical form."""
    return [text.decode() for text in _plates(count, seed).tolist()]


def _plates(count: int, seed: int) -> NDArray[np.bytes_]:
    rng = np.random.default_rng(seed)
    return _LETTERS[rng.integers(0, 36, (count, 7))].view("S7")[:, 0]


def _ours(entries: int) -> tuple[Callable[[], object], int]:
    import pyarrow as pa

    from ingest.hotlists.keys import plate_keys
    from ingest.hotlists.snapshot import Manifest, Snapshot

    parts = [
        plate_keys(_plates(min(100_000, entries - begin), 2 + begin).astype(str).tolist())
        for begin in range(0, entries, 100_000)
    ]
    column = pa.array(np.sort(np.concatenate(parts)))
    del parts
    manifest = Manifest(
        version="20260101T000000Z-00000000", built_at=datetime(2026, 1, 1, tzinfo=UTC),
        entries=entries, size=0, crc32c=0, changes_offset=0,
    )  # fmt: skip
    snapshot = Snapshot(manifest, pa.record_batch({"key": column}))
    batch = plates(BATCH)
    return lambda: snapshot.ranges(plate_keys(batch)), BATCH


def _dict(entries: int) -> tuple[Callable[[], object], int]:
    from alpr.plates import match_key

    listed: dict[str, int] = {}
    for begin in range(0, entries, 100_000):
        part = _plates(min(100_000, entries - begin), 2 + begin).astype(str).tolist()
        listed.update({match_key(plate): begin + row for row, plate in enumerate(part)})
    batch = plates(BATCH)

    def work() -> list[int]:
        keys = map(match_key, batch)
        return [row for key in keys if (row := listed.get(key)) is not None]

    return work, BATCH


def _is_in(entries: int) -> tuple[Callable[[], object], int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    from ingest.hotlists.keys import plate_keys

    parts = [
        plate_keys(_plates(min(100_000, entries - begin), 2 + begin).astype(str).tolist())
        for begin in range(0, entries, 100_000)
    ]
    listed = pa.array(np.concatenate(parts))
    del parts
    batch = plates(BATCH)
    return lambda: pc.is_in(pa.array(plate_keys(batch)), value_set=listed), BATCH


STEPS: Final[tuple[tuple[str, str, Ways], ...]] = tuple(
    (
        f"match-{label}",
        "plate",
        {
            "sorted keys, mapped": partial(_ours, entries),
            "dict": partial(_dict, entries),
            "pyarrow is_in": partial(_is_in, entries),
        },
    )
    for label, entries in (("10k", 10_000), ("1M", 1_000_000), ("12M", 12_000_000))
)
