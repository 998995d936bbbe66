from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import ConfigurationError
from alpr.plates import match_key
from vision.port import Box
from vision.reader import STATES
from vision.training.data import fold_of, load, picture

PLATES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=10)


def labelled(folder: Path, frames: str, crops: str) -> Path:
    (folder / "frames.csv").write_text("file,region,x,y,w,h,plate\n" + frames, encoding="utf-8")
    (folder / "crops.csv").write_text("file,state,plate\n" + crops, encoding="utf-8")
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(folder / name), np.full((40, 80, 3), 90, np.uint8))
    return folder


def test_labels_become_frames_and_crops(tmp_path: Path) -> None:
    folder = labelled(tmp_path, "a.png,us,1,2,30,15.5,ab-1 23\n", "b.png,ca,7ABC123\n")
    found = load(folder, 4)
    (frame,), (crop,) = found.frames, found.crops
    assert (frame.text, frame.region, frame.box) == ("AB123", "us", Box(1, 2, 30, 15.5))
    assert (crop.text, STATES[crop.state]) == ("7ABC123", "CA")
    assert found.only(frame.fold).frames == (frame,)
    assert found.without(frame.fold).frames == ()


@pytest.mark.parametrize(
    ("frames", "crops", "message"),
    [
        ("c.png,us,1,2,3,4,AB1\n", "", "c.png is not there"),
        ("a.png,mx,1,2,3,4,AB1\n", "", "region of a.png must be one of us, eu, br; got 'mx'"),
        ("a.png,us,one,2,3,4,AB1\n", "", "x of a.png must be a number"),
        ("a.png,us,1,2,3,4,--\n", "", "must have a plate text"),
        ("", "b.png,zz,AB1\n", "state of b.png must be one of AK"),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, frames: str, crops: str, message: str) -> None:
    folder = labelled(tmp_path, frames, crops)
    with pytest.raises(ConfigurationError, match=message):
        load(folder, 4)


def test_missing_folder_table_and_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name it with --data"):
        load(tmp_path / "none", 4)
    with pytest.raises(ConfigurationError, match=r"must have frames\.csv"):
        load(tmp_path, 4)
    folder = labelled(tmp_path, "", "")
    (folder / "crops.csv").write_text("file,plate\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="missing: state"):
        load(folder, 4)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must be a readable picture"):
        picture(tmp_path / "text.jpg")


def test_large_pictures_are_shrunk_and_say_so(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((100, 400, 3), np.uint8))
    image, scale = picture(tmp_path / "a.png", 200)
    assert image.shape == (50, 200, 3)
    assert scale == 0.5


@given(PLATES, st.integers(2, 8))
def test_lookalikes_share_a_fold(text: str, folds: int) -> None:
    assert 0 <= fold_of(text, folds) < folds
    assert fold_of(text, folds) == fold_of(match_key(text), folds)


def test_folds_are_about_even() -> None:
    counts = np.bincount([fold_of(f"{n:04d}ABC", 4) for n in range(4000)])
    assert counts.min() > 900
