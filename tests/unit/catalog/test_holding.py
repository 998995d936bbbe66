"""Holds on SQLite and a local folder."""

from __future__ import annotations

from tests.contract.lake.holding import HoldingContract


class TestHoldingLocal(HoldingContract):
    """See HoldingContract."""
