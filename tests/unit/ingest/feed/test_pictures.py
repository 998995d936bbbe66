from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr.errors import BadInput, ConfigurationError
from ingest.codecs import MAX_FRAME_BYTES
from ingest.feed.pictures import Clock, Picture, load, load_all, picture_paths
from tests.unit.ingest.feed.fakes import jpeg, with_exif


def test_pictures_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("f10.jpg", "f9.JPG", "b/f1.png", "notes.txt", "f9a.jpeg"):
        (tmp_path / name).write_bytes(b"x")
    found = [str(p.relative_to(tmp_path)) for p in picture_paths(tmp_path)]
    assert found == ["b/f1.png", "f9.JPG", "f9a.jpeg", "f10.jpg"]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none is there"):
        picture_paths(tmp_path)


def test_a_jpeg_is_passed_on_byte_for_byte_and_others_are_encoded(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert load(tmp_path / "a.jpg", Clock.NOW) == Picture(jpeg(), None)
    picture = np.random.default_rng(1).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "b.png"), picture)
    encoded = load(tmp_path / "b.png", Clock.NOW).jpeg
    back = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back.shape == (30, 40, 3)


def test_capture_times(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_exif(jpeg(), {0x9003: "2025:07:04 12:00:01"}))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert load(path, Clock.EXIF).captured_at == datetime(2025, 7, 4, 12, 0, 1, tzinfo=UTC)
    assert load(path, Clock.FILE).captured_at == datetime.fromtimestamp(1_700_000_000, UTC)


def test_what_cannot_be_used_gives_its_error_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "2.png").write_bytes(b"")
    with (tmp_path / "3.jpg").open("wb") as file:
        file.write(jpeg())
        file.truncate(MAX_FRAME_BYTES + 1)
    (tmp_path / "4.jpg").write_bytes(jpeg())
    found = list(load_all(picture_paths(tmp_path), Clock.NOW))
    reasons = [one.reason for one in found if isinstance(one, BadInput)]
    assert reasons == ["not-a-picture", "not-a-picture", "frame-too-large"]
    assert found[3] == Picture(jpeg(), None)
    (without_time,) = list(load_all([tmp_path / "4.jpg"], Clock.EXIF))
    assert isinstance(without_time, BadInput)
    assert without_time.reason == "no-capture-time"
