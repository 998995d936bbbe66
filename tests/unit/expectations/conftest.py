"""A lake in a folder, and traffic to land in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.quality import prepare


@pytest.fixture
def empty(tmp_path: Path) -> Lake:
    """A new lake, with the tables of the checks."""
    lake = Lake(LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake"))
    lake.init()
    prepare(lake)
    return lake
