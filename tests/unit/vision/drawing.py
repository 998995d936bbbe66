"""Pictures drawn by the tests: plates on vehicles in front of a noisy road."""

from __future__ import annotations

import cv2
import numpy as np

from vision.port import Box, Image

_PLATE_W, _PLATE_H = 480, 240


def plate(text: str) -> Image:
    """A white plate of 240 x 480 pixels with dark characters and a rim."""
    image = np.full((_PLATE_H, _PLATE_W, 3), (236, 240, 240), np.uint8)
    cv2.rectangle(image, (6, 6), (_PLATE_W - 7, _PLATE_H - 7), (90, 40, 20), 6)
    scale, thickness = 4.2, 13
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    glyphs = np.full((h + 2 * thickness, w + thickness, 3), 255, np.uint8)
    cv2.putText(
        glyphs, text, (0, h + thickness), cv2.FONT_HERSHEY_SIMPLEX, scale, (70, 30, 20), thickness
    )
    wide = cv2.resize(glyphs, (_PLATE_W - 60, 130), interpolation=cv2.INTER_AREA)
    image[70:200, 30 : _PLATE_W - 30] = np.minimum(image[70:200, 30 : _PLATE_W - 30], wide)
    cv2.putText(
        image, "TEXAS", (170, 52), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (40, 40, 180), 4, cv2.LINE_AA
    )
    return image


def road(width: int = 1280, height: int = 720, seed: int = 1) -> Image:
    """An empty road: a gradient, a horizon, lane marks and sensor noise."""
    rows = np.linspace(150, 80, height, dtype=np.float32)[:, None, None]
    image = np.broadcast_to(rows, (height, width, 3)).copy()
    image[: height // 3] += (50, 30, 20)
    for x in range(0, width, width // 4):
        cv2.line(image, (x, height), (width // 2, height // 3), (200, 200, 200), 3)
    return noisy(image, seed)


def noisy(image: np.ndarray, seed: int, sigma: float = 3.0) -> Image:
    """The picture with Gaussian sensor noise of `sigma` grey levels."""
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def with_vehicle(scene: Image, text: str, box: Box, body: tuple[int, int, int]) -> Image:
    """The scene with a vehicle whose plate lies in `box`."""
    image = scene.copy()
    x, y, w, h = (round(v) for v in (box.x, box.y, box.w, box.h))
    cv2.rectangle(image, (x - int(1.6 * w), y - 4 * h), (x + int(2.6 * w), y + 2 * h), body, -1)
    cv2.rectangle(
        image, (x - int(1.2 * w), y - 4 * h + 6), (x + int(2.2 * w), y - 2 * h), (60, 50, 45), -1
    )
    return with_plate(image, text, box)


def with_plate(scene: Image, text: str, box: Box) -> Image:
    """The scene with just the plate in `box`, cut where it leaves the picture."""
    image = scene.copy()
    x, y, w, h = (round(v) for v in (box.x, box.y, box.w, box.h))
    small = cv2.resize(plate(text), (w, h), interpolation=cv2.INTER_AREA)
    top, left = max(0, y), max(0, x)
    bottom, right = min(image.shape[0], y + h), min(image.shape[1], x + w)
    image[top:bottom, left:right] = small[top - y : bottom - y, left - x : right - x]
    return image
