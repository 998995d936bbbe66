"""Training batches, made on the training device: plates seen by cameras, and their crops.

A batch follows from (seed, step): a stopped training goes on with the batches it would
have had. Plates are warped onto backgrounds, photographed (`light`), and, for the
reader, cut out again by corners that are as wrong as a detector's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vision.rectify import HEIGHT, MARGIN_X, MARGIN_Y, WIDTH
from vision.training.bank import (
    CANVAS,
    CROP,
    FRAME_OTHER,
    FRAME_US,
    NOTHING,
    RIM,
    SYNTH,
    VIEW,
    PlateBank,
    ViewBank,
)
from vision.training.geometry import UNIT, Floats, apply, homographies, random_quads, sides
from vision.training.harvest import PLATE_HEIGHT, PLATE_WIDTH
from vision.training.light import look, put, shade

PATCH = (192, 320)
"""Height and width of a detector's training picture."""

SLOTS = 3
"""Plates a detector's training picture may have: the labelled one and two drawn ones."""

_GROUPS = 6  # crops of like resolution share one pass
# Kinds in a batch of the reader, early and late: SYNTH, CROP, FRAME_US, FRAME_OTHER, NOTHING.
_EARLY = np.array([0.74, 0.14, 0.04, 0.05, 0.03])
_LATE = np.array([0.60, 0.21, 0.09, 0.07, 0.03])
_IN_PLATE = np.array([[0, 0], [PLATE_WIDTH, 0], [PLATE_WIDTH, PLATE_HEIGHT], [0, PLATE_HEIGHT]])


@dataclass(frozen=True)
class CropBatch:
    """pictures: N x 3 x HEIGHT x WIDTH, 0 to 255. index: entries of the bank.

    centres: N x MOST_CHARACTERS, middles of characters as shares of the crop's width,
    -1 where unknown.
    """

    pictures: Tensor
    index: NDArray[np.int64]
    centres: Floats


@dataclass(frozen=True)
class PatchBatch:
    """pictures: N x 3 x PATCH, 0 to 255. Per picture SLOTS plates, in pixels.

    centre, size: N x SLOTS x 2. corners: N x SLOTS x 4 x 2, relative to the centre and
    divided by the size. present: 0 no plate, 1 plate, 2 to be ignored. cornered: whether
    the corners are known.
    """

    pictures: Tensor
    centre: Tensor
    size: Tensor
    corners: Tensor
    present: Tensor
    cornered: Tensor


class Scenes:
    """Draws batches from banks that live on `device`."""

    def __init__(self, plates: PlateBank, views: ViewBank, seed: int, device: torch.device) -> None:
        self._views, self._seed, self._device = views, seed, device
        self.replace_plates(plates)
        self._images = torch.from_numpy(views.images).permute(0, 3, 1, 2).contiguous().to(device)
        inside = np.zeros(CANVAS, np.float32)
        inside[RIM : CANVAS[0] - RIM, RIM : CANVAS[1] - RIM] = 1
        self._inside = torch.from_numpy(inside).to(device)

    @property
    def plates(self) -> PlateBank:
        """The plates that batches show."""
        return self._plates

    def replace_plates(self, plates: PlateBank) -> None:
        """Show other plates from now on."""
        self._plates = plates
        self._canvases = torch.empty(0)  # frees the old ones before the new ones come
        self._canvases = torch.from_numpy(plates.canvases).permute(0, 3, 1, 2).to(self._device)
        self._by_kind = [np.nonzero(plates.kinds == kind)[0] for kind in range(5)]

    # ---------------------------------------------------------------- reader

    def crops(self, step: int, count: int, progress: float) -> CropBatch:
        """Crops for one step of the reader; `progress` 0 to 1 moves towards real plates."""
        rng, noise = self._random(step, 1)
        shares = _EARLY + (_LATE - _EARLY) * min(1.0, progress / 0.7)
        index = self._draw(rng, count, shares)
        easy = progress < 0.02
        aspects = self._plates.aspects[index] * rng.uniform(0.93, 1.08, count)
        aspects = np.where(
            self._plates.kinds[index] == NOTHING, rng.uniform(1.8, 4.8, count), aspects
        )
        widths = self._widths(rng, index, aspects, easy)
        order = np.argsort(widths)
        index, widths, aspects = index[order], widths[order], aspects[order]
        quads = random_quads(rng, widths, widths / aspects, 0.2 if easy else 1.0)
        guesses = _guess(rng, quads, self._plates.kinds[index])
        centres = self._moved_centres(index, quads, guesses)
        parts = [
            self._crop_group(index[part], quads[part], guesses[part], rng, noise, easy)
            for part in np.array_split(np.arange(count), _GROUPS)
        ]
        return CropBatch(torch.cat(parts) * 255, index, centres)

    def _widths(
        self, rng: np.random.Generator, index: NDArray[np.int64], aspects: Floats, easy: bool
    ) -> Floats:
        """Pixels across the plate as the camera sees it: 42 to 250, real ones not far below
        what they were seen at. Long plates are seen larger, so that characters are as high."""
        count = len(index)
        if easy:
            return rng.uniform(130, 250, count)
        small = rng.random(count) < 0.7
        widths = np.where(small, rng.uniform(42, 120, count), rng.uniform(120, 250, count))
        widths = np.minimum(widths * np.sqrt(aspects / 2), 260)
        native = self._plates.native[index]
        least = np.minimum(native * rng.uniform(0.6, 1.0, count), 200)
        return np.asarray(np.where(native > 0, np.maximum(widths, least), widths))

    def _crop_group(
        self,
        index: NDArray[np.int64],
        quads: Floats,
        guesses: Floats,
        rng: np.random.Generator,
        noise: torch.Generator,
        easy: bool,
    ) -> Tensor:
        reach = np.concatenate([np.abs(quads), np.abs(guesses)], axis=1).max(axis=(0, 1))
        width, height = (int(np.ceil((1.16 * 2 * r + 6) / 8)) * 8 for r in reach)
        middle = np.array([width / 2, height / 2])
        plate = self._texture(index, float(sides(quads)[0].max()), rng)
        scale = CANVAS[1] / plate.shape[3]
        canvas_map = homographies(
            quads + middle, np.broadcast_to((_IN_PLATE + RIM) / scale, quads.shape)
        )
        seen = warp(plate, canvas_map, (height, width))
        ground = self._ground(len(index), (height, width), rng)
        alpha = seen[:, 3:]
        picture = shade(seen[:, :3], rng) * alpha + ground * (1 - alpha)
        if not easy:
            picture = look(picture, rng, noise, 1.0)
        whole = np.array([1 + 2 * MARGIN_X, 1 + 2 * MARGIN_Y])
        target = (UNIT + np.array([MARGIN_X, MARGIN_Y])) / whole * (WIDTH, HEIGHT)
        cut = homographies(np.broadcast_to(target, quads.shape), guesses + middle)
        return warp(picture, cut, (HEIGHT, WIDTH), "border")

    def _moved_centres(self, index: NDArray[np.int64], quads: Floats, guesses: Floats) -> Floats:
        """Middles of characters in the crop that the guessed corners cut."""
        along = self._plates.centres[index].astype(np.float64)
        points = np.stack([along, np.full_like(along, 0.5)], axis=2)
        unit = np.broadcast_to(UNIT, quads.shape)
        seen = apply(homographies(unit, quads), points)
        back = apply(homographies(guesses, unit), seen)[..., 0]
        return np.where(along >= 0, (back + MARGIN_X) / (1 + 2 * MARGIN_X), -1)

    # -------------------------------------------------------------- detector

    def patches(self, step: int, count: int) -> PatchBatch:
        """Pictures for one step of the detector."""
        rng, noise = self._random(step, 2)
        height, width = PATCH
        chosen = rng.integers(0, len(self._views.images), count)
        boxes = self._views.boxes[chosen].astype(np.float64)
        scale = rng.uniform(0.85, 1.2, count)
        flip = np.where(rng.random(count) < 0.5, -1.0, 1.0)
        turn = np.radians(rng.normal(0, 3, count))
        shift = rng.uniform(-1, 1, (count, 2)) * (22, 22)
        cos, sin = np.cos(turn) * scale, np.sin(turn) * scale
        view_mid = np.array([VIEW[1] / 2, VIEW[0] / 2])
        view_map = np.zeros((count, 3, 3))  # from view to patch
        view_map[:, 0, 0], view_map[:, 0, 1] = flip * cos, -sin
        view_map[:, 1, 0], view_map[:, 1, 1] = flip * sin, cos
        linear = view_map[:, :2, :2]
        view_map[:, :2, 2] = np.array([width / 2, height / 2]) + shift - linear @ view_mid
        view_map[:, 2, 2] = 1
        picture = warp(
            self._images[put(chosen, self._device)].float() / 255,
            np.asarray(np.linalg.inv(view_map), np.float64),
            PATCH,
        )
        centre = np.zeros((count, SLOTS, 2))
        size = np.ones((count, SLOTS, 2))
        corners = np.tile(UNIT - 0.5, (count, SLOTS, 1, 1))
        present = np.zeros((count, SLOTS), np.int64)
        real = boxes[:, 2] > 0
        middles = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]
        centre[:, 0] = apply(view_map, middles)[:, 0]
        size[real, 0] = boxes[real, 2:] * scale[real, None]
        present[real, 0] = 1
        for slot in (1, 2):
            picture = self._paste(picture, centre, size, corners, present, slot, chosen, rng)
        present = _visible(centre, size, present)
        picture = look(picture, rng, noise, 0.5)
        return PatchBatch(
            picture * 255,
            self._tensor(centre),
            self._tensor(size),
            self._tensor(corners),
            put(present, self._device),
            put(np.array([False, True, True]), self._device).expand(count, SLOTS),
        )

    def _paste(
        self,
        picture: Tensor,
        centre: Floats,
        size: Floats,
        corners: Floats,
        present: NDArray[np.int64],
        slot: int,
        chosen: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Tensor:
        """Lay a drawn plate (or a sign, which is none) over some of the pictures."""
        count = len(centre)
        index = self._draw(rng, count, np.array([0.62, 0.2, 0, 0, 0.18]))
        aspects = self._plates.aspects[index] * rng.uniform(0.93, 1.08, count)
        labelled = present[:, 0] == 1
        over = labelled & (slot == 1) & (rng.random(count) < 0.45)
        us = self._views.us[chosen]
        widths = np.exp(rng.uniform(np.log(20), np.log(130), count))
        widths = np.where(rng.random(count) < 0.15, rng.uniform(100, 260, count), widths)
        widths *= np.sqrt(aspects / 2)
        cover = size[:, 0, 0] * rng.uniform(1.0, 1.12, count)
        cover = np.where(us | (aspects > 2.6), cover, np.maximum(cover, size[:, 0, 1] * aspects))
        widths = np.where(over, cover, widths)
        heights = widths / aspects
        at = rng.uniform(0.05, 0.95, (count, 2)) * PATCH[::-1]
        at = np.where(over[:, None], centre[:, 0], at)
        often = np.where(labelled, 0.12, 0.62) if slot == 1 else np.full(count, 0.15)
        wanted = over | (rng.random(count) < often)
        for other in range(slot):
            apart = np.abs(at - centre[:, other]) > (
                np.stack([widths, heights], axis=1) + size[:, other]
            ) * (0.7, 0.8)
            free = apart.any(axis=1) | (present[:, other] == 0)
            wanted &= free | (over & (other == 0))
        rows = np.nonzero(wanted)[0]
        rows = rows[np.argsort(widths[rows])]
        if len(rows) == 0:
            return picture
        quads = random_quads(rng, widths[rows], heights[rows]) + at[rows][:, None]
        for part in np.array_split(np.arange(len(rows)), 3):
            if len(part):
                at_rows = put(rows[part], self._device)
                below = picture.index_select(0, at_rows)
                mounted = np.where(over[rows[part]], 0.1, 0.55) > rng.random(len(part))
                above = self._lay(below, index[rows[part]], quads[part], mounted, rng)
                picture = picture.index_copy(0, at_rows, above)
        is_plate = self._plates.kinds[index[rows]] != NOTHING
        wide, high = sides(quads)
        centre[rows, slot] = quads.mean(axis=1)
        size[rows, slot] = np.stack([wide, high], axis=1)
        corners[rows, slot] = (quads - quads.mean(axis=1, keepdims=True)) / size[rows, slot][
            :, None
        ]
        present[rows, slot] = is_plate
        present[rows[over[rows]], 0] = 0
        return picture

    def _lay(
        self,
        below: Tensor,
        index: NDArray[np.int64],
        quads: Floats,
        mounted: NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Tensor:
        plate = self._texture(index, float(sides(quads)[0].max()), rng, rims=False)
        scale = CANVAS[1] / plate.shape[3]
        seen = warp(
            plate,
            homographies(quads, np.broadcast_to((_IN_PLATE + RIM) / scale, quads.shape)),
            PATCH,
        )
        middle = quads.mean(axis=1, keepdims=True)
        panel = middle + (quads - middle) * rng.uniform(1.15, 3.0, (len(quads), 1, 2))
        inside = _inside_unit(homographies(panel, np.broadcast_to(UNIT, quads.shape)), below)
        paint = rng.uniform(0, 1, (len(quads), 3)) * (rng.random((len(quads), 1)) < 0.4)
        paint = np.where(
            paint.any(axis=1, keepdims=True), paint, rng.uniform(0, 0.9, (len(quads), 1))
        )
        colour = put(paint, below.device)[..., None, None]
        inside = inside * put(mounted.astype(np.float32), below.device)[:, None, None, None]
        below = below * (1 - inside) + colour * inside
        alpha = seen[:, 3:]
        area = alpha.sum((1, 2, 3), keepdim=True) + 1e-3
        around = (below * alpha).mean(1, keepdim=True).sum((1, 2, 3), keepdim=True) / area
        own = (seen[:, :3] * alpha).mean(1, keepdim=True).sum((1, 2, 3), keepdim=True) / area
        lift = rng.uniform(10, 110, len(quads)) / 255
        fit = ((around + self._tensor(lift)[:, None, None, None]) / (own + 0.01)).clamp(0.2, 1.3)
        keep = put(rng.random(len(quads)) < 0.3, below.device)[:, None, None, None]
        shown = seen[:, :3] * torch.where(keep, torch.ones_like(fit), fit)
        return below * (1 - alpha) + shown.clamp(0, 1) * alpha

    # ---------------------------------------------------------------- shared

    def _random(self, step: int, stream: int) -> tuple[np.random.Generator, torch.Generator]:
        rng = np.random.default_rng([self._seed, stream, step])
        noise = torch.Generator(self._device)
        noise.manual_seed(int(rng.integers(2**62)))
        return rng, noise

    def _draw(self, rng: np.random.Generator, count: int, shares: Floats) -> NDArray[np.int64]:
        """Entries of the bank, kinds by `shares`; kinds the bank lacks become drawn plates."""
        kinds = rng.choice(5, size=count, p=shares / shares.sum())
        spins = rng.integers(0, 2**31, count)
        index = np.empty(count, np.int64)
        for i, (kind, spin) in enumerate(zip(kinds, spins, strict=True)):
            pool = self._by_kind[kind] if len(self._by_kind[kind]) else self._by_kind[SYNTH]
            index[i] = pool[spin % len(pool)]
        return index

    def _texture(
        self,
        index: NDArray[np.int64],
        widest: float,
        rng: np.random.Generator,
        rims: bool = True,
    ) -> Tensor:
        """Plates with alpha, N x 4 x H x W, shrunk so that none is sampled too thinly."""
        at = put(index, self._device)
        colour = self._canvases.index_select(0, at).float() / 255
        whole = self._plates.surrounded[index] | (rng.random(len(index)) < 0.12)
        if not rims:
            whole = np.zeros(len(index), np.bool_)
        open_rim = put(whole.astype(np.float32), self._device)[:, None, None, None]
        alpha = torch.maximum(self._inside.expand(len(index), 1, *CANVAS), open_rim)
        texture = torch.cat([colour, alpha], 1)
        shrink = 4 if widest < 70 else 2 if widest < 150 else 1
        return functional.avg_pool2d(texture, shrink) if shrink > 1 else texture

    def _ground(self, count: int, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
        """What is around plates: pieces of views, or plain paint."""
        chosen = put(rng.integers(0, len(self._images), count), self._device)
        h, w = VIEW[0] // 2, VIEW[1] // 2
        y, x = int(rng.integers(0, VIEW[0] - h)), int(rng.integers(0, VIEW[1] - w))
        pieces = self._images[chosen, :, y : y + h, x : x + w].float() / 255
        pieces = functional.interpolate(pieces, size, mode="bilinear", antialias=False)
        dim = np.where(rng.random(count) < 0.5, rng.uniform(0.2, 0.8, count), 1.0)
        plain = rng.random(count) < 0.35
        paint = rng.uniform(0, 1, (count, 3)) * np.where(rng.random((count, 1)) < 0.4, 1.0, 0.0)
        paint = np.where(paint.any(axis=1, keepdims=True), paint, rng.uniform(0, 0.95, (count, 1)))
        colour = self._tensor(paint)[..., None, None]
        flat = put(plain, self._device)[:, None, None, None]
        return torch.where(flat, colour, pieces * self._tensor(dim)[:, None, None, None])

    def _tensor(self, values: Floats) -> Tensor:
        return put(values, self._device)


def warp(pictures: Tensor, maps: Floats, size: tuple[int, int], padding: str = "zeros") -> Tensor:
    """N x C x h x w sampled at `maps` (N x 3 x 3, from result to picture) of each result pixel."""
    height, width = pictures.shape[2:]
    points = _through(maps, size, pictures)
    grid = torch.stack([points[..., 0] / width, points[..., 1] / height], -1) * 2 - 1
    return functional.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)


def _through(maps: Floats, size: tuple[int, int], like: Tensor) -> Tensor:
    """Middles of the result's pixels through the maps: N x H x W x 2."""
    tall = torch.arange(size[0], device=like.device, dtype=torch.float32) + 0.5
    wide = torch.arange(size[1], device=like.device, dtype=torch.float32) + 0.5
    y, x = torch.meshgrid(tall, wide, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1).reshape(1, -1, 3)
    onto = put(maps, like.device)
    moved = points @ onto.transpose(1, 2)
    depth = moved[..., 2:]
    depth = torch.where(depth.abs() < 1e-6, torch.full_like(depth, 1e-6), depth)
    return (moved[..., :2] / depth).reshape(len(maps), *size, 2)


def _inside_unit(maps: Floats, like: Tensor) -> Tensor:
    points = _through(maps, (like.shape[2], like.shape[3]), like)
    return ((points > 0) & (points < 1)).all(-1).float()[:, None]


def _guess(rng: np.random.Generator, quads: Floats, kinds: NDArray[np.int64]) -> Floats:
    """Corners as a detector would give them: near the truth, sometimes an upright box."""
    count = len(quads)
    wide, high = sides(quads)
    upright = rng.random(count) < 0.12
    low, top = quads.min(axis=1), quads.max(axis=1)
    boxes = low[:, None] + UNIT[None] * (top - low)[:, None]
    base = np.where(upright[:, None, None], boxes, quads)
    loose = np.where(rng.random(count) < 0.2, 2.0, 1.0)[:, None, None]
    # Labelled boxes of frames are loose already.
    loose = loose * np.where((kinds == FRAME_US) | (kinds == FRAME_OTHER), 0.8, 1.0)[:, None, None]
    unit = np.stack([wide, high], axis=1)[:, None]
    each = rng.normal(0, 1, (count, 4, 2)) * (0.010, 0.022)
    shift = rng.normal(0, 1, (count, 1, 2)) * (0.016, 0.03)
    grow = 1 + rng.normal(0.005, 1, (count, 1, 2)) * (0.025, 0.04) * loose
    middle = base.mean(axis=1, keepdims=True)
    exact = np.where((kinds == CROP) & (rng.random(count) < 0.3), 0.0, 1.0)[:, None, None]
    grow = 1 + (grow - 1) * exact
    return np.asarray(middle + (base - middle) * grow + (each + shift) * unit * loose * exact)


def _visible(centre: Floats, size: Floats, present: NDArray[np.int64]) -> NDArray[np.int64]:
    """Plates mostly out of the picture are ignored, those wholly out of it absent."""
    low, top = centre - size / 2, centre + size / 2
    bound = np.array(PATCH[::-1], np.float64)
    seen = np.clip(np.minimum(top, bound) - np.maximum(low, 0), 0, None).prod(axis=2)
    share = seen / size.prod(axis=2)
    within = ((centre >= 0) & (centre < bound)).all(axis=2)
    state = np.where((share < 0.75) | ~within, 2, 1)
    return np.where((present == 0) | (share < 0.05), 0, state)
