"""Look-ups on PostgreSQL and MinIO."""

from __future__ import annotations

import pytest

from tests.contract.lake.finding import FindingContract

pytestmark = pytest.mark.integration


class TestFindingServices(FindingContract):
    """See FindingContract."""
