from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vision.port import Box
from vision.rectify import HEIGHT, MARGIN_X, MARGIN_Y, WIDTH, box_corners, rectify
from vision.training.geometry import UNIT, apply, homographies, random_quads, sides


@given(st.integers(0, 2**32))
def test_maps_take_corners_to_corners_and_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.uniform(40, 250, 8)
    source = random_quads(rng, widths, widths / rng.uniform(1.8, 4.5, 8))
    target = np.broadcast_to(UNIT, source.shape) * 100
    there = apply(homographies(source, target), source)
    back = apply(homographies(target, source), target)
    assert np.abs(there - target).max() < 1e-6
    assert np.abs(back - source).max() < 1e-6


def test_random_quads_keep_their_order_and_about_their_size() -> None:
    rng = np.random.default_rng(3)
    quads = random_quads(rng, np.full(500, 120.0), np.full(500, 60.0))
    x, y = quads[..., 0], quads[..., 1]
    area = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1) / 2
    assert area.min() > 0.6 * 120 * 60
    wide, high = sides(quads)
    assert abs(wide.mean() - 120) < 3
    assert abs(high.mean() - 60) < 3


def test_a_leaning_plate_is_cut_upright() -> None:
    plate = np.full((64, 128, 3), 255, np.uint8)
    plate[:, 64:] = (0, 0, 200)
    plate[:32, :64] = (0, 160, 0)
    corners = np.array([[200.0, 100.0], [330.0, 140.0], [320.0, 210.0], [190.0, 165.0]])
    flat = np.array([[0, 0], [128, 0], [128, 64], [0, 64]], np.float32)
    onto = cv2.getPerspectiveTransform(flat, corners.astype(np.float32))
    scene = cv2.warpPerspective(plate, onto, (600, 300))
    cut = rectify(np.asarray(scene, np.uint8), corners)
    assert cut.shape == (HEIGHT, WIDTH, 3)
    inner_x = WIDTH * MARGIN_X / (1 + 2 * MARGIN_X)
    inner_y = HEIGHT * MARGIN_Y / (1 + 2 * MARGIN_Y)
    quarter_x, quarter_y = (WIDTH - 2 * inner_x) / 4, (HEIGHT - 2 * inner_y) / 4
    for column, row, colour in ((1, 1, (0, 160, 0)), (1, 3, (255, 255, 255)), (3, 2, (0, 0, 200))):
        at = cut[round(inner_y + row * quarter_y), round(inner_x + column * quarter_x)]
        assert np.abs(at.astype(int) - colour).max() < 12
    assert cut[:2].max() == 0  # the margin shows what is around the plate


def test_corners_of_a_box_out_of_the_picture_are_survived() -> None:
    image = np.full((50, 50, 3), 7, np.uint8)
    for box in (Box(-30, -30, 60, 30), Box(40, 45, 200, 100), Box(500, 500, 20, 10)):
        assert rectify(image, box_corners(box)).shape == (HEIGHT, WIDTH, 3)
