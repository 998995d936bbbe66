"""Things with text that are no plates: signs, badges, stickers, adverts."""

from __future__ import annotations

import cv2
import numpy as np

from vision.port import Image
from vision.training.fonts import Fonts, line

_WORDS = [
    "SPEED",
    "LIMIT",
    "STOP",
    "EXIT",
    "ONE WAY",
    "TOYOTA",
    "HONDA",
    "FORD",
    "CHEVROLET",
    "CAMRY",
    "CIVIC",
    "4x4",
    "TURBO",
    "HYBRID",
    "V6",
    "GT",
    "SALE",
    "OPEN",
    "PARKING",
    "NO",
    "TAXI",
    "POLICE",
    "SCHOOL BUS",
    "555-0134",
    "www.example.com",
    "HOTEL",
    "BANK",
    "MAIN ST",
    "YIELD",
    "55",
    "65",
    "35",
    "TDI",
    "quattro",
    "LIMITED",
    "SPORT",
    "F-150",
    "RAM",
    "JEEP",
    "baby on board",
    "FOR RENT",
    "24h",
    "CAFE",
]


def sign(fonts: Fonts, size: tuple[int, int], rng: np.random.Generator) -> Image:
    """A sign of `size` (height, width): one to three lines of words on a plain ground."""
    height, width = size
    ground = rng.integers(0, 256, 3)
    ink = 255 - ground if rng.random() < 0.6 else rng.integers(0, 256, 3)
    image = np.full((height, width, 3), ground, np.uint8)
    if rng.random() < 0.4:
        edge = int(rng.integers(2, 9))
        colour = tuple(int(v) for v in ink)
        cv2.rectangle(image, (edge, edge), (width - edge, height - edge), colour, edge // 2 + 1)
    rows = int(rng.integers(1, 4))
    for row in range(rows):
        words = " ".join(_WORDS[k] for k in rng.integers(0, len(_WORDS), int(rng.integers(1, 3))))
        mask = line(words, fonts.names[rng.integers(len(fonts.names))], 40)
        h = round(height / rows * rng.uniform(0.4, 0.8))
        w = min(round(mask.shape[1] * h / mask.shape[0]), round(width * 0.94))
        y = round(height * (row + 0.5) / rows - h / 2)
        x = round((width - w) * rng.uniform(0.1, 0.9))
        share = cv2.resize(mask, (max(4, w), max(4, h)), interpolation=cv2.INTER_AREA)[..., None]
        place = image[y : y + share.shape[0], x : x + share.shape[1]]
        share = share[: place.shape[0], : place.shape[1]].astype(np.float32) / 255
        place[:] = (place * (1 - share) + ink.astype(np.float32) * share).astype(np.uint8)
    return image
