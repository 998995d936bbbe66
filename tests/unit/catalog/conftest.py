"""A lake in a folder with an SQLite catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.config import LakeConfig

pytest.register_assert_rewrite("tests.contract.lake")


@pytest.fixture
def config(tmp_path: Path) -> LakeConfig:
    """The embedded profile's kind of lake, empty."""
    return LakeConfig(f"sqlite:///{tmp_path}/catalog.db", f"file://{tmp_path}/lake")
