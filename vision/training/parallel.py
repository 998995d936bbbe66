"""Work shared by forked processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


def parallel(make: Callable[[int], _T], count: int, workers: int) -> list[_T]:
    """`make` of 0 to count - 1, by forked workers."""
    if workers <= 1:
        return [make(i) for i in range(count)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return pool.map(make, range(count), chunksize=max(1, min(256, count // workers // 4)))
