from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr.errors import BadInput
from tests.unit.vision.drawing import noisy, road, with_plate, with_vehicle
from vision.decode import encode_jpeg
from vision.motion import MotionGate, thumbnail, thumbnail_from_jpeg
from vision.port import Box, Image

GATE = MotionGate()
ROAD = road(seed=1)


def seen(image: Image, quality: int = 80) -> bytes:
    return thumbnail_from_jpeg(encode_jpeg(image, quality))


def test_first_picture_is_a_change() -> None:
    assert GATE.changed(None, seen(ROAD))


def test_other_size_is_a_change() -> None:
    assert GATE.changed(seen(ROAD), seen(road(1920, 1080)))


@pytest.mark.parametrize("sigma", [0.0, 3.0, 8.0, 15.0])
def test_noise_is_no_change(sigma: float) -> None:
    first = seen(noisy(ROAD, 100, sigma))
    assert not any(GATE.changed(first, seen(noisy(ROAD, seed, sigma))) for seed in range(20))


@pytest.mark.parametrize(("gain", "offset"), [(1.1, 0), (0.85, 5), (1.0, -20), (0.7, 0)])
def test_even_change_of_light_is_no_change(gain: float, offset: float) -> None:
    other = noisy(ROAD.astype(np.float32) * gain + offset, 7)
    assert not GATE.changed(seen(noisy(ROAD, 6)), seen(other))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1280 - 60), st.integers(0, 720 - 30), st.integers(0, 1000))
def test_plate_of_60_pixels_anywhere_is_a_change(x: int, y: int, seed: int) -> None:
    before = noisy(ROAD, seed)
    after = noisy(with_plate(ROAD, "ABC1234", Box(x, y, 60, 30)), seed + 1)
    assert GATE.changed(seen(before), seen(after))


def test_vehicle_that_moves_or_leaves_is_a_change() -> None:
    here = with_vehicle(ROAD, "ABC1234", Box(500, 420, 120, 60), (120, 60, 40))
    there = with_vehicle(ROAD, "ABC1234", Box(530, 425, 120, 60), (120, 60, 40))
    assert GATE.changed(seen(here), seen(there))
    assert GATE.changed(seen(here), seen(ROAD))


def test_another_picture_altogether_is_a_change() -> None:
    """A change of more than half of the picture once counted as the camera's noise."""
    busy = [np.random.default_rng(n).integers(0, 255, (90, 160, 3), np.uint8) for n in (1, 2)]
    here, there = (np.repeat(np.repeat(image, 8, 0), 8, 1) for image in busy)
    assert GATE.changed(seen(here), seen(there))


def test_slow_change_adds_up_against_the_last_picture_read() -> None:
    plated = with_plate(ROAD, "ABC1234", Box(600, 400, 80, 40)).astype(np.float32)
    steps = [noisy(ROAD + (plated - ROAD) * share, n) for n, share in enumerate((0, 0.03, 0.9))]
    read, little, much = (seen(image) for image in steps)
    assert not GATE.changed(read, little)
    assert GATE.changed(read, much)


def test_thumbnail_is_an_eighth_and_agrees_with_the_reduced_decoding() -> None:
    a, b = thumbnail(ROAD), seen(ROAD, quality=95)
    assert struct.unpack_from(">HH", a) == struct.unpack_from(">HH", b) == (160, 90)
    assert len(a) == len(b) == 4 + 160 * 90
    assert not GATE.changed(a, b)


def test_wide_pictures_make_no_larger_thumbnails() -> None:
    assert struct.unpack_from(">HH", seen(road(3840, 2160))) == (240, 135)


def test_bad_jpeg_is_bad_input() -> None:
    with pytest.raises(BadInput, match="not-a-jpeg"):
        thumbnail_from_jpeg(b"")
    with pytest.raises(BadInput, match="jpeg-truncated"):
        thumbnail_from_jpeg(encode_jpeg(ROAD)[:5000])
