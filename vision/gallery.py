"""Readings for the eye: boxes drawn into a picture; a page of pictures by how they went."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2

from vision.decode import decode_file, encode_crop, encode_overview
from vision.evaluation import SURE, Outcome
from vision.port import Box, Image, PlateReading

_SURE_COLOUR, _UNSURE_COLOUR = (60, 200, 60), (40, 160, 255)
_UNSURE_BELOW = 0.8

_PAGE = """<!doctype html><meta charset="utf-8"><title>Plates read</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem }}
section {{ display: flex; flex-wrap: wrap; gap: 1rem }}
figure {{ margin: 0; width: 200px }}
img {{ width: 200px }}
code {{ font-size: 1.05em }}
</style>
{sections}
"""


def drawn(image: Image, readings: Sequence[PlateReading]) -> Image:
    """A copy of the picture with every plate framed and its text above it."""
    picture = image.copy()
    thick = max(1, max(image.shape[:2]) // 640)
    for reading in readings:
        x, y = round(reading.box.x), round(reading.box.y)
        right, bottom = round(reading.box.x + reading.box.w), round(reading.box.y + reading.box.h)
        colour = _SURE_COLOUR if reading.confidence >= SURE else _UNSURE_COLOUR
        cv2.rectangle(picture, (x, y), (right, bottom), colour, thick)
        cv2.putText(
            picture,
            f"{reading.text} {reading.confidence:.2f}",
            (max(0, x), max(14 * thick, y - 4 * thick)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.5 * thick,
            colour,
            thick,
            cv2.LINE_AA,
        )
    return picture


def write_gallery(folder: Path, root: Path, outcomes: Sequence[Outcome]) -> None:
    """Write `index.html` and the plates' pictures into `folder`: wrong, unsure and right ones.

    `root` is the folder of the labelled pictures. Least sure first, but the
    wrong ones surest first: those do the harm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wrong = sorted((o for o in outcomes if not _right(o)), key=_confidence, reverse=True)
    right = sorted((o for o in outcomes if _right(o)), key=_confidence)
    unsure = [o for o in right if o.label.plate and _confidence(o) < _UNSURE_BELOW]
    sure = [o for o in right if o not in unsure]
    sections: list[str] = []
    number = 0
    for title, group in (("Wrong", wrong), ("Right, but unsure", unsure), ("Right", sure)):
        figures: list[str] = []
        for outcome in group:
            number += 1
            name = f"{number:05d}.jpg"
            (folder / name).write_bytes(_picture(root, outcome))
            figures.append(_figure(name, outcome))
        sections.append(f"<h2>{title}: {len(group)}</h2><section>{''.join(figures)}</section>")
    (folder / "index.html").write_text(_PAGE.format(sections="\n".join(sections)), encoding="utf-8")


def _right(outcome: Outcome) -> bool:
    return outcome.exact if outcome.label.plate else outcome.false_reads == 0


def _confidence(outcome: Outcome) -> float:
    return outcome.best.confidence if outcome.best else 0.0


def _picture(root: Path, outcome: Outcome) -> bytes:
    image = decode_file((root / outcome.label.file).read_bytes())
    box = outcome.best.box if outcome.best else outcome.label.box
    whole = Box(0, 0, image.shape[1], image.shape[0])
    return encode_overview(image) if box is None or box == whole else encode_crop(image, box)


def _figure(name: str, outcome: Outcome) -> str:
    best = outcome.best
    said = f"{best.text or '(unreadable)'} {best.confidence:.2f}" if best else "nothing found"
    return (
        f'<figure><img src="{name}" alt="" loading="lazy"><figcaption>'
        f"shows <code>{escape(outcome.label.plate or 'no plate')}</code><br>"
        f"read <code>{escape(said)}</code><br>{escape(outcome.label.file)}</figcaption></figure>"
    )
