"""Drawn plates without a serial: US, European, Brazilian; and what covers plates."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.port import Image
from vision.reader import STATES
from vision.training.fonts import Fonts, Mask, line
from vision.training.harvest import PLATE_HEIGHT, PLATE_WIDTH

_NAMES = dict(
    zip(
        STATES,
        [
            "Alaska",
            "Alabama",
            "Arkansas",
            "Arizona",
            "California",
            "Colorado",
            "Connecticut",
            "Washington DC",
            "Delaware",
            "Florida",
            "Georgia",
            "Hawaii",
            "Iowa",
            "Idaho",
            "Illinois",
            "Indiana",
            "Kansas",
            "Kentucky",
            "Louisiana",
            "Massachusetts",
            "Maryland",
            "Maine",
            "Michigan",
            "Minnesota",
            "Missouri",
            "Mississippi",
            "Montana",
            "North Carolina",
            "North Dakota",
            "Nebraska",
            "New Hampshire",
            "New Jersey",
            "New Mexico",
            "Nevada",
            "New York",
            "Ohio",
            "Oklahoma",
            "Oregon",
            "Pennsylvania",
            "Rhode Island",
            "South Carolina",
            "South Dakota",
            "Tennessee",
            "Texas",
            "Utah",
            "Virginia",
            "Vermont",
            "Washington",
            "Wisconsin",
            "West Virginia",
            "Wyoming",
        ],
        strict=True,
    )
)
_SLOGANS = [
    "GARDEN STATE",
    "EMPIRE STATE",
    "Grand Canyon State",
    "The Natural State",
    "SHOW-ME STATE",
    "Live Free or Die",
    "10,000 lakes",
    "Wild, Wonderful",
    "www.state.gov",
    "SUNSHINE STATE",
    "FAMOUS POTATOES",
    "LONE STAR STATE",
    "Constitution State",
    "First in Flight",
    "Ocean State",
    "CENTENNIAL",
    "DEALER",
    "TRUCK",
    "COLLECTOR",
    "SMITH MOTORS",
    "(555) 467-1900",
    "AUTO SALES",
    "CITY FORD",
    "HONDA OF TOWN",
    "Peace Garden State",
    "Land of Lincoln",
    "Evergreen State",
    "Treasure State",
    "Discover",
    "Veterans",
    "IN GOD WE TRUST",
    "dmv.ca.gov",
]
_CITIES = [
    "SP-SAO PAULO",
    "RJ-RIO DE JANEIRO",
    "MG-BELO HORIZONTE",
    "BA-SALVADOR",
    "PR-CURITIBA",
    "ES-VITORIA",
    "GO-GOIANIA",
    "PE-RECIFE",
    "RS-PORTO ALEGRE",
    "CE-FORTALEZA",
]
_COUNTRIES = ["D", "SK", "CZ", "PL", "A", "F", "I", "H", "NL", "B", "E", "P", "RO", "SLO"]


@dataclass
class Design:
    """A plate without serial and where the serial goes.

    `top` and `height` are shares of the plate's height, `left` and `right` of its
    width; `ink` is the serial's colour (BGR).
    """

    image: Image
    ink: NDArray[np.float64]
    state: str | None
    top: float
    height: float
    left: float = 0.0
    right: float = 1.0


class Artist:
    """Draws designs with the names and slogans it was given fonts for."""

    def __init__(self, fonts: Fonts) -> None:
        faces = fonts.names
        self._names = {
            state: [line(n, face, 30) for n in (name, name.upper()) for face in faces]
            for state, name in _NAMES.items()
        }
        self._slogans = [line(s, face, 30) for s in _SLOGANS for face in faces]
        self._cities = [line(s, face, 30) for s in _CITIES for face in faces[:4]]
        self._countries = [line(s, face, 30) for s in _COUNTRIES for face in faces[:4]]

    def us(self, rng: np.random.Generator) -> Design:
        """A US passenger plate of no real design: name, slogan, stickers, bolts."""
        state: str | None = STATES[rng.integers(len(STATES))]
        light = rng.random() < 0.88
        base = rng.uniform(150, 255, 3) if light else rng.uniform(0, 110, 3)
        if light and rng.random() < 0.5:
            base = rng.uniform(200, 255) + rng.uniform(-12, 12, 3)
        other = np.clip(base + rng.uniform(-70, 40, 3), 0, 255) if rng.random() < 0.6 else base
        image = _gradient(base, other, rng)
        if rng.random() < 0.3:
            bottom = round(PLATE_HEIGHT * rng.uniform(0.15, 0.25))
            cv2.rectangle(image, (0, 0), (PLATE_WIDTH, bottom), _colour(rng), -1)
        if rng.random() < 0.25:
            upper = round(PLATE_HEIGHT * rng.uniform(0.78, 0.86))
            cv2.rectangle(image, (0, upper), (PLATE_WIDTH, PLATE_HEIGHT), _colour(rng), -1)
        if rng.random() < 0.3:
            _scenery(image, rng)
        ink = rng.uniform(0, 110, 3) if light else rng.uniform(150, 255, 3)
        if light and rng.random() < 0.5:
            ink = np.array([rng.uniform(40, 130), rng.uniform(10, 60), rng.uniform(0, 50)])
        if rng.random() < 0.88 and state is not None:
            names = self._names[state]
            tint = ink if rng.random() < 0.5 else rng.uniform(0, 200, 3)
            name = names[rng.integers(len(names))]
            _write(image, name, rng.uniform(0.02, 0.08), rng.uniform(0.11, 0.19), tint, 0.75)
        else:
            state = None
        if rng.random() < 0.8:
            tint = ink if rng.random() < 0.5 else rng.uniform(0, 200, 3)
            _write(image, self._slogan(rng), rng.uniform(0.8, 0.88), rng.uniform(0.07, 0.12), tint)
        self._stickers(image, rng)
        height = rng.uniform(0.38, 0.56)
        return Design(image, ink, state, 0.5 - height / 2 + rng.uniform(-0.05, 0.06), height)

    def eu(self, rng: np.random.Generator) -> Design:
        """A single-line European plate: white or yellow, often with the blue band."""
        base = np.array([rng.uniform(190, 255)] * 3) + rng.uniform(-10, 10, 3)
        if rng.random() < 0.12:
            base = np.array([rng.uniform(20, 90), rng.uniform(170, 220), rng.uniform(210, 255)])
        image = _gradient(np.clip(base, 0, 255), np.clip(base - rng.uniform(0, 30), 0, 255), rng)
        left = 0.03
        if rng.random() < 0.75:
            left = rng.uniform(0.08, 0.11)
            blue = (round(rng.uniform(120, 200)), round(rng.uniform(40, 90)), 20)
            cv2.rectangle(image, (0, 0), (round(left * PLATE_WIDTH), PLATE_HEIGHT), blue, -1)
            code = self._countries[rng.integers(len(self._countries))]
            _write(image, code, 0.66, 0.2, np.full(3, 240.0), left * 0.7, left / 2)
            cv2.circle(image, (round(left * 128), 40), round(left * 90), (40, 200, 230), 1)
        if rng.random() < 0.6:
            edge = round(rng.uniform(1, 3))
            cv2.rectangle(image, (0, 0), (PLATE_WIDTH - 1, PLATE_HEIGHT - 1), (25, 25, 25), edge)
        height = rng.uniform(0.66, 0.8)
        return Design(image, rng.uniform(0, 60, 3), None, 0.5 - height / 2, height, left, 0.98)

    def br(self, rng: np.random.Generator) -> Design:
        """A Brazilian plate before Mercosur: grey, with the town above the serial."""
        grey = rng.uniform(150, 225)
        base, ink = grey + rng.uniform(-8, 8, 3), rng.uniform(0, 60, 3)
        if rng.random() < 0.15:  # taxis and lorries: white on red
            base, ink = np.array([30.0, 30.0, rng.uniform(130, 190)]), np.full(3, 235.0)
        image = _gradient(base, np.clip(base - rng.uniform(0, 25), 0, 255), rng)
        town = self._cities[rng.integers(len(self._cities))]
        _write(image, town, rng.uniform(0.06, 0.12), rng.uniform(0.11, 0.15), ink, 0.5)
        if rng.random() < 0.6:
            dark = (40, 40, 40)
            cv2.rectangle(image, (1, 1), (PLATE_WIDTH - 2, PLATE_HEIGHT - 2), dark, 2)
        height = rng.uniform(0.52, 0.62)
        return Design(image, ink, None, rng.uniform(0.28, 0.34), height, 0.02, 0.98)

    def dealer_frame(self, image: Image, rng: np.random.Generator) -> Image:
        """A frame over the plate's edge, often with words; in place."""
        dark = rng.random() < 0.6
        colour = rng.integers(0, 60, 3) if dark else rng.integers(120, 230, 3)
        tint = (int(colour[0]), int(colour[1]), int(colour[2]))
        top, bottom = (round(rng.uniform(0.03, 0.17) * PLATE_HEIGHT) for _ in range(2))
        side = round(rng.uniform(0.02, 0.05) * PLATE_WIDTH)
        right, low = PLATE_WIDTH, PLATE_HEIGHT
        for a, b in (
            ((0, 0), (right, top)),
            ((0, low - bottom), (right, low)),
            ((0, 0), (side, low)),
            ((right - side, 0), (right, low)),
        ):
            cv2.rectangle(image, a, b, tint, -1)
        words = 255.0 - colour.astype(np.float64)
        if top > 10 and rng.random() < 0.6:
            _write(image, self._slogan(rng), 0.01, top / low * 0.7, words)
        if bottom > 10 and rng.random() < 0.6:
            _write(image, self._slogan(rng), 1 - bottom / low * 0.85, bottom / low * 0.7, words)
        return image

    def dirt(self, image: Image, rng: np.random.Generator) -> Image:
        """A few half-transparent blotches; in place."""
        for _ in range(int(rng.integers(1, 5))):
            centre = (int(rng.integers(0, PLATE_WIDTH)), int(rng.integers(0, PLATE_HEIGHT)))
            axes = (int(rng.integers(2, 18)), int(rng.integers(2, 14)))
            layer = image.copy()
            cv2.ellipse(layer, centre, axes, rng.uniform(0, 180), 0, 360, _colour(rng), -1)
            share = rng.uniform(0.2, 0.6)
            cv2.addWeighted(layer, share, image, 1 - share, 0, dst=image)
        return image

    def _slogan(self, rng: np.random.Generator) -> Mask:
        return self._slogans[rng.integers(len(self._slogans))]

    def _stickers(self, image: Image, rng: np.random.Generator) -> None:
        for cx, cy in ((0.08, 0.1), (0.92, 0.1), (0.08, 0.9), (0.92, 0.9)):
            if rng.random() < 0.3:
                w, h = round(0.11 * PLATE_WIDTH), round(0.15 * PLATE_HEIGHT)
                x, y = (
                    max(0, round(cx * PLATE_WIDTH - w / 2)),
                    max(0, round(cy * PLATE_HEIGHT - h / 2)),
                )
                cv2.rectangle(image, (x, y), (x + w, y + h), _colour(rng), -1)
                number = str(int(rng.integers(1, 100)))
                font = cv2.FONT_HERSHEY_SIMPLEX
                cv2.putText(
                    image, number, (x + 3, y + h - 4), font, 0.45, _colour(rng), 1, cv2.LINE_AA
                )
        for cx in (0.25, 0.75):
            for cy in (0.07, 0.93):
                if rng.random() < 0.5:
                    at = (round(cx * PLATE_WIDTH), round(cy * PLATE_HEIGHT))
                    cv2.circle(image, at, int(rng.integers(2, 6)), _colour(rng), -1, cv2.LINE_AA)


def _gradient(
    base: NDArray[np.float64], other: NDArray[np.float64], rng: np.random.Generator
) -> Image:
    t = np.linspace(0, 1, PLATE_HEIGHT)[:, None, None]
    if rng.random() < 0.5:
        t = np.abs(2 * t - 1)
    return np.repeat(np.clip(base * (1 - t) + other * t, 0, 255), PLATE_WIDTH, axis=1).astype(
        np.uint8
    )


def _scenery(image: Image, rng: np.random.Generator) -> None:
    """Soft hills or rays behind the serial."""
    layer = image.copy()
    xs = np.linspace(0, PLATE_WIDTH, 9)
    ys = PLATE_HEIGHT * (rng.uniform(0.3, 0.9) + rng.uniform(-0.15, 0.15, 9))
    points = [*zip(xs, ys, strict=True), (PLATE_WIDTH, PLATE_HEIGHT), (0, PLATE_HEIGHT)]
    cv2.fillPoly(layer, [np.round(np.array(points)).astype(np.int32)], _colour(rng), cv2.LINE_AA)
    share = rng.uniform(0.1, 0.45)
    cv2.addWeighted(layer, share, image, 1 - share, 0, dst=image)


def _write(
    image: Image,
    mask: Mask,
    top: float,
    height: float,
    ink: NDArray[np.float64],
    widest: float = 0.7,
    middle: float = 0.5,
) -> None:
    """A line of text; `top`, `height`, `widest` and `middle` are shares of the plate."""
    h = max(4, round(height * PLATE_HEIGHT))
    w = max(6, min(round(mask.shape[1] * h / mask.shape[0]), round(widest * PLATE_WIDTH)))
    x = min(max(0, round(middle * PLATE_WIDTH - w / 2)), PLATE_WIDTH - w)
    y = min(max(0, round(top * PLATE_HEIGHT)), PLATE_HEIGHT - h)
    share = cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None]
    share /= 255
    place = image[y : y + h, x : x + w]
    place[:] = (place * (1 - share) + ink.astype(np.float32) * share).astype(np.uint8)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    blue, green, red = (int(v) for v in rng.integers(0, 256, 3))
    return blue, green, red
