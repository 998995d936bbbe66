"""A camera frame to plates: the product's models beside PP-OCRv6."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final

from bench.hot import Ways

_FRAMES: Final = 8
_EVERY: Final = 10


def _recogniser(name: str) -> tuple[Callable[[], object], int]:
    from ingest.simulator.cameras import frames, make_artists
    from ingest.simulator.demo import demo_world
    from ingest.simulator.plan import make_plan
    from vision.decode import decode
    from vision.port import open_recogniser

    world = demo_world(1, agencies=1)
    plan = make_plan(world, datetime(2026, 1, 1, 12, tzinfo=UTC), 60.0)
    shown = islice(frames(plan, make_artists(world)), 0, _FRAMES * _EVERY, _EVERY)
    images = [decode(frame.jpeg) for frame in shown]
    recogniser = open_recogniser(name, 1)
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)  # it warns of each frame without text
    return lambda: [recogniser.read(image) for image in images], len(images)


STEPS: Final[tuple[tuple[str, str, Ways], ...]] = (
    (
        "recognise",
        "frame",
        {"platelake": partial(_recogniser, "platelake"), "PP-OCRv6": partial(_recogniser, "ppocr")},
    ),
)
