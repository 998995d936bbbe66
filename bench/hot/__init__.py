"""The ways that bench.hot_paths compares, one module a step; of each the product's own is first.

`STEPS`: (step, unit, ways by name); a way prepares its input and gives the work and
how many units a call of it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Ways = Mapping[str, Callable[[], tuple[Callable[[], object], int]]]
