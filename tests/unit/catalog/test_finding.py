"""Look-ups on SQLite and a local folder."""

from __future__ import annotations

from tests.contract.lake.finding import FindingContract


class TestFindingLocal(FindingContract):
    """See FindingContract."""
