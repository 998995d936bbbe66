"""Messages to records in their retention class; what may not be kept any more is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from alpr.admission import Admission
from alpr.records import Hit, Read
from catalog.config import LakeConfig
from catalog.lake import Lake
from ingest.codecs import decode_hit, decode_read


class _Admit:
    """Pickled with its step; reads the policies once in each worker."""

    def __init__(
        self, lake_config: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._lake_config = lake_config
        self._now = now
        self._admission: Admission | None = None

    @property
    def door(self) -> Admission:
        """Raises ConfigurationError if the policies are not usable."""
        if self._admission is None:
            lake = Lake(LakeConfig.load(Path(self._lake_config)))
            self._admission = Admission(lake.retention, self._now)
        return self._admission


class AdmitRead(_Admit):
    """A read from its message, in its class. Raises BadInput as `decode_read` and `Admission`."""

    def __call__(self, value: bytes | None) -> Read:
        """One message."""
        return self.door.read(decode_read(value))


class AdmitHit(_Admit):
    """A hit from its message, in its class. Raises BadInput as `decode_hit` and `Admission`."""

    def __call__(self, value: bytes | None) -> Hit:
        """One message."""
        return self.door.hit(decode_hit(value))
