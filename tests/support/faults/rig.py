"""A full stack in a folder of its own, its three jobs, and the watchdog as people run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from alpr.errors import PlatelakeError
from alpr.records import HotlistEntry
from catalog.lake import Lake
from cli.balance import Arrivals, Balance, arrivals, balance
from cli.installation import Installation
from infra.flink_rest import newest_checkpoint
from infra.jobs import JOBS
from infra.settings import Profile, Settings
from infra.waiting import wait_until
from ingest.hotlists.snapshot import write_snapshot
from ingest.topics import ensure_topics
from tests.support.faults.kills import KILLS, orphans

_WATCHDOG_STOP_S = 60.0


@dataclass(frozen=True)
class Recovery:
    """How long it took, in seconds after the kill."""

    running_s: float
    """All processes answer, and every job has completed a checkpoint since."""
    whole_s: float
    """All that was accepted is in the lake, and every hit."""


@dataclass
class Rig:
    """The stack, and the list that is in force on it."""

    settings: Settings
    entries: list[HotlistEntry]

    def __post_init__(self) -> None:
        self.installation = Installation(self.settings)
        self.stack = self.installation.stack
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._lake: Lake | None = None

    @property
    def lake(self) -> Lake:
        """The lake."""
        if self._lake is None:
            self._lake = self.installation.lake()
        return self._lake

    def start(self) -> None:
        """Everything, jobs and watchdog too."""
        self.stack.up(after_kafka=ensure_topics)
        self._lake = self.installation.prepare_lake()
        write_snapshot(self.installation.hotlist_store, self.entries, datetime.now(UTC), 0)
        jobs = self.installation.jobs()
        with ThreadPoolExecutor(len(JOBS)) as pool:
            list(pool.map(jobs.start, JOBS))
        self.start_watchdog()

    def start_watchdog(self) -> None:
        """`platelake job watch` as a process of its own."""
        ports = self.settings.ports.model_dump().items()
        environment = {f"PLATELAKE_PORTS__{name.upper()}": str(port) for name, port in ports}
        environment |= {
            "PLATELAKE_HOME": str(self.settings.home),
            "PLATELAKE_CACHE": str(self.settings.cache),
        }
        with self.watchdog_log.open("ab") as out:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "job", "watch", "--json", "--profile=full"],
                env=os.environ | environment,
                cwd=Path(__file__).parents[3],
                stdout=out,
                stderr=out,
            )

    def kill(self, what: str) -> None:
        """Kill it; "everything" includes the watchdog, and then all is started by hand again."""
        if what == "everything" and self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
        KILLS[what](self.stack)
        if what == "everything":
            self.stack.up()
            self.start_watchdog()

    def running_since(self, moment: float) -> bool:
        """Whether all answers and every job has completed a checkpoint after `moment` (Unix s)."""
        jobs, flink = self.installation.jobs(), self.stack.flink
        if not self.stack.healthy():
            return False
        for job in JOBS:
            found = jobs.find(job)
            if found is None or found[1].state != "RUNNING":
                return False
            newest = newest_checkpoint(flink.checkpoints_dir, found[1].id)
            # A complete checkpoint is deleted a few later: it may go while we look.
            with suppress(FileNotFoundError):
                if newest is None or (newest / "_metadata").stat().st_mtime <= moment:
                    return False
        return not orphans(self.stack)

    def look(self) -> tuple[Arrivals, Balance]:
        """Topics and lake, compared now. Raises Unavailable."""
        seen = arrivals(self.stack.bootstrap)
        return seen, balance(seen, self.lake, self.entries)

    def settle(self, accepted: set[str], deadline_s: float) -> Balance:
        """Wait until all accepted reads and what follows from them is there, exactly once.

        Nothing may be sent meanwhile. At the deadline, the balance as it is then.
        """
        last: list[Balance] = []

        def whole() -> bool:
            with suppress(PlatelakeError):  # something is not up again
                seen, found = self.look()
                emitted = {arrived.record.read_id for arrived in seen.reads}
                last[:] = [found]
                return found.sound and accepted <= emitted
            return False

        if not wait_until(whole, deadline_s, interval_s=1.0):
            return last[0] if last else self.look()[1]
        return last[0]

    @property
    def watchdog_log(self) -> Path:
        """What the watchdog has done, one JSON object a line."""
        return self.settings.logs_dir / "watchdog.log"

    def stop_watchdog(self) -> int | None:
        """End it as people do; its exit code, or None if it did not run."""
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is None:
            return None
        watchdog.terminate()
        try:
            return watchdog.wait(_WATCHDOG_STOP_S)
        except subprocess.TimeoutExpired:
            watchdog.kill()
            return watchdog.wait()

    def stop(self) -> None:
        """Stop everything and delete the data."""
        self.stop_watchdog()
        if self._lake is not None:
            self._lake.close()
        self.stack.down()
        self.stack.destroy()


@contextmanager
def rig(settings: Settings, entries: list[HotlistEntry]) -> Iterator[Rig]:
    """A rig that is up; stopped at the end whatever happens."""
    if settings.profile is not Profile.FULL:
        raise ValueError("the rig needs the full profile")
    made = Rig(settings, entries)
    try:
        made.start()
        yield made
    finally:
        made.stop()
