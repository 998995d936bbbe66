from __future__ import annotations

import base64
import contextlib
import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import BadInput
from tests.unit.vision.drawing import road, with_vehicle
from vision.decode import (
    JpegHeader,
    check_jpeg,
    decode,
    decode_file,
    encode_crop,
    encode_jpeg,
    encode_overview,
)
from vision.port import Box, Image

# 16 x 16 pixels of cyan 0, magenta 200, yellow 200, black 20 (of 255).
RED_IN_CMYK = (
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAKBwcIBwYKCAgICwoKCw4YEA4NDQ4dFRYRGCMfJSQiHyIhJis3LyYpNCkhIjBB"
    "MTQ5Oz4+PiUuRElDPEg3PT47/8AAFAgAEAAQBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAGB//EABQQ"
    "AQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8A2ZCoVqwAAAD/2Q=="
)

PLATE = Box(500, 420, 160, 80)


@pytest.fixture(scope="module")
def scene() -> Image:
    return with_vehicle(road(), "ABC1234", PLATE, (120, 60, 40))


@pytest.fixture(scope="module")
def jpeg(scene: Image) -> bytes:
    return encode_jpeg(scene)


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size written into its frame header."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + jpeg[at + 4 :]


def reason(data: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        decode(data)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return caught.value.reason


def test_a_good_picture_comes_back(scene: Image, jpeg: bytes) -> None:
    assert check_jpeg(jpeg) == JpegHeader(1280, 720, 3)
    image = decode(jpeg)
    assert image.shape == scene.shape
    assert cv2.absdiff(image, scene).mean() < 3


def test_grey_progressive_and_restart_markers_are_read(scene: Image) -> None:
    grey = cv2.imencode(".jpg", cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY))[1].tobytes()
    assert check_jpeg(grey).components == 1
    assert decode(grey).shape == (720, 1280, 3)
    for option in (cv2.IMWRITE_JPEG_PROGRESSIVE, cv2.IMWRITE_JPEG_RST_INTERVAL):
        data = cv2.imencode(".jpg", scene, [option, 1])[1].tobytes()
        assert cv2.absdiff(decode(data), scene).mean() < 3


def test_bytes_after_the_end_are_ignored(jpeg: bytes) -> None:
    assert decode(jpeg + b"\0" * 100).shape == (720, 1280, 3)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"not a picture", b"\0" * 1000]
)
def test_what_is_no_jpeg_is_refused(data: bytes) -> None:
    assert reason(data) == "not-a-jpeg"


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.9, 0.9999])
def test_a_cut_off_picture_is_refused(jpeg: bytes, share: float) -> None:
    assert reason(jpeg[: max(2, int(len(jpeg) * share))]) == "jpeg-truncated"


@pytest.mark.parametrize(
    "size", [(20_000, 20_000), (20_000, 100), (100, 8_193), (8_000, 6_000), (65_535, 65_535)]
)
def test_a_huge_picture_is_refused_before_it_is_decoded(jpeg: bytes, size: tuple[int, int]) -> None:
    assert reason(with_size(jpeg, *size)) == "image-too-large"


def test_empty_sizes_and_garbled_headers_are_damage(jpeg: bytes) -> None:
    assert reason(with_size(jpeg, 0, 720)) == "jpeg-damaged"
    assert reason(with_size(jpeg, 1280, 0)) == "jpeg-damaged"
    assert reason(jpeg[:2] + b"\0\0\0\0\0\0" + jpeg[2:]) == "jpeg-damaged"
    no_frame = jpeg[: jpeg.index(b"\xff\xc0")] + jpeg[jpeg.index(b"\xff\xda") :]
    assert reason(no_frame) == "jpeg-damaged"


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCF])
def test_kinds_of_jpeg_no_camera_sends_are_unsupported(jpeg: bytes, marker: int) -> None:
    at = jpeg.index(b"\xff\xc0")
    assert reason(jpeg[: at + 1] + bytes([marker]) + jpeg[at + 2 :]) == "jpeg-unsupported"


def test_cmyk_is_read_in_its_colours() -> None:
    image = decode(base64.b64decode(RED_IN_CMYK))
    assert image.shape == (16, 16, 3)
    blue, green, red = (int(v) for v in image[8, 8])
    assert red > 200
    assert max(blue, green) < 80


def test_large_pictures_are_decoded_at_half_size() -> None:
    image = np.full((4320, 7680, 3), 90, np.uint8)
    assert decode(encode_jpeg(image)).shape == (2160, 3840, 3)


def test_files_may_be_png_within_the_same_limits(scene: Image) -> None:
    png = cv2.imencode(".png", scene)[1].tobytes()
    assert np.array_equal(decode_file(png), scene)
    assert decode_file(encode_jpeg(scene)).shape == scene.shape
    huge = png[:16] + (20_000).to_bytes(4, "big") * 2 + png[24:]
    for data, expected in ((huge, "image-too-large"), (png[:60], "png-damaged"), (b"", "not-a")):
        with pytest.raises(BadInput, match=expected):
            decode_file(data)


@given(st.integers(0, 20_000), st.integers(0, 255))
def test_one_damaged_byte_gives_a_picture_or_bad_input(jpeg: bytes, at: int, value: int) -> None:
    small = encode_jpeg(decode(jpeg)[400:520, 480:680])
    at %= len(small)
    with contextlib.suppress(BadInput):  # any other error fails the test
        assert decode(small[:at] + bytes([value]) + small[at + 1 :]).ndim == 3


def test_evidence_is_small_and_shows_the_plate(scene: Image) -> None:
    crop, overview = encode_crop(scene, PLATE), encode_overview(scene)
    assert len(crop) <= 4_000
    assert len(overview) <= 30_000
    assert decode(overview).shape == (360, 640, 3)
    height, width = decode(crop).shape[:2]
    assert (width, height) == (192, 119)


def test_evidence_of_the_worst_picture_stays_small() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    assert len(encode_crop(noise, PLATE)) <= 6_000
    assert len(encode_overview(noise)) <= 60_000


def test_crop_at_the_edge_is_cut_there(scene: Image) -> None:
    assert decode(encode_crop(scene, Box(-40, -20, 100, 50))).shape[1] > 0
    with pytest.raises(BadInput, match="empty-box"):
        encode_crop(scene, Box(2000, 100, 80, 40))
