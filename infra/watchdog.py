"""Brings back what died: processes of the local Flink, then jobs from their newest checkpoint.

Flink restarts a job by itself when a worker or a task manager dies. It cannot when the job
manager dies, because here no second one stands by: the new one knows no jobs. In production
the Flink operator does both.

A job that fails again and again for a reason of its own is not brought back for ever: it is
stopped, said to be given up, and left for a person to look at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from alpr.errors import PlatelakeError, Unavailable
from infra.faults import own_fault
from infra.flink_rest import Failure, Job
from infra.ledger import JobLedger

_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 300.0
_STEADY_S = 60.0
_INTERVAL_S = 2.0
_PATIENCE = 5
_WITHIN_S = 600.0

# Starts a job from a checkpoint (None: from the beginning) and returns its id.
Submit = Callable[[Path | None], str]


@dataclass(frozen=True)
class Event:
    """What the watchdog did, in one line; `bad` when it could not mend something."""

    text: str
    bad: bool = False


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
    an entry for each job name that may be brought back; `failures` tells why a job failed, and
    `cancel` stops it; `clock` counts seconds, `now` is Unix time.
    """

    processes: Sequence[WatchedProcess]
    jobs: Callable[[], Sequence[Job]]
    ledger: JobLedger
    submits: Mapping[str, Submit]
    failures: Callable[[Job], Sequence[Failure]] = lambda _: ()
    cancel: Callable[[Job], object] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    given_up: dict[str, str] = field(default_factory=dict, init=False)
    """Jobs that failed too often for reasons of their own, each with the last one."""
    _tries: dict[str, _Tries] = field(default_factory=dict, init=False)

    def step(self) -> Iterator[Event]:
        """Look once and mend what can be mended, telling each thing as it is done.

        Jobs are brought back side by side: most of their start is waiting.
        """
        for process in self.processes:
            if process.stale():
                yield self._attempt(
                    f"restarted {process.name}", f"could not restart {process.name}", process.start
                )
        rescues: list[Callable[[], Event]] = []
        try:
            jobs = self.jobs()
            for name in self.ledger.names():
                found = self._look_after(name, jobs)
                if isinstance(found, Event):
                    yield found
                elif found is not None:
                    rescues.append(found)
        except Unavailable:  # Flink itself is coming up: the next step will see
            pass
        if rescues:
            with ThreadPoolExecutor(len(rescues)) as pool:
                yield from (
                    done.result() for done in as_completed(pool.submit(each) for each in rescues)
                )

    def run(
        self,
        stop: Callable[[], bool],
        report: Callable[[Event], object],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Step every two seconds until `stop` says so, reporting each event."""
        while not stop():
            for event in self.step():
                report(event)
            sleep(_INTERVAL_S)

    def _look_after(self, name: str, jobs: Sequence[Job]) -> Event | Callable[[], Event] | None:
        """What was done, or what is to be done to bring the job back; None if all is well."""
        tries = self._tries.setdefault(name, _Tries())
        ids = self.ledger.ids(name)
        live = next((j for j in jobs if j.live and (j.id in ids or j.name == name)), None)
        if live is not None and live.state == "RUNNING":
            self.given_up.pop(name, None)  # somebody mended and started it
        if name in self.given_up:
            return None
        if live is not None:
            return self._look_at_live(name, live, tries, ids)
        tries.alive_since = None
        dead = next((job for job in jobs if job.id == ids[0]), None)
        if dead is not None and dead.stopped_on_purpose:
            self.ledger.retire(name)
            return Event(f"job {name} was stopped: not watching it any more")
        if dead is not None and tries.count >= _PATIENCE:
            return self._give_up(name, self._last_words(dead))
        submit = self.submits.get(name)
        if submit is None or self.clock() < tries.not_before:
            return None
        return lambda: self._bring_back(name, submit, tries, failed=dead is not None)

    def _bring_back(self, name: str, submit: Submit, tries: _Tries, *, failed: bool) -> Event:
        pause = min(_FIRST_PAUSE_S * 2**tries.count, _LONGEST_PAUSE_S)
        tries.count += 1
        tries.not_before = self.clock() + pause
        checkpoint = self.ledger.newest_checkpoint(name)
        source = checkpoint.name if checkpoint else "the beginning: it has no checkpoint"
        event = self._attempt(
            f"brought job {name} back from {source}",
            f"could not bring job {name} back from {source}, next try in {pause:.0f} s",
            lambda: self.ledger.record(name, submit(checkpoint)),
        )
        if not failed and not event.bad:
            # A job manager without memory is not the job's fault: it has all its tries left.
            tries.count, tries.not_before = 0, 0.0
        return event

    def _look_at_live(self, name: str, job: Job, tries: _Tries, ids: Sequence[str]) -> Event | None:
        if job.id != ids[0]:  # it came to run after we had stopped waiting for it
            self.ledger.record(name, job.id)
        faults = [
            fault
            for failure in self.failures(job)
            if self.now() - failure.at < _WITHIN_S and (fault := own_fault(failure.trace))
        ]
        if len(faults) >= _PATIENCE:
            self.cancel(job)
            return self._give_up(name, faults[0])
        if tries.alive_since is None:
            tries.alive_since = self.clock()
        elif self.clock() - tries.alive_since >= _STEADY_S:
            tries.count, tries.not_before = 0, 0.0
            self.ledger.prune(name)
        return None

    def _give_up(self, name: str, reason: str) -> Event:
        self.given_up[name] = reason
        return Event(
            f"gave up on job {name}: it failed {_PATIENCE} times for a reason of its own: "
            f"{reason}. Mend that, then run `platelake job start {name}`",
            bad=True,
        )

    def _last_words(self, job: Job) -> str:
        failures = self.failures(job)
        if not failures:
            return "Flink gives no reason"
        trace = failures[0].trace
        return own_fault(trace) or trace.partition("\n")[0]

    @staticmethod
    def _attempt(done: str, failed: str, action: Callable[[], object]) -> Event:
        try:
            action()
        except PlatelakeError as error:  # reported, and tried again: a watchdog must not die
            return Event(f"{failed}: {error}", bad=True)
        return Event(done)
