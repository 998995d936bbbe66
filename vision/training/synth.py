"""Upright plates with known text: new serials on real designs, drawn designs, real plates.

Sizes are those of `harvest.PLATE_WIDTH` x `PLATE_HEIGHT` for every kind of plate;
`Plate.aspect` is the true width over height, which the scenes restore.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.port import Image
from vision.reader import STATES
from vision.training.data import UNKNOWN_STATE, LabelledSet, picture
from vision.training.designs import Artist, Design
from vision.training.fonts import Fonts, Mask
from vision.training.harvest import (
    PLATE_HEIGHT,
    PLATE_WIDTH,
    Harvest,
    Template,
    harvest,
)
from vision.training.parallel import parallel
from vision.training.serials import br_serial, eu_serial, shape, us_serial

MOST_CHARACTERS = 10
"""Longest text a plate may have here; longer labels are left out of training."""

ASPECTS = {"us": 2.0, "eu": 4.5, "br": 3.1}
"""Width over height of a plate, by region (12 x 6 inch, 520 x 114 mm, 400 x 130 mm)."""

_TALLEST = {"us": 0.66, "eu": 0.95, "br": 0.8}


@dataclass(frozen=True, slots=True)
class Plate:
    """An upright plate, PLATE_HEIGHT x PLATE_WIDTH x 3.

    `centres` are the middles of its characters as shares of the width, empty if not known.
    """

    image: Image
    text: str
    centres: tuple[float, ...]
    state: int
    region: str


@dataclass
class Stock:
    """Characters, empty plates and real plates of a labelled set."""

    glyphs: dict[str, dict[str, list[Mask]]] = field(default_factory=dict)
    templates: dict[str, list[Template]] = field(default_factory=dict)
    crops: list[Plate] = field(default_factory=list)
    us_texts: list[str] = field(default_factory=list)

    def add(self, group: str, region: str, found: Harvest) -> None:
        """Take in what one picture gave."""
        for character, mask in found.glyphs:
            self.glyphs.setdefault(region, {}).setdefault(character, []).append(mask)
            if group != region:
                self.glyphs.setdefault(group, {}).setdefault(character, []).append(mask)
        if found.template is not None:
            self.templates.setdefault(group, []).append(found.template)


def collect(labelled: LabelledSet, workers: int = 1) -> Stock:
    """Harvest every picture of a labelled set; no randomness."""
    stock = Stock()
    crops = parallel(partial(_from_crop, labelled), len(labelled.crops), workers)
    for crop, (upright, found) in zip(labelled.crops, crops, strict=True):
        stock.add(STATES[crop.state], "us", found)
        stock.us_texts.append(crop.text)
        if len(crop.text) <= MOST_CHARACTERS:
            stock.crops.append(Plate(upright, crop.text, found.centres, crop.state, "us"))
    frames = parallel(partial(_from_frame, labelled), len(labelled.frames), workers)
    for frame, taken in zip(labelled.frames, frames, strict=True):
        if frame.region == "us":
            stock.us_texts.append(frame.text)
        elif taken is not None:
            stock.add(frame.region, frame.region, taken)
    return stock


def _from_crop(labelled: LabelledSet, index: int) -> tuple[Image, Harvest]:
    crop = labelled.crops[index]
    image, _ = picture(crop.file)
    small = cv2.resize(image, (PLATE_WIDTH, PLATE_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8), harvest(image, crop.text, STATES[crop.state])


def _from_frame(labelled: LabelledSet, index: int) -> Harvest | None:
    """A plate out of a frame; None for US plates, which are too small to take apart."""
    frame = labelled.frames[index]
    if frame.region == "us":
        return None
    image, _ = picture(frame.file)
    box, edge = frame.box, 0.01
    y0, y1 = int(max(0, box.y - edge * box.h)), int(box.y + (1 + edge) * box.h)
    x0, x1 = int(max(0, box.x - edge * box.w)), int(box.x + (1 + edge) * box.w)
    part = np.ascontiguousarray(image[y0:y1, x0:x1])
    return harvest(part, frame.text, frame.region, _TALLEST[frame.region]) if part.size else None


class PlateFactory:
    """Draws plates; the same generator state draws the same plate."""

    def __init__(self, stock: Stock, fonts: Fonts) -> None:
        self._stock = stock
        self._artist = Artist(fonts)
        self._fonts = fonts.serial
        self._states = [s for s in STATES if stock.templates.get(s)]
        self._all = [t for s in self._states for t in stock.templates[s]]
        self._seen = tuple(stock.us_texts)

    def plate(self, rng: np.random.Generator) -> Plate:
        """One new plate of any kind, with wear and frame."""
        chance = rng.random()
        if chance < 0.56 and self._all:
            plate = self._on_template(rng)
        elif chance < 0.80 or not self._stock.crops:
            plate = self._drawn(rng, "us")
        elif chance < 0.90:
            plate = self._drawn(rng, "eu")
        else:
            plate = self._drawn(rng, "br")
        return self._finish(plate, rng)

    def real(self, rng: np.random.Generator, index: int) -> Plate:
        """A labelled crop as it is, sometimes with a dealer's frame."""
        plate = self._stock.crops[index % len(self._stock.crops)]
        return self._finish(plate, rng) if rng.random() < 0.3 else plate

    def _on_template(self, rng: np.random.Generator) -> Plate:
        if rng.random() < 0.4:  # rare states as often as common ones
            designs = self._stock.templates[self._states[rng.integers(len(self._states))]]
        else:
            designs = self._all
        template = designs[rng.integers(len(designs))]
        ink = np.clip(template.ink + rng.uniform(-25, 25, 3), 0, 255)
        design = Design(template.image.copy(), ink, template.group, template.top, template.height)
        text = us_serial(rng, template.group, self._seen)
        return self._lettered(design, text, "us", rng, own_font=0.72)

    def _drawn(self, rng: np.random.Generator, region: str) -> Plate:
        templates = self._stock.templates.get(region, [])
        if region == "us":
            design = self._artist.us(rng)
            text = us_serial(rng, design.state, self._seen)
        elif templates and rng.random() < 0.5:
            chosen = templates[rng.integers(len(templates))]
            ink = np.clip(chosen.ink + rng.uniform(-20, 20, 3), 0, 255)
            left = 0.1 if region == "eu" else 0.02
            at = (chosen.top, chosen.height, left, 0.98)
            design = Design(chosen.image.copy(), ink, None, *at)
            text = eu_serial(rng) if region == "eu" else br_serial(rng)
        elif region == "eu":
            design, text = self._artist.eu(rng), eu_serial(rng)
        else:
            design, text = self._artist.br(rng), br_serial(rng)
        return self._lettered(design, text, region, rng, own_font=0.5)

    def _lettered(
        self, design: Design, text: str, region: str, rng: np.random.Generator, own_font: float
    ) -> Plate:
        font = None if rng.random() < own_font else self._fonts[rng.integers(len(self._fonts))]
        one_state = rng.random() < 0.8
        masks = [
            self._mask(c, region, design.state if one_state else None, font, rng) for c in text
        ]
        image, centres = set_serial(design, text, masks, region, rng)
        state = UNKNOWN_STATE if design.state is None else STATES.index(design.state)
        return Plate(image, text, centres, state, region)

    def _mask(
        self,
        character: str,
        region: str,
        state: str | None,
        font: dict[str, Mask] | None,
        rng: np.random.Generator,
    ) -> Mask:
        """Ink of one character: harvested, or from a font."""
        if font is not None:
            # US plates show letters O that labels and NCIC write as 0.
            slip = region == "us" and character == "0" and rng.random() < 0.25
            return font["O" if slip else character]
        pools = [self._stock.glyphs.get(state, {})] if state is not None else []
        pools.append(self._stock.glyphs.get(region, {}))
        pools.append(self._stock.glyphs.get("us", {}))
        for pool in pools:
            masks = pool.get(character)
            if masks:
                return masks[rng.integers(len(masks))]
        return self._fonts[rng.integers(len(self._fonts))][character]

    def _finish(self, plate: Plate, rng: np.random.Generator) -> Plate:
        image = plate.image
        if rng.random() < 0.5:
            grid = rng.uniform(0.5, 1.25, (int(rng.integers(2, 4)), int(rng.integers(2, 5))))
            light = cv2.resize(
                grid.astype(np.float32), (PLATE_WIDTH, PLATE_HEIGHT), interpolation=cv2.INTER_CUBIC
            )
            image = np.clip(image * light[..., None], 0, 255).astype(np.uint8)
        if plate.region == "us" and rng.random() < 0.2:
            image = self._artist.dealer_frame(image.copy(), rng)
        if rng.random() < 0.1:
            image = self._artist.dirt(image.copy(), rng)
        return Plate(image, plate.text, plate.centres, plate.state, plate.region)


def set_serial(
    design: Design, text: str, masks: list[Mask], region: str, rng: np.random.Generator
) -> tuple[Image, tuple[float, ...]]:
    """Set `masks` in a row on the design; returns the plate and the characters' middles."""
    image = design.image
    high = max(20, round(design.height * PLATE_HEIGHT * rng.uniform(0.93, 1.07)))
    top = round(design.top * PLATE_HEIGHT + rng.uniform(-3, 3))
    top = min(max(0, top), PLATE_HEIGHT - high)
    widen = rng.uniform(0.85, 1.12) * (2.0 / ASPECTS[region] if region != "us" else 1.0)
    if region != "us":
        widen *= rng.uniform(1.0, 1.35)
    widths = np.array([max(5, round(m.shape[1] * high / m.shape[0] * widen)) for m in masks])
    mean = float(widths.mean())
    gap = mean * (rng.uniform(0.12, 0.3) if rng.random() < 0.8 else rng.uniform(0.06, 0.14))
    breaks = _breaks(text, region, rng)
    pause = mean * rng.uniform(0.3, 1.3) if breaks else 0.0
    total = float(widths.sum()) + gap * (len(widths) - 1) + pause * len(breaks)
    room = design.right - design.left
    shrink = min(1.0, PLATE_WIDTH * room * rng.uniform(0.84, 0.97) / total)
    middle = PLATE_WIDTH * (design.left + room / 2) + rng.uniform(-0.02, 0.02) * PLATE_WIDTH
    x = middle - total * shrink / 2
    ink = np.zeros((PLATE_HEIGHT, PLATE_WIDTH), np.uint8)
    centres = []
    for i, (mask, width) in enumerate(zip(masks, widths, strict=True)):
        if i in breaks:
            if rng.random() < 0.7:
                at = (round(x + (pause - gap) * shrink / 2), round(top + high / 2))
                _separator(image, at, pause * shrink, high, design.ink, rng)
            x += pause * shrink
        wide = max(4, round(width * shrink))
        _stamp(ink, mask, round(x), top + int(rng.integers(-1, 2)), wide, high)
        centres.append(min(1.0, max(0.0, (x + wide / 2) / PLATE_WIDTH)))
        x += wide + gap * shrink
    chance = rng.random()
    if chance < 0.2:
        ink = np.asarray(cv2.dilate(ink, np.ones((3, 3), np.uint8)), dtype=np.uint8)
    elif chance < 0.35:
        ink = np.asarray(cv2.erode(ink, np.ones((2, 2), np.uint8)), dtype=np.uint8)
    if rng.random() < 0.35:  # the edge of embossed characters catches light
        shift = (int(rng.choice([-2, -1, 1, 2])), int(rng.choice([-2, -1, 1, 2])))
        rim = cv2.subtract(np.roll(ink, shift, (0, 1)), ink)[..., None].astype(np.float32)
        image = np.clip(image + rim * rng.choice([-1, 1]) * rng.uniform(0.1, 0.4), 0, 255)
    share = (ink.astype(np.float32) / 255 * rng.uniform(0.8, 1.0))[..., None]
    lettered = image * (1 - share) + design.ink.astype(np.float32) * share
    return lettered.astype(np.uint8), tuple(centres)


def _breaks(text: str, region: str, rng: np.random.Generator) -> list[int]:
    """Where the serial is parted: mostly where letters meet digits."""
    if region == "br":
        return [3]
    form = shape(text)
    breaks = [i for i in range(1, len(form)) if form[i] != form[i - 1]]
    if region == "eu":
        return breaks[:1] if rng.random() < 0.8 else []
    if not breaks and len(text) >= 6 and rng.random() < 0.4:
        return [3]
    if len(breaks) > 2:
        return [len(text) // 2] if rng.random() < 0.85 else []
    if len(breaks) == 2:
        return [int(rng.choice([*breaks, len(text) // 2]))]
    return breaks if rng.random() < 0.8 else []


def _separator(
    image: Image,
    at: tuple[int, int],
    room: float,
    high: int,
    ink: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """A dot, a dash or an emblem between two groups."""
    x, y = at[0], at[1] + round(float(rng.uniform(-0.1, 0.1)) * high)
    tint = ink if rng.random() < 0.6 else rng.integers(0, 256, 3).astype(np.float64)
    colour = (int(tint[0]), int(tint[1]), int(tint[2]))
    chance = rng.random()
    if chance < 0.35:
        radius = max(1, round(float(rng.uniform(0.04, 0.1)) * high))
        cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA)
    elif chance < 0.6:
        a, b = round(0.12 * high), max(1, round(0.04 * high))
        cv2.rectangle(image, (x - a, y - b), (x + a, y + b), colour, -1)
    else:
        turns = np.linspace(0, 2 * np.pi, 9)[:-1]
        out = rng.uniform(0.4, 1.0, (8, 2)) * (room * 0.4, high * 0.4)
        points = np.stack([x + out[:, 0] * np.cos(turns), y + out[:, 1] * np.sin(turns)], axis=1)
        cv2.fillPoly(image, [np.round(points).astype(np.int32)], colour, cv2.LINE_AA)


def _stamp(ink: Mask, mask: Mask, x: int, y: int, wide: int, high: int) -> None:
    """Lay a character's mask into `ink`; what reaches over the edge is cut."""
    glyph = cv2.resize(mask, (wide, high), interpolation=cv2.INTER_AREA)
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(ink.shape[1], x + wide), min(ink.shape[0], y + high)
    if x1 > x0 and y1 > y0:
        place = ink[y0:y1, x0:x1]
        np.maximum(place, glyph[y0 - y : y1 - y, x0 - x : x1 - x], out=place)
