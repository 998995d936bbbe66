"""The lake's contract on SQLite and a local folder."""

from __future__ import annotations

from tests.contract.lake.compacting import CompactionContract
from tests.contract.lake.landing import LandingContract
from tests.contract.lake.purging import PurgeContract
from tests.contract.lake.upkeep import UpkeepContract


class TestLandingLocal(LandingContract):
    """See LandingContract."""


class TestUpkeepLocal(UpkeepContract):
    """See UpkeepContract."""


class TestCompactionLocal(CompactionContract):
    """See CompactionContract."""


class TestPurgeLocal(PurgeContract):
    """See PurgeContract."""
