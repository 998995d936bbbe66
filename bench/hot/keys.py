"""Plate text to what plates are compared by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.hot import Ways
from bench.hot.matching import BATCH, plates


def _ours() -> tuple[Callable[[], object], int]:
    from ingest.hotlists.keys import plate_keys

    batch = plates(BATCH)
    return lambda: plate_keys(batch), BATCH


def _text() -> tuple[Callable[[], object], int]:
    from alpr.plates import match_key

    batch = plates(BATCH)
    return lambda: [match_key(plate) for plate in batch], BATCH


STEPS: Final[tuple[tuple[str, str, Ways], ...]] = (
    ("key", "plate", {"plate_keys (integers)": _ours, "str.translate": _text}),
)
