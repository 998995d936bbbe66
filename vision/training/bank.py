"""Stores of drawn plates, signs and views, made once per training by all processors.

Every entry is drawn from its own seed, so a bank does not depend on the number of workers.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr.errors import ConfigurationError
from vision.port import Image
from vision.rectify import box_corners
from vision.training.data import UNKNOWN_STATE, LabelledFrame, LabelledSet, picture
from vision.training.fonts import Fonts
from vision.training.geometry import Quad, homographies
from vision.training.harvest import PLATE_HEIGHT, PLATE_WIDTH
from vision.training.parallel import parallel
from vision.training.signs import sign
from vision.training.synth import ASPECTS, MOST_CHARACTERS, Plate, PlateFactory, collect

RIM = 16
"""Pixels kept around every plate of a bank: real surroundings, or the edge repeated."""

CANVAS = (PLATE_HEIGHT + 2 * RIM, PLATE_WIDTH + 2 * RIM)
"""Height and width of a plate with its rim."""

VIEW = (256, 384)
"""Height and width of a view: a piece of a frame at the detector's scale."""

SYNTH, CROP, FRAME_US, FRAME_OTHER, NOTHING = range(5)
"""Kinds of plates: drawn, labelled crop, in a US frame, in another frame, no plate at all."""

NOT_LABELLED = -1
"""State of plates whose label does not say it: no loss."""

_LONG_SIDE = 640
_CROP_VARIANTS = 4


@dataclass(frozen=True)
class PlateBank:
    """Plates with their rims, and what is known of each.

    canvases: N x CANVAS x 3. surrounded: N, whether the rim shows real surroundings.
    centres: N x MOST_CHARACTERS, middles of characters as shares of the plate's width,
    -1 where unknown. native: N, width in pixels at which a real plate was seen, 0 if drawn.
    """

    canvases: NDArray[np.uint8]
    surrounded: NDArray[np.bool_]
    texts: tuple[str, ...]
    centres: NDArray[np.float32]
    states: NDArray[np.int64]
    aspects: NDArray[np.float32]
    native: NDArray[np.float32]
    kinds: NDArray[np.int64]


@dataclass(frozen=True)
class ViewBank:
    """Pieces of frames. images: N x VIEW x 3; boxes: N x 4 (x, y, w, h; w = 0: no plate);
    us: N, whether a US plate."""

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    us: NDArray[np.bool_]


# Workers are forked: they inherit these, and write pictures into memory shared with their parent.
_target: NDArray[np.uint8] = np.empty(0, np.uint8)
_factory: PlateFactory | None = None
_fonts: Fonts | None = None
_frames: list[tuple[Image, LabelledFrame, float]] = []
_empty: list[Image] = []


def plate_bank(
    labelled: LabelledSet,
    empty: list[Image],
    size: int,
    seed: int,
    workers: int,
) -> PlateBank:
    """`size` drawn plates, `size` / 16 things that are none, and every labelled plate."""
    global _factory, _fonts
    _empty[:] = empty
    stock = collect(labelled, workers)
    _fonts = Fonts.load()
    _factory = PlateFactory(stock, _fonts)
    reals, nothings = len(stock.crops) * _CROP_VARIANTS, size // 16
    readable = [f for f in labelled.frames if len(f.text) <= MOST_CHARACTERS]
    canvases = _shared((size + reals + len(readable) + nothings, *CANVAS, 3))
    plates = parallel(partial(_synth, seed), size, workers)
    plates += parallel(partial(_real, seed, size), reals, workers)
    kinds = [SYNTH] * size + [CROP] * reals
    native = [0.0] * len(plates)
    surrounded = [False] * len(plates)
    for frame in readable:
        image, _ = picture(frame.file)
        canvases[len(plates)] = _upright(image, box_corners(frame.box))
        state = NOT_LABELLED if frame.region == "us" else UNKNOWN_STATE
        plates.append(_Drawn(frame.text, (), state, frame.region))
        native.append(frame.box.w)
        surrounded.append(True)
        kinds.append(FRAME_US if frame.region == "us" else FRAME_OTHER)
    plates += parallel(partial(_nothing, seed, len(plates)), nothings, workers)
    native += [0.0] * nothings
    surrounded += [True] * nothings
    kinds += [NOTHING] * nothings
    centres = np.full((len(plates), MOST_CHARACTERS), -1, np.float32)
    for row, plate in zip(centres, plates, strict=True):
        if len(plate.centres) == len(plate.text):
            row[: len(plate.centres)] = plate.centres
    return PlateBank(
        canvases,
        np.array(surrounded),
        tuple(p.text for p in plates),
        centres,
        np.array([p.state for p in plates], np.int64),
        np.array([ASPECTS[p.region] for p in plates], np.float32),
        np.array(native, np.float32),
        np.array(kinds, np.int64),
    )


def straighten(bank: PlateBank, labelled: LabelledSet, quads: dict[Path, Quad]) -> None:
    """Cut frames' plates anew, in place, where their corners are known (pixels of the picture)."""
    readable = [f for f in labelled.frames if len(f.text) <= MOST_CHARACTERS]
    entries = np.nonzero((bank.kinds == FRAME_US) | (bank.kinds == FRAME_OTHER))[0]
    for entry, frame in zip(entries, readable, strict=True):
        if frame.file in quads:
            bank.canvases[entry] = _upright(picture(frame.file)[0], quads[frame.file])


def view_bank(
    labelled: LabelledSet, empty: list[Image], size: int, seed: int, workers: int
) -> ViewBank:
    """`size` views, about half around labelled plates, the rest from pictures without plates."""
    _frames.clear()
    for frame in labelled.frames:
        image, shrunk = picture(frame.file, 1100)
        _frames.append((image, frame, shrunk))
    _empty[:] = empty
    images = _shared((size, *VIEW, 3))
    made = parallel(partial(_view, seed), size, workers)
    return ViewBank(
        images, np.array([m[0] for m in made], np.float32), np.array([m[1] for m in made])
    )


def empty_pictures(folder: Path | None, labelled: LabelledSet) -> list[Image]:
    """Pictures that show no plate: a folder's, or else parts of the frames off their plates.

    Raises:
        ConfigurationError: the folder is not there or holds no picture.
    """
    if folder is not None:
        files = sorted(f for f in folder.glob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png"))
        if not files:
            raise ConfigurationError(
                f"--backgrounds must name a folder of JPEG or PNG pictures; {folder} has none"
            )
        return [picture(f, _LONG_SIDE)[0] for f in files]
    parts: list[Image] = []
    for frame in labelled.frames:
        image, scale = picture(frame.file, _LONG_SIDE)
        x, w = frame.box.x * scale, frame.box.w * scale
        beside = (image[:, : int(max(0, x - w / 2))], image[:, int(x + 1.5 * w) :])
        parts.extend(np.ascontiguousarray(part) for part in beside if part.shape[1] >= 120)
    return parts


def _shared(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Memory that forked workers write and the parent reads; the target of pictures from now on."""
    global _target
    size = int(np.prod(shape))
    _target = np.frombuffer(mmap.mmap(-1, size), np.uint8, size).reshape(shape)
    return _target


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A plate whose picture is in shared memory."""

    text: str
    centres: tuple[float, ...]
    state: int
    region: str


def _put(entry: int, plate: Plate) -> _Drawn:
    _target[entry] = cv2.copyMakeBorder(plate.image, RIM, RIM, RIM, RIM, cv2.BORDER_REPLICATE)
    return _Drawn(plate.text, plate.centres, plate.state, plate.region)


def _synth(seed: int, index: int) -> _Drawn:
    if _factory is None:
        raise RuntimeError("plate_bank sets the factory before workers start")
    return _put(index, _factory.plate(np.random.default_rng([seed, 1, index])))


def _real(seed: int, first: int, index: int) -> _Drawn:
    if _factory is None:
        raise RuntimeError("plate_bank sets the factory before workers start")
    return _put(first + index, _factory.real(np.random.default_rng([seed, 2, index]), index))


def _nothing(seed: int, first: int, index: int) -> _Drawn:
    if _fonts is None:
        raise RuntimeError("plate_bank sets the fonts before workers start")
    rng = np.random.default_rng([seed, 3, index])
    _target[first + index] = _piece(_empty, rng) if index % 2 else sign(_fonts, CANVAS, rng)
    return _Drawn("", (), UNKNOWN_STATE, "us")


def _upright(image: Image, quad: Quad) -> Image:
    """A frame's plate with its surroundings, warped upright."""
    shrink = float(np.linalg.norm(quad[1] - quad[0])) / PLATE_WIDTH
    if shrink > 1.5:
        image = np.asarray(
            cv2.resize(image, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA),
            dtype=np.uint8,
        )
        quad = quad / shrink
    target = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (PLATE_WIDTH, PLATE_HEIGHT) + RIM
    onto = homographies(quad[None].astype(np.float64), target[None])[0]
    return np.asarray(
        cv2.warpPerspective(
            image, onto, CANVAS[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        ),
        dtype=np.uint8,
    )


def _piece(pictures: list[Image], rng: np.random.Generator) -> Image:
    """A random part of a picture without plates, at the size of a canvas."""
    image = pictures[rng.integers(len(pictures))]
    w = int(rng.uniform(24, min(200, image.shape[1])))
    h = max(4, min(image.shape[0], round(w / rng.uniform(1.5, 4.5))))
    x, y = (
        int(rng.integers(0, image.shape[1] - w + 1)),
        int(rng.integers(0, image.shape[0] - h + 1)),
    )
    return np.asarray(cv2.resize(image[y : y + h, x : x + w], CANVAS[::-1]), dtype=np.uint8)


def _view(seed: int, index: int) -> tuple[tuple[float, float, float, float], bool]:
    rng = np.random.default_rng([seed, 4, index])
    if rng.random() < 0.52 or not _empty:
        us = rng.random() < 0.62
        group = [f for f in _frames if (f[1].region == "us") == us] or _frames
        image, frame, shrunk = group[rng.integers(len(group))]
        box = np.array([frame.box.x, frame.box.y, frame.box.w, frame.box.h]) * shrunk
        scale = _LONG_SIDE / max(image.shape[:2]) * float(np.exp(rng.normal(0, 0.33)))
        if frame.region != "us":
            scale *= rng.uniform(0.4, 1.0)
        scale = float(np.clip(scale, 22 / box[2], 260 / box[2]))
        shift = rng.uniform(-0.42, 0.42, 2) * (VIEW[1], VIEW[0]) / scale
        middle = box[:2] + box[2:] / 2 + shift
        if rng.random() < 0.15:
            middle = rng.uniform(0, 1, 2) * (image.shape[1], image.shape[0])
    else:
        image, box, us = _empty[rng.integers(len(_empty))], np.zeros(4), False
        scale = _LONG_SIDE / max(image.shape[:2]) * float(np.exp(rng.normal(0, 0.3)))
        middle = rng.uniform(0.2, 0.8, 2) * (image.shape[1], image.shape[0])
    corner = middle - np.array([VIEW[1], VIEW[0]]) / scale / 2
    _target[index] = _window(image, corner, scale)
    placed = np.concatenate([(box[:2] - corner) * scale, box[2:] * scale])
    return (float(placed[0]), float(placed[1]), float(placed[2]), float(placed[3])), us


def _window(image: Image, corner: NDArray[np.float64], scale: float) -> Image:
    """VIEW pixels of `image` from `corner` on, scaled; grey where there is no picture."""
    if scale < 0.7:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image, corner, scale = np.asarray(small, np.uint8), corner * scale, 1.0
    onto = np.array([[1 / scale, 0, corner[0]], [0, 1 / scale, corner[1]]])
    return np.asarray(
        cv2.warpAffine(
            image,
            onto,
            VIEW[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(114, 114, 114),
        ),
        dtype=np.uint8,
    )
