"""Holds, removal and moves on PostgreSQL and MinIO."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention.evidence import hold_log
from catalog.retention.selection import select
from tests.contract.lake.holding import HoldingContract
from tests.contract.lake.rewriting import RewritingContract
from tests.contract.lake.tasks import PURPOSE, holds

pytestmark = pytest.mark.integration


class TestHoldingServices(HoldingContract):
    """See HoldingContract."""

    @pytest.mark.parametrize(
        "statement",
        ["DELETE FROM hold_events", "UPDATE hold_events SET body = ''", "TRUNCATE hold_events"],
    )
    def test_the_database_refuses_to_change_what_was_written(
        self, lake: Lake, config: LakeConfig, statement: str
    ) -> None:
        state = holds(lake).add(self.records(lake), PURPOSE)
        with (
            pytest.raises(DBAPIError, match="append-only"),
            lake.catalog.engine.begin() as connection,
        ):
            connection.execute(text(statement))
        assert len(hold_log(lake).events(state.hold.hold_id)) == 2
        assert select(lake, reads=[state.hold.records[0].record_id])


class TestRewritingServices(RewritingContract):
    """See RewritingContract."""
