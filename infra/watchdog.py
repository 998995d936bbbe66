"""Brings back what died: processes of the local Flink, then jobs from their newest checkpoint.

Flink restarts a job by itself when a worker or a task manager dies. It cannot when the job
manager dies, because here no second one stands by: the new one knows no jobs. In production
the Flink operator does both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from alpr.errors import PlatelakeError, Unavailable
from infra.flink_rest import Job
from infra.ledger import JobLedger

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_STEADY_S = 60.0
_INTERVAL_S = 2.0

# Starts a job from a checkpoint (None: from the beginning) and returns its id.
Submit = Callable[[Path | None], str]


class WatchedProcess(Protocol):
    """What the watchdog needs of a process; `infra.process.ManagedProcess` is one."""

    @property
    def name(self) -> str:
        """Its name in messages."""

    def stale(self) -> bool:
        """Whether it should run and does not."""

    def start(self) -> bool:
        """Start it."""


@dataclass
class _Tries:
    """How often a job was brought back lately, and when the next try may be."""

    count: int = 0
    not_before: float = 0.0
    alive_since: float | None = None


@dataclass
class Watchdog:
    """Watches processes and the jobs of a ledger.

    `jobs` lists what Flink runs and raises Unavailable when it does not answer; `submits` has
    an entry for each job name that may be brought back; `clock` counts seconds.
    """

    processes: Sequence[WatchedProcess]
    jobs: Callable[[], Sequence[Job]]
    ledger: JobLedger
    submits: Mapping[str, Submit]
    clock: Callable[[], float] = time.monotonic
    _tries: dict[str, _Tries] = field(default_factory=dict, init=False)

    def step(self) -> list[str]:
        """Look once and mend what can be mended; says what was done, one line each."""
        events = [
            self._attempt(
                f"restarted {process.name}", f"could not restart {process.name}", process.start
            )
            for process in self.processes
            if process.stale()
        ]
        try:
            jobs = self.jobs()
        except Unavailable:  # Flink itself is coming up: the next step will see
            return events
        for name in self.ledger.names():
            event = self._look_after(name, jobs)
            if event:
                events.append(event)
        return events

    def run(
        self,
        stop: Callable[[], bool],
        report: Callable[[str], object],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Step every two seconds until `stop` says so, reporting each event."""
        while not stop():
            for event in self.step():
                report(event)
            sleep(_INTERVAL_S)

    def _look_after(self, name: str, jobs: Sequence[Job]) -> str | None:
        tries = self._tries.setdefault(name, _Tries())
        ids = self.ledger.ids(name)
        if any(job.live and (job.id in ids or job.name == name) for job in jobs):
            if tries.alive_since is None:
                tries.alive_since = self.clock()
            elif self.clock() - tries.alive_since >= _STEADY_S:
                tries.count, tries.not_before = 0, 0.0
                self.ledger.prune(name)
            return None
        tries.alive_since = None
        if any(job.id == ids[0] and job.stopped_on_purpose for job in jobs):
            self.ledger.forget(name)
            return f"job {name} was stopped: not watching it any more"
        submit = self.submits.get(name)
        if submit is None or self.clock() < tries.not_before:
            return None
        pause = min(_FIRST_PAUSE_S * 2**tries.count, _LONGEST_PAUSE_S)
        tries.count += 1
        tries.not_before = self.clock() + pause
        checkpoint = self.ledger.newest_checkpoint(name)
        source = checkpoint.name if checkpoint else "the beginning: it has no checkpoint"
        return self._attempt(
            f"brought job {name} back from {source}",
            f"could not bring job {name} back from {source}, next try in {pause:.0f} s",
            lambda: self.ledger.record(name, submit(checkpoint)),
        )

    @staticmethod
    def _attempt(done: str, failed: str, action: Callable[[], object]) -> str:
        try:
            action()
        except PlatelakeError as error:  # reported, and tried again: a watchdog must not die
            return f"{failed}: {error}"
        return done
