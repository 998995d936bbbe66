from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from alpr.errors import BadInput, ConfigurationError
from cli.main import app
from tests.unit.vision.drawing import plate, road, with_vehicle
from vision.decode import decode, encode_jpeg
from vision.evaluation import Label, Outcome, evaluate, figures, read_labels
from vision.gallery import write_gallery
from vision.port import Box, Image, PlateReading, open_recogniser

BOX = Box(500, 420, 160, 80)
BLUE = (120, 60, 40)


class Scripted:
    """A recogniser that answers by the brightness of the picture's first pixel."""

    version = "scripted-1"

    def __init__(self, answers: dict[int, list[PlateReading]]) -> None:
        self._answers = answers

    def read(self, image: Image) -> list[PlateReading]:
        return self._answers[round(int(image[0, 0, 0]) / 50)]

    def read_plate(self, image: Image) -> PlateReading | None:
        return next(iter(self.read(image)), None)


def reading(
    text: str, box: Box = BOX, confidence: float = 0.9, state: str | None = None
) -> PlateReading:
    candidates = ((text, confidence), ("ABC1234", 0.05))
    return PlateReading(box, text, confidence, candidates, state, 0.9 if state else None, 0.9)


def grey_files(root: Path, count: int) -> None:
    """Pictures 0.png, 1.png … whose brightness is 0, 50, …"""
    for n in range(count):
        picture = np.full((20, 20, 3), n * 50, np.uint8)
        (root / f"{n}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())


def test_every_figure_by_hand(tmp_path: Path) -> None:
    grey_files(tmp_path, 5)
    elsewhere = Box(0, 0, 50, 25)
    engine = Scripted(
        {
            0: [reading("ABC1234", state="TX")],  # right
            1: [reading("ABCI234"), reading("XX", elsewhere)],  # right when folded, one false
            2: [reading("QQQ", state="CA")],  # wrong, truth among the candidates, wrong state
            3: [],  # nothing found
            4: [reading("STOP"), reading("YIELD", confidence=0.2)],  # no plate there
        }
    )
    labels = [
        Label("0.png", "ABC1234", BOX, "TX"),
        Label("1.png", "ABC1234", BOX, None),
        Label("2.png", "ABC1234", BOX, "TX"),
        Label("3.png", "ABC1234", BOX, None),
        Label("4.png", "", None, None),
    ]
    wall, cpu = iter(range(100)), iter(range(0, 300, 3))
    outcomes = evaluate(
        labels, tmp_path, engine, lambda: next(wall) / 1000, lambda: next(cpu) / 1000
    )
    got = figures(list(outcomes))
    assert (got.n, got.exact, got.folded, got.top5) == (5, 0.25, 0.5, 0.75)
    assert (got.located, got.state_top1, got.false_reads) == (0.75, 0.5, 2)
    assert (got.ms_median, got.ms_p95, got.cpu_ms) == (1.0, 1.0, 3.0)


def test_figures_that_labels_do_not_tell_are_none() -> None:
    got = figures([Outcome(Label("a", "ABC1234", None, None), (reading("ABC1234"),), 1.0, 1.0)])
    assert (got.exact, got.located, got.state_top1, got.false_reads) == (1.0, None, None, 0)
    with pytest.raises(BadInput, match="no-pictures"):
        figures([])


def test_labels_are_read_and_checked(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "file,region,x,y,w,h,plate,state\n"
        "a.jpg,us,1,2,30,15,abc-123,tx\nb.jpg,eu,,,,,XY 9,\nc.jpg,us,,,,,,\n",
        encoding="utf-8",
    )
    assert read_labels(table) == [
        Label("a.jpg", "ABC123", Box(1, 2, 30, 15), "TX"),
        Label("b.jpg", "XY9", None, None),
        Label("c.jpg", "", None, None),
    ]
    assert [label.file for label in read_labels(table, "eu")] == ["b.jpg"]
    table.write_text("file,text\n", encoding="utf-8")
    with pytest.raises(BadInput, match="missing: plate"):
        read_labels(table)
    table.write_text("file,plate,x,y,w,h\na.jpg,A1,1,2,three,4\n", encoding="utf-8")
    with pytest.raises(BadInput, match="line 2"):
        read_labels(table)


def test_missing_picture_names_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.jpg is not there"):
        list(evaluate([Label("gone.jpg", "A1", None, None)], tmp_path, Scripted({})))


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A folder with three drawn frames (one without a plate) and their labels."""
    rows = [("a.jpg", "ABC1234"), ("b.jpg", "7KPX392"), ("empty.jpg", "")]
    with (tmp_path / "frames.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "region", "x", "y", "w", "h", "plate"])
        for name, text in rows:
            scene = with_vehicle(road(), text, BOX, BLUE) if text else road()
            (tmp_path / name).write_bytes(encode_jpeg(scene))
            place = [BOX.x, BOX.y, BOX.w, BOX.h] if text else [""] * 4
            table.writerow([name, "us", *place, text])
    return tmp_path


def test_page_of_pictures_shows_every_one(labelled: Path, tmp_path: Path) -> None:
    labels = [*read_labels(labelled / "frames.csv"), Label("a.jpg", "<b>", None, None)]
    outcomes = list(evaluate(labels, labelled, open_recogniser()))
    write_gallery(tmp_path / "page", labelled, outcomes)
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "<h2>Wrong: 1</h2>" in page
    assert "shows <code>ABC1234</code>" in page
    assert "<b>" not in page
    pictures = sorted((tmp_path / "page").glob("*.jpg"))
    assert len(pictures) == page.count("<img") == 4
    assert all(decode(picture.read_bytes()).size for picture in pictures)


def test_ocr_eval_prints_the_figures(labelled: Path) -> None:
    command = ["ocr", "eval", str(labelled / "frames.csv"), "--root", str(labelled), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    got = json.loads(result.stdout)
    assert list(got) == [
        "n",
        "exact",
        "folded",
        "top5",
        "located",
        "state_top1",
        "ms_median",
        "ms_p95",
        "cpu_ms",
        "false_reads",
    ]
    assert (got["n"], got["exact"], got["located"], got["false_reads"]) == (3, 1.0, 1.0, 0)
    assert got["ms_median"] > 0


def test_ocr_eval_of_crops_reads_the_whole_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_jpeg(plate("HTW8462")))
    (tmp_path / "crops.csv").write_text("file,state,plate\na.jpg,tx,HTW8462\n", encoding="utf-8")
    command = ["ocr", "eval", str(tmp_path / "crops.csv"), "--root", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "exact        1.0" in result.stdout


def test_ocr_read_tells_plates_and_bad_pictures_and_draws(labelled: Path, tmp_path: Path) -> None:
    (labelled / "bad.jpg").write_bytes(b"not a picture")
    files = [str(labelled / name) for name in ("a.jpg", "bad.jpg", "gone.jpg")]
    result = CliRunner().invoke(
        app, ["ocr", "read", *files, "--json", "--draw", str(tmp_path / "out")]
    )
    assert result.exit_code == 1
    good, bad, gone = json.loads(result.stdout)["images"]
    assert good["plates"][0]["text"] == "ABC1234"
    assert (bad["error"], gone["error"]) == ("not-a-jpeg", "not-readable")
    shown = decode((tmp_path / "out" / "a.read.jpg").read_bytes())
    assert cv2.absdiff(shown, decode((labelled / "a.jpg").read_bytes())).max() > 100

    result = CliRunner().invoke(app, ["ocr", "read", files[0]])
    assert result.exit_code == 0
    assert "ABC1234" in result.stdout
