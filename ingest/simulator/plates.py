"""Draws a plate: a sheet of metal with its design, stickers, bolts, frame and embossed serial."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from ingest.simulator.designs import STATE_NAMES, Art, Design
from ingest.simulator.lettering import Mask, stamp

Picture = NDArray[np.uint8]
"""Height × width × 3, BGR."""

WIDTH, HEIGHT = 384, 192
"""Pixels of the drawn sheet: twelve by six inches at 32 pixels an inch."""
METRES = (0.3048, 0.1524)
"""Width and height of a plate: SAE J686."""

_SERIAL_TOP, _SERIAL_HEIGHT = 52, 92
_MARGIN = 20


def bgr(colour: int) -> tuple[int, int, int]:
    """0xRRGGBB as OpenCV wants it."""
    return colour & 255, (colour >> 8) & 255, colour >> 16


def _blend(picture: Picture, mask: Mask, colour: tuple[int, int, int], strength: float = 1) -> None:
    """Lay `colour` over `picture` in place where `mask` (same height and width) says so."""
    cover = mask.astype(np.float32)[..., None] * (strength / 255)
    picture[:] = np.rint(picture * (1 - cover) + np.array(colour, np.float32) * cover).astype(
        np.uint8
    )


@lru_cache(maxsize=512)
def _words(text: str, height: int, slanted: bool, heavy: bool, limit: int) -> Mask:
    """Coverage of `text` in letters about `height` pixels high, at most `limit` wide."""
    font = cv2.FontFace("italic" if slanted else "sans")
    canvas = np.zeros((height * 4, 3 * height * (len(text) + 2), 3), np.uint8)
    size = round(height * 2 * 1.4)
    cv2.putText(
        canvas, text, (height, height * 3), (255, 255, 255), font, size, 650 if heavy else 450
    )
    grey = canvas[..., 0]
    rows, columns = np.flatnonzero(grey.any(1)), np.flatnonzero(grey.any(0))
    ink = grey[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    width = min(limit, ink.shape[1] // 2)
    return cv2.resize(ink, (width, max(1, ink.shape[0] // 2)), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )


def _put_words(
    picture: Picture, text: str, centre: float, height: int, ink: int, *,
    slanted: bool = False, heavy: bool = True, limit: int = 300,
) -> None:  # fmt: skip
    mask = _words(text, height, slanted, heavy, limit)
    rows, columns = mask.shape
    y, x = max(0, round(centre - rows / 2)), (WIDTH - columns) // 2
    _blend(picture[y : y + rows, x : x + columns], mask, bgr(ink))


def _put_art(picture: Picture, art: Art, colour: int) -> None:
    xs = np.arange(0, WIDTH + 8, 8)
    paint = bgr(colour)
    if art == "hills":
        for height, shade in ((0.52, 0.55), (0.68, 1.0)):
            ys = HEIGHT * (height + 0.07 * np.sin(xs / 41 + height * 9) + 0.03 * np.sin(xs / 17))
            _fill_below(picture, xs, ys, paint, shade * 0.7)
    elif art == "peak":
        ys = HEIGHT * (0.28 + 0.5 * np.abs(xs / WIDTH - 0.55) + 0.03 * np.sin(xs / 9))
        _fill_below(picture, xs, ys, paint, 0.8)
    elif art == "waves":
        for height in (0.62, 0.74, 0.86):
            ys = HEIGHT * (height + 0.03 * np.sin(xs / 24 + height * 20))
            _fill_below(picture, xs, ys, paint, 0.5)
    elif art == "sun":
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.circle(mask, (WIDTH // 2, 118), 52, (255,), -1, cv2.LINE_AA)
        for angle in np.linspace(np.pi, 2 * np.pi, 11):
            end = (round(WIDTH / 2 + 190 * np.cos(angle)), round(118 + 110 * np.sin(angle)))
            cv2.line(mask, (WIDTH // 2, 118), end, (140,), 5, cv2.LINE_AA)
        _blend(picture, mask, paint, 0.75)
    elif art == "tree":
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        for tier, half in ((30, 26), (62, 38), (96, 50)):
            corners = [(192, tier), (192 - half, tier + 62), (192 + half, tier + 62)]
            cv2.fillPoly(mask, [np.array(corners, np.int32)], (255,), cv2.LINE_AA)
        _blend(picture, mask, paint, 0.75)
    elif art == "skyline":
        steps = np.array([9, 17, 6, 23, 12, 30, 15, 8, 19, 26, 11, 5, 14, 21, 7, 10])
        ys = HEIGHT * 0.8 - np.repeat(steps, -(-len(xs) // len(steps)))[: len(xs)] * 2.4
        _fill_below(picture, xs, ys, paint, 0.8)


def _fill_below(
    picture: Picture, xs: NDArray[np.int64], ys: NDArray[np.float64],
    paint: tuple[int, int, int], strength: float,
) -> None:  # fmt: skip
    outline = np.vstack([np.column_stack([xs, ys]), [(WIDTH + 8, HEIGHT), (0, HEIGHT)]])
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], (255,), cv2.LINE_AA)
    _blend(picture, mask, paint, strength)


@lru_cache(maxsize=128)
def _sheet(design: Design) -> Picture:
    """The printed sheet without serial and stickers. Callers copy it."""
    picture = np.full((HEIGHT, WIDTH, 3), bgr(design.ground), np.uint8)
    if design.top is not None and design.art != "none":
        # A top colour with artwork fades into the ground; alone it is a band.
        share = np.clip(1 - np.arange(HEIGHT) / (HEIGHT * 0.6), 0, 1)[:, None]
        rows = share * bgr(design.top) + (1 - share) * bgr(design.ground)
        picture[:] = np.rint(rows).astype(np.uint8)[:, None]
    elif design.top is not None:
        picture[:44] = bgr(design.top)
    if design.bottom is not None:
        picture[HEIGHT - 38 :] = bgr(design.bottom)
    _put_art(picture, design.art, design.art_colour)
    name = STATE_NAMES[design.state]
    _put_words(
        picture, name.upper() if design.capitals else name, 26, 21, design.name_ink,
        slanted=design.slanted, limit=214,
    )  # fmt: skip
    if design.slogan:
        ink = design.name_ink if design.slogan_ink is None else design.slogan_ink
        _put_words(picture, design.slogan, HEIGHT - 20, 13, ink, limit=220)
    return picture


def _put_serial(picture: Picture, design: Design, printed: str) -> None:
    """Ink and relief of the serial, stretched to fill the sheet as the dies would."""
    groups = printed.replace("-", " ").split() if design.emblem != "none" else [printed]
    masks = [stamp(group, _SERIAL_HEIGHT, width=design.letter_width * 0.92) for group in groups]
    gap = 34 if len(masks) > 1 else 0
    natural = sum(mask.shape[1] for mask in masks) + gap * (len(masks) - 1)
    squeeze = min(1.0, (WIDTH - 2 * _MARGIN) / natural)
    cover = np.zeros((HEIGHT, WIDTH), np.uint8)
    x = (WIDTH - natural * squeeze) / 2
    rows = slice(_SERIAL_TOP, _SERIAL_TOP + _SERIAL_HEIGHT)
    for number, mask in enumerate(masks):
        width = int(mask.shape[1] * squeeze)
        squeezed = cv2.resize(mask, (width, _SERIAL_HEIGHT), interpolation=cv2.INTER_AREA)
        cover[rows, int(x) : int(x) + width] = squeezed
        x += width
        if number < len(masks) - 1:
            centre = (round(x + gap * squeeze / 2), _SERIAL_TOP + _SERIAL_HEIGHT // 2)
            _put_emblem(picture, design, centre)
            x += gap * squeeze
    # Embossing: light comes from above, so upper edges shine and lower ones throw a shadow.
    relief = cover.astype(np.int16)
    raised = np.roll(relief, (2, 1), (0, 1)) - np.roll(relief, (-2, -1), (0, 1))
    shaded = picture.astype(np.int16) - np.clip(raised // 6, -30, 45)[..., None]
    picture[:] = np.clip(shaded, 0, 255).astype(np.uint8)
    _blend(picture, cover, bgr(design.ink))
    lit = picture.astype(np.int16) + (np.clip(-raised, 0, 255) // 14)[..., None]
    picture[:] = np.clip(lit, 0, 255).astype(np.uint8)


def _put_emblem(picture: Picture, design: Design, centre: tuple[int, int]) -> None:
    x, y = centre
    paint = bgr(design.emblem_colour)
    if design.emblem == "dot":
        cv2.circle(picture, centre, 6, paint, -1, cv2.LINE_AA)
    elif design.emblem == "disc":
        cv2.circle(picture, centre, 13, paint, -1, cv2.LINE_AA)
    elif design.emblem == "dash":
        cv2.rectangle(picture, (x - 8, y - 4), (x + 8, y + 4), paint, -1)
    elif design.emblem == "diamond":
        corners = np.array([(x, y - 13), (x + 9, y), (x, y + 13), (x - 9, y)], np.int32)
        cv2.fillPoly(picture, [corners], paint, cv2.LINE_AA)
    elif design.emblem == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 12, 5)
        points = np.column_stack([x + radii * np.cos(angles), y + radii * np.sin(angles)])
        cv2.fillPoly(picture, [np.rint(points).astype(np.int32)], paint, cv2.LINE_AA)


_STICKERS = (0x2F7DC0, 0xC8462F, 0xE2C33A, 0x3C9A60, 0xF0F0EC, 0x8A4FA0)
_FRAMES = (0x18191B, 0xB9BCC0, 0x18191B)


def draw_plate(design: Design, printed: str, rng: np.random.Generator) -> Picture:
    """The plate `printed` in `design`, HEIGHT × WIDTH × 3 BGR, as seen in even daylight.

    `rng` chooses what differs between two plates of one design: stickers,
    bolts, dirt, and whether a dealer's frame surrounds it.
    """
    picture = _sheet(design).copy()
    _put_serial(picture, design, printed)
    corners = {0: (12, 10), 1: (WIDTH - 54, 10)}
    for corner in (0, 1):
        if rng.random() < (0.75 if corner else 0.4):
            x, y = corners[corner]
            sticker = _STICKERS[rng.integers(len(_STICKERS))]
            cv2.rectangle(picture, (x, y), (x + 42, y + 26), bgr(sticker), -1)
            mark = _words(f"{rng.integers(1, 13):02d}", 13, False, True, 30)
            patch = picture[y + 6 : y + 6 + mark.shape[0], x + 8 : x + 8 + mark.shape[1]]
            _blend(patch, mark[: patch.shape[0], : patch.shape[1]], (30, 30, 30))
    for x in (92, WIDTH - 92):
        for y in (12, HEIGHT - 12):
            if rng.random() < 0.7:
                shade = int(rng.integers(50, 190))
                cv2.circle(picture, (x, y), 5, (shade, shade, shade), -1, cv2.LINE_AA)
    if rng.random() < 0.35:
        colour = bgr(_FRAMES[rng.integers(len(_FRAMES))])
        cv2.rectangle(picture, (0, 0), (WIDTH - 1, HEIGHT - 1), colour, 12)
    else:
        edge = np.array(bgr(design.ground)) * 0.72
        cv2.rectangle(picture, (1, 1), (WIDTH - 2, HEIGHT - 2), edge.tolist(), 3)
    wear = float(rng.random())
    if wear > 0.85:
        # An old plate: the ink has faded towards the sheet.
        fade = 2.5 * (wear - 0.85)
        picture = np.rint(picture * (1 - fade) + fade * np.array(bgr(design.ground))).astype(
            np.uint8
        )
    dirt = float(rng.gamma(1.2, 0.12))
    if dirt > 0.08:
        grain = cv2.resize(rng.random((6, 12), np.float32), (WIDTH, HEIGHT))
        grain = grain * np.linspace(0.5, 1.2, HEIGHT, dtype=np.float32)[:, None]
        cover = np.clip(grain * dirt, 0, 0.85)[..., None]
        picture = np.rint(picture * (1 - cover) + cover * (88, 100, 108)).astype(np.uint8)
    return picture
