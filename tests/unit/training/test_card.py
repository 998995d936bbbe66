from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.unit.training.test_metrics import RIGHT
from vision.training.card import report, write_cards
from vision.training.data import LabelledSet
from vision.training.metrics import Outcome
from vision.training.recipe import Recipe, outcomes_file


def judged(fold: int) -> list[Outcome]:
    """Ten US frames of which one is wrong, and ten crops of which two are."""
    frames = [replace(RIGHT, fold=fold) for _ in range(10)]
    crops = [replace(f, kind="crop", state="CA", state_said="CA", score=1.0) for f in frames]
    wrong = (("WRONG", 0.4),)
    frames[0] = replace(frames[0], candidates=wrong)
    crops[0] = replace(crops[0], candidates=wrong)
    crops[1] = replace(crops[1], candidates=(), state_said="unknown")
    return frames + crops


def trained(out: Path) -> None:
    for fold in (0, 1):
        outcomes_file(out, fold).write_bytes(msgspec.json.encode(judged(fold)))
    for name in ("detector", "reader"):
        (out / f"{name}.onnx").write_bytes(name.encode())
        for folder in (out, out / "fold-0", out / "fold-1"):
            folder.mkdir(exist_ok=True)
            recipe = Recipe(
                network=name, steps=70, batch=8, rate=0.002, seed=1, device="cpu", seconds=12.5
            )
            (folder / f"{name}.json").write_bytes(msgspec.json.encode(recipe))


def test_figures_count_every_fold() -> None:
    figures = report(judged(0) + judged(1))
    assert figures.folds == 2
    assert (figures.frames["us"]["exact"].share, figures.frames["us"]["exact"].n) == (0.9, 20)
    assert figures.us_crops["exact"].share == 0.8
    assert figures.us_crops_by_state["CA"]["state_top1"].share == 0.9
    # 38 of 40 were given a text: the two without one cannot be too sure of it.
    assert sum(n for _, _, n in figures.reliability) == 38
    assert figures.calibration_error < 0.2


def test_cards_carry_checksum_recipe_and_figures(tmp_path: Path) -> None:
    trained(tmp_path)
    write_cards(tmp_path, LabelledSet((), ()), 2)
    for name in ("detector", "reader"):
        card = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
        assert hashlib.sha256(name.encode()).hexdigest() in card
        assert "70 steps of 8" in card
        assert "Do not use it" in card
    assert "| US frames end to end | 20 | 90.0 %" in (tmp_path / "reader.md").read_text("utf-8")
    assert msgspec.json.decode((tmp_path / "figures.json").read_bytes())["folds"] == 2


def test_cards_of_unfinished_folds_are_not_written(tmp_path: Path) -> None:
    trained(tmp_path)
    outcomes_file(tmp_path, 1).unlink()
    with pytest.raises(FileNotFoundError):
        write_cards(tmp_path, LabelledSet((), ()), 2)
    assert not (tmp_path / "reader.md").exists()
