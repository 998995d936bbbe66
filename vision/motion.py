"""The motion gate: has a fixed camera's picture changed enough to read it again?

Works on a small grey thumbnail. Even changes of light over the whole picture
and sensor noise are no change; a plate coming into view is. Compare with the
thumbnail of the last picture that was *read*, not of the last picture seen:
then slow changes add up until they count.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vision.decode import check_jpeg, decode_as
from vision.port import Image

Grey: TypeAlias = NDArray[np.uint8]

MAX_WIDTH = 240
"""Widest thumbnail in pixels: an eighth of a 1920 pixel picture."""

_SIZE = struct.Struct(">HH")
_SHRINK = 8
_SPOT = (5, 3)  # about a plate of 40 x 24 pixels of the full picture
_GAINS = 0.5, 2.0
_AROUND = (41, 31)  # light is even over about a quarter of the thumbnail


def thumbnail(image: Image) -> bytes:
    """A grey thumbnail of a decoded picture: width and height (2 bytes each), then its rows."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    height, width = grey.shape
    return _pack(_resized(grey, -(-width // _SHRINK), -(-height // _SHRINK)))


def thumbnail_from_jpeg(data: bytes) -> bytes:
    """The same from JPEG bytes, decoding an eighth of the size only.

    Raises:
        BadInput: see `vision.decode.check_jpeg`.
    """
    check_jpeg(data)
    return _pack(decode_as(data, cv2.IMREAD_REDUCED_GRAYSCALE_8))


@dataclass(frozen=True, slots=True)
class MotionGate:
    """Compares thumbnails of one camera.

    Attributes:
        threshold: least local change of brightness that counts, in grey levels
            (0 to 255) averaged over a spot the size of a small plate.
        noise_factor: how many times the usual difference between the two
            pictures a spot must change, so that a noisy camera stays quiet.
        most_noise: a usual difference above this, in grey levels, is no noise (that
            of a sensor with a deviation of 40 stays below 1): the picture is another
            one, as when a lorry fills it, the camera turns, or shots follow each other.
    """

    threshold: float = 5.0
    noise_factor: float = 12.0
    most_noise: float = 1.5

    def changed(self, previous: bytes | None, current: bytes) -> bool:
        """Whether `current` must be read, given the thumbnail of the last picture read."""
        if previous is None:
            return True
        before, now = _unpack(previous), _unpack(current)
        if before.shape != now.shape:
            return True
        spots = _local_change(before, now)
        # The median is the camera's own noise, as long as less than half of the picture changed.
        usual = float(np.median(spots))
        if usual > self.most_noise:
            return True
        return float(spots.max()) > max(self.threshold, self.noise_factor * usual)


def _local_change(before: Grey, now: Grey) -> NDArray[np.float32]:
    """Absolute change of each spot against the change of its surroundings, in grey levels."""
    change = now - _relit(before, now)
    return np.asarray(cv2.absdiff(cv2.blur(change, _SPOT), cv2.blur(change, _AROUND)), np.float32)


def _relit(before: Grey, now: Grey) -> NDArray[np.float32]:
    """`before` with the brightness and contrast of `now`: cameras and clouds change both.

    A least-squares line through all pixels, then through those it explains
    best, so that a vehicle in one of the pictures does not bend it.
    """
    x, y = before.astype(np.float32), now.astype(np.float32)
    use = np.ones(x.shape, bool)
    lit = x
    for _ in range(3):
        xs, ys = x[use], y[use]
        mean_x, mean_y = xs.mean(), ys.mean()
        spread = float(((xs - mean_x) ** 2).mean())
        gain = float(((xs - mean_x) * (ys - mean_y)).mean()) / spread if spread > 1 else 1.0
        gain = min(max(gain, _GAINS[0]), _GAINS[1])
        lit = gain * (x - mean_x) + mean_y
        error = np.abs(y - lit)
        use = error <= np.median(error)
    return np.clip(lit, 0, 255)


def _pack(grey: Grey) -> bytes:
    height, width = grey.shape
    if width > MAX_WIDTH:
        width, height = MAX_WIDTH, max(1, round(height * MAX_WIDTH / width))
        grey = _resized(grey, width, height)
    return _SIZE.pack(width, height) + grey.tobytes()


def _resized(grey: Grey, width: int, height: int) -> Grey:
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _unpack(data: bytes) -> Grey:
    width, height = _SIZE.unpack_from(data)
    return np.frombuffer(data, np.uint8, offset=_SIZE.size).reshape(height, width)
