from __future__ import annotations

import gc
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alpr.errors import ConfigurationError, Corrupt
from alpr.plates import is_canonical
from tests.unit.vision.drawing import noisy, plate, road, with_vehicle
from vision import onnx, ppocr
from vision.port import Box, Image, Recogniser, open_recogniser

BLUE, GREEN = (120, 60, 40), (40, 90, 50)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return open_recogniser("platelake", threads=1)


@pytest.mark.parametrize("width", [100, 140, 180, 240])
@pytest.mark.parametrize("text", ["ABC1234", "7KPX392", "HTW8462", "ML53RYN"])
def test_drawn_plates_are_found_and_read(recogniser: Recogniser, text: str, width: int) -> None:
    box = Box(500, 420, width, width / 2)
    best, *_ = recogniser.read(with_vehicle(road(), text, box, BLUE))
    assert best.text == text
    assert best.box.iou(box) > 0.5
    assert 0.5 < best.confidence <= 1
    assert best.candidates[0][0] == text
    assert [p for _, p in best.candidates] == sorted((p for _, p in best.candidates), reverse=True)
    assert (best.state is None) == (best.state_confidence is None)


def test_two_vehicles_in_one_picture(recogniser: Recogniser) -> None:
    left, right = Box(250, 420, 140, 70), Box(850, 450, 150, 75)
    scene = with_vehicle(road(), "ABC1234", left, BLUE)
    readings = recogniser.read(with_vehicle(scene, "7KPX392", right, GREEN))
    assert {r.text for r in readings if r.confidence > 0.5} == {"ABC1234", "7KPX392"}


def test_an_empty_road_has_no_plate(recogniser: Recogniser) -> None:
    for seed in range(5):
        assert [r for r in recogniser.read(road(seed=seed)) if r.confidence > 0.5] == []


@pytest.mark.parametrize(
    "shape", [(1, 1), (8, 3000), (3000, 8), (33, 47), (720, 1280), (2160, 3840)]
)
def test_any_shape_and_content_is_survived(recogniser: Recogniser, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(2).integers(0, 255, (*shape, 3), np.uint8)
    for image in (random, np.zeros_like(random), np.full_like(random, 255)):
        for reading in recogniser.read(image):
            assert 0 <= reading.confidence <= 1
            assert reading.text == "" or reading.text.isalnum()


def test_texts_are_canonical(recogniser: Recogniser) -> None:
    scene = with_vehicle(road(), "ABC1234", Box(500, 420, 160, 80), BLUE)
    for reading in recogniser.read(scene):
        assert all(is_canonical(text) for text, _ in reading.candidates if text)


def scenes(count: int) -> list[Image]:
    scene = with_vehicle(road(640, 360), "HTW8462", Box(250, 200, 90, 45), BLUE)
    return [noisy(scene, seed) for seed in range(count)]


def test_same_picture_same_answer_and_one_session_for_all_threads(recogniser: Recogniser) -> None:
    pictures = scenes(12)
    alone = [recogniser.read(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(lambda _: open_recogniser("platelake", 1), range(8)))
        together = list(pool.map(recogniser.read, pictures))
    assert all(one is recogniser for one in shared)
    assert together == alone


def test_memory_is_flat_over_a_thousand_reads(recogniser: Recogniser) -> None:
    pictures = [picture[170:260].copy() for picture in scenes(4)]

    def read(times: int) -> int:
        for n in range(times):
            recogniser.read(pictures[n % len(pictures)])
        gc.collect()
        return resident_kib()

    settled = read(150)
    assert read(1000) - settled < 8 * 1024


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() // 1024


def test_version_names_both_models(recogniser: Recogniser) -> None:
    assert recogniser.version == (
        f"platelake-{onnx.model_version('detector')}-{onnx.model_version('reader')}"
    )
    assert len(recogniser.version) <= 64


def test_unknown_names_and_thread_counts_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="platelake, ppocr"):
        open_recogniser("tesseract")
    with pytest.raises(ConfigurationError, match="1 or more"):
        open_recogniser("platelake", 0)


def test_a_changed_or_missing_model_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(onnx.load("reader"))
    data[1000] ^= 1
    (tmp_path / "reader.onnx").write_bytes(data)
    monkeypatch.setattr(onnx, "files", lambda _: tmp_path)
    with pytest.raises(Corrupt, match="must have sha256"):
        onnx.load("reader")
    with pytest.raises(Corrupt, match="is missing"):
        onnx.load("detector")


def test_a_plate_picture_is_read_without_looking_for_a_plate(recogniser: Recogniser) -> None:
    reading = open_recogniser().read_plate(plate("HTW8462"))
    assert reading is not None
    assert reading.text == "HTW8462"
    assert reading.box == Box(0, 0, 480, 240)


def test_the_alternative_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(ppocr, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"pip install platelake\[ppocr\]"):
        ppocr.PpocrRecogniser()


def test_the_alternative_reads_a_drawn_plate() -> None:
    scene = with_vehicle(road(), "ABC1234", Box(500, 420, 160, 80), BLUE)
    assert "ABC1234" in [r.text for r in open_recogniser("ppocr").read(scene)]
    assert open_recogniser("ppocr").read(road()) == []
