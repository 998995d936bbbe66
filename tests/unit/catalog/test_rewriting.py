"""Removing and moving rows on SQLite and a local folder."""

from __future__ import annotations

from tests.contract.lake.rewriting import RewritingContract


class TestRewritingLocal(RewritingContract):
    """See RewritingContract."""
