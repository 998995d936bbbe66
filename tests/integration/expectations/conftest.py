"""The lake on MinIO and PostgreSQL of the catalogue's own tests."""

from tests.integration.catalog.conftest import config, services

__all__ = ["config", "services"]
