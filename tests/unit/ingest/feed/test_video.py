from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from cv2.typing import MatLike

from alpr.errors import ConfigurationError, Unavailable
from ingest.feed.video import from_file, from_stream, is_stream, without_password

START = datetime(2026, 5, 1, tzinfo=UTC)


def video(path: Path, pictures: int, fps: float) -> Path:
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), fourcc, fps, (64, 48))
    for number in range(pictures):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    return path


def test_a_video_gives_its_pictures_at_their_times(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 12, 4)
    found = list(from_file(path, START))
    assert len(found) == 12
    assert [p.captured_at for p in found] == [START + timedelta(seconds=n / 4) for n in range(12)]
    shade = cv2.imdecode(np.frombuffer(found[5].jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert shade is not None
    assert abs(float(shade.mean()) - 50) < 5


def test_a_rate_thins_a_video(tmp_path: Path) -> None:
    path = video(tmp_path / "v.avi", 12, 4)
    times = [p.captured_at for p in from_file(path, START, rate=1.0)]
    assert times == [START + timedelta(seconds=n) for n in range(3)]


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.avi").write_bytes(b"no video")
    with pytest.raises(ConfigurationError, match="a video that OpenCV can read"):
        list(from_file(tmp_path / "v.avi", START))


class Silent:
    """A camera that gives so many pictures and then nothing."""

    def __init__(self, pictures: int) -> None:
        self.left = pictures
        self.released = False

    def isOpened(self) -> bool:
        return self.left > 0

    def grab(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> tuple[bool, MatLike]:
        return True, np.zeros((16, 16, 3), np.uint8)

    def get(self, prop: int, /) -> float:
        return 0.0

    def release(self) -> None:
        self.released = True


def test_a_lost_camera_is_opened_again_and_given_up_in_the_end() -> None:
    cameras = [Silent(n) for n in (3, 0, 2, 0, 0, 0)]
    opened: list[Silent] = []
    waits: list[float] = []
    ticks = iter(range(1000))

    def opener(_: str) -> Silent:
        opened.append(cameras[len(opened)])
        return opened[-1]

    stream = from_stream(
        "rtsp://cam:secret@10.0.0.9/1?token=x",
        clock=lambda: START + timedelta(seconds=next(ticks)),
        sleep=waits.append, opener=opener, attempts=4,
    )  # fmt: skip
    found = [next(stream) for _ in range(5)]
    assert found[-1].captured_at == START + timedelta(seconds=4)
    with pytest.raises(Unavailable, match=r"rtsp://10\.0\.0\.9/1, 4 attempts") as error:
        next(stream)
    assert "secret" not in str(error.value)
    assert "token" not in str(error.value)
    assert all(camera.released for camera in opened)
    assert waits == [1.0, 2.0, 1.0, 2.0, 4.0], "a camera that came back starts anew"


def test_a_rate_uses_fewer_pictures_but_takes_all() -> None:
    camera = Silent(10)
    seconds = iter(range(1000))
    stream = from_stream(
        "rtsp://10.0.0.9/1", 0.5, clock=lambda: START + timedelta(seconds=next(seconds)),
        sleep=lambda _: None, opener=lambda _: camera, attempts=1,
    )  # fmt: skip
    taken = [next(stream).captured_at for _ in range(5)]
    with pytest.raises(Unavailable):
        next(stream)
    assert taken == [START + timedelta(seconds=n) for n in (0, 2, 4, 6, 8)]


def test_addresses_and_paths_are_told_apart() -> None:
    assert is_stream("rtsp://10.0.0.9/1")
    assert not is_stream("videos/a.mp4")
    assert not is_stream("/videos/rtsp.mp4")
    assert without_password("rtsp://u:p@h:554/x?y=1") == "rtsp://h:554/x"
