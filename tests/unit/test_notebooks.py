"""The notebooks run from their first cell to their last, on a small lake made here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from msgspec.structs import replace
from nbclient import NotebookClient

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from tests.contract.lake.samples import (
    NOW,
    make_hit,
    make_reads,
    no_sleep,
    stage,
    stage_hit_group,
)
from tests.unit.vision.drawing import plate, road, with_plate
from vision.decode import encode_jpeg
from vision.port import Box

ROOT = Path(__file__).parents[2]
read_notebook: Any = nbformat.read  # untyped there
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WANTED = "8ABC123"


@pytest.fixture(scope="module")
def lake_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of 30 reads: WANTED twice with pictures, once misread, with a hit for each."""
    folder = tmp_path_factory.mktemp("lake")
    config = LakeConfig(f"sqlite:///{folder}/catalog.db", f"file://{folder}/lake")
    config.save(folder / "lake.toml")
    lake = Lake(config)
    lake.init()
    crop = encode_jpeg(plate(WANTED), 80)
    overview = encode_jpeg(with_plate(road(640, 360), WANTED, Box(300, 200, 80, 40)), 80)
    reads = make_reads(30)
    for number, text in ((6, WANTED), (12, WANTED), (20, "8A8C123")):
        reads[number] = replace(
            reads[number], plate=text, latitude=38.5, longitude=-121.5, crop=crop, overview=overview
        )
    writer = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    writer.commit([stage(lake, reads[:15])])
    writer.commit([stage(lake, reads[15:], first=15)])
    found = [make_hit(reads[number]) for number in (6, 12)]
    later = Committer(lake, "hits", now=lambda: NOW + timedelta(seconds=5), sleep=no_sleep)
    later.commit([stage_hit_group(lake, found)])
    lake.close()
    return folder / "lake.toml"


@pytest.fixture(scope="module")
def executed(lake_config: Path) -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLATELAKE_LAKE", str(lake_config))
        patch.setenv("PYTHONPATH", str(ROOT))
        done = {}
        for path in NOTEBOOKS:
            notebook = read_notebook(path, as_version=4)
            client = NotebookClient(
                notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}
            )
            done[path.name] = client.execute()
        yield done


def printed(notebook: Any) -> str:
    """All text and tables that the cells put out."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = (out.get("text") or out.get("data", {}).get("text/plain", "") for out in outputs)
    return "\n".join(texts)


def pictures(notebook: Any) -> int:
    return sum(
        "image/jpeg" in output.get("data", {})
        for cell in notebook.cells
        for output in cell.get("outputs", ())
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_no_output_is_kept_in_the_repository(path: Path) -> None:
    for cell in read_notebook(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None


def test_engineers_see_offsets_commits_and_kept_rules(executed: dict[str, Any]) -> None:
    text = printed(executed["01-data-engineers.ipynb"])
    assert "fence" in text
    assert "append" in text
    assert "2026-11-20-1" in text
    assert "broken" in text
    assert " is never missing" not in text
    assert "problems" in text


def test_investigators_see_sightings_lookalikes_hits_and_pictures(
    executed: dict[str, Any],
) -> None:
    notebook = executed["02-investigators.ipynb"]
    text = printed(notebook)
    assert WANTED in text
    assert "one character off" in text
    assert "record confirmed as current" in text
    assert pictures(notebook) == 4  # crop and overview of the last sighting, a crop for each hit


def test_every_query_of_the_investigators_states_its_purpose() -> None:
    cells = read_notebook(ROOT / "notebooks" / "02-investigators.ipynb", as_version=4).cells
    for before, cell in pairwise(cells):
        if cell.cell_type == "code" and "ask(" in cell.source and "def ask" not in cell.source:
            assert "**Purpose:**" in before.source
