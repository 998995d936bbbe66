from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from alpr.errors import ConfigurationError
from tests.unit.vision.drawing import plate
from vision.training import fonts
from vision.training.designs import Design
from vision.training.fonts import GLYPH_HEIGHT, Fonts
from vision.training.harvest import PLATE_HEIGHT, PLATE_WIDTH, harvest
from vision.training.parallel import parallel
from vision.training.synth import set_serial
from vision.training.train import options, train


def test_a_drawn_plate_is_taken_apart() -> None:
    text = "HTW8462"
    found = harvest(plate(text), text, "CA")
    assert [character for character, _ in found.glyphs] == list(text)
    assert all(mask.shape[0] == GLYPH_HEIGHT and mask.max() > 200 for _, mask in found.glyphs)
    assert list(found.centres) == sorted(found.centres)
    assert found.template is not None
    assert found.template.image.shape == (PLATE_HEIGHT, PLATE_WIDTH, 3)
    # The serial is gone: its band is no longer dark anywhere.
    band = found.template.image[
        int(found.template.top * PLATE_HEIGHT) : int(
            (found.template.top + found.template.height) * PLATE_HEIGHT
        ),
        20 : PLATE_WIDTH - 20,
    ]
    assert band.mean() > 1.2 * plate(text).mean() or band.min() > 100


def test_a_label_of_another_length_gives_no_characters() -> None:
    assert harvest(plate("HTW8462"), "HTW84", "CA").glyphs == ()
    assert harvest(np.full((64, 128, 3), 200, np.uint8), "ABC123", "CA").template is None


@pytest.mark.parametrize("region", ["us", "eu", "br"])
def test_a_serial_is_set_where_its_centres_say(region: str) -> None:
    block = np.full((GLYPH_HEIGHT, 40), 255, np.uint8)
    white = np.full((PLATE_HEIGHT, PLATE_WIDTH, 3), 255, np.uint8)
    for seed in range(20):
        design = Design(white.copy(), np.zeros(3), None, 0.3, 0.45)
        rng = np.random.default_rng(seed)
        image, centres = set_serial(design, "ABC1234", [block] * 7, region, rng)
        assert image.shape == (PLATE_HEIGHT, PLATE_WIDTH, 3)
        assert list(centres) == sorted(centres)
        row = round(0.5 * PLATE_HEIGHT)
        at = [min(PLATE_WIDTH - 1, int(c * PLATE_WIDTH)) for c in centres]
        assert image[row, at].max() < 120  # ink in the middle of every character


def test_same_seed_same_plate() -> None:
    block = np.full((GLYPH_HEIGHT, 40), 255, np.uint8)

    def draw() -> tuple[np.ndarray, tuple[float, ...]]:
        white = np.full((PLATE_HEIGHT, PLATE_WIDTH, 3), 255, np.uint8)
        design = Design(white, np.zeros(3), None, 0.3, 0.45)
        return set_serial(design, "AB12", [block] * 4, "us", np.random.default_rng(9))

    (one, centres), (other, again) = draw(), draw()
    assert np.array_equal(one, other)
    assert centres == again


def square(n: int) -> int:
    return n * n


@pytest.mark.parametrize("workers", [1, 2])
def test_parallel_keeps_order(workers: int) -> None:
    assert parallel(square, 30, workers) == [n * n for n in range(30)]


def test_missing_fonts_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'platelake\[training\]'"):
        Fonts.load()


def test_missing_pytorch_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    chosen = options(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
    with pytest.raises(ConfigurationError, match=r"pip install 'platelake\[training\]'"):
        train(chosen)


def test_a_fold_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--fold must be 0 to 3; got 4"):
        options(["--data", str(tmp_path), "--out", str(tmp_path), "--fold", "4"])
