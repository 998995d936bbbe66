"""What the documents point at is there: files, anchors, commands, make targets, metrics."""

import re
from pathlib import Path
from typing import get_args

import pytest
import typer.main

from beam_jobs.metrics import CounterName, GaugeName, HistogramName
from cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def name(path: Path) -> str:
    return path.name


def anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        there = page.parent / file if file else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    root = typer.main.get_command(app)
    for words in re.findall(r"platelake ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", page.read_text()):
        group, _, verb = words.partition(" ")
        known = getattr(root, "commands", {})
        assert group in known, words
        verbs = getattr(known[group], "commands", None)
        assert not verbs or not verb or verb in verbs, words


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_metrics_to_watch_exist() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().split("## What to watch")[1]
    named = re.findall(r"^\| [^|]*?`([a-z_]+)(?:_count\{|`)", table.split("\n## ")[0], re.MULTILINE)
    ours = {each for each in named if not each.startswith("flink_")}
    known = {*get_args(CounterName), *get_args(GaugeName), *get_args(HistogramName)}
    assert len(ours) > 8
    assert ours <= known
