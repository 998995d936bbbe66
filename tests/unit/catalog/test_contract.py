"""The lake's contract on SQLite and a local folder."""

from __future__ import annotations

from tests.contract.lake.landing import LandingContract
from tests.contract.lake.purging import PurgeContract
from tests.contract.lake.upkeep import UpkeepContract


class TestLandingLocal(LandingContract):
    """See LandingContract."""


class TestUpkeepLocal(UpkeepContract):
    """See UpkeepContract."""


class TestPurgeLocal(PurgeContract):
    """See PurgeContract."""
