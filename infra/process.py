"""One process under care: start it, see that it is well, stop it, or kill it as a crash would.

A process runs in a session of its own, so that a Ctrl-C in the terminal does not reach it and
so that it can be stopped together with everything it started. What is known about it lies in
a pid file that also records when the process began: a pid that was given to another program
since is told apart and never touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from alpr.errors import ConfigurationError, Unavailable
from infra import preflight
from infra.interrupts import deferred
from infra.preflight import PortClaim
from infra.waiting import wait_until

# Start times read at two moments differ by the clock's adjustments, never by seconds.
_SAME_START_S = 2.0
_KILL_GRACE_S = 5.0
_LOG_TAIL_LINES = 15
# The processes this program itself has started, by pid: they must be reaped when they end,
# whichever object asks, and they may outlive both the object and this program.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. Secrets go into `env` or files, never into `argv`, which everybody can read."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    user: str | None = None
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: `command` is built at each start, `ready` asks it a real question."""

    name: str
    command: Callable[[], Command]
    ready: Callable[[], bool]
    ports: tuple[PortClaim, ...] = ()
    start_deadline_s: float = 120.0
    stop_grace_s: float = 20.0
    stop_signal: signal.Signals = signal.SIGTERM
    disk_free_min_mib: int = 0


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What `platelake status` shows.

    `state` is "up", "unwell" (runs, does not answer), "dead" (should run, does not) or "down";
    `uptime_s` and `rss_mib` (its children included) are None when it does not run.
    """

    name: str
    state: str
    pid: int | None
    ports: tuple[int, ...]
    uptime_s: float | None
    rss_mib: float | None
    log: str


class ManagedProcess:
    """Supervises the one process that `spec` describes; state lies in `run_dir`, so any
    later command of the same home can take over.
    """

    def __init__(self, spec: ProcessSpec, *, run_dir: Path, logs_dir: Path) -> None:
        self.spec = spec
        self.log = logs_dir / f"{spec.name}.log"
        self._pid_file = run_dir / f"{spec.name}.pid"
        self._lock_file = run_dir / f"{spec.name}.lock"

    @property
    def name(self) -> str:
        """The name of the process in files and messages."""
        return self.spec.name

    # What is so.

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        process = self._process()
        return process.pid if process else None

    def alive(self) -> bool:
        """Whether the process runs, well or not."""
        return self._process() is not None

    def healthy(self) -> bool:
        """Whether the process runs and answers a real request."""
        return self.alive() and self.spec.ready()

    def stale(self) -> bool:
        """Whether a pid file says that the process should run, and it does not."""
        return self._pid_file.exists() and not self.alive()

    def status(self, now: Callable[[], float] = time.time) -> ProcessStatus:
        """Return what is known of the process now."""
        ports = tuple(claim.port for claim in self.spec.ports)
        process = self._process()
        if process is not None:
            with suppress(psutil.Error):  # it may end between the questions: then it is down
                return ProcessStatus(
                    name=self.name,
                    state="up" if self.spec.ready() else "unwell",
                    pid=process.pid,
                    ports=ports,
                    uptime_s=max(0.0, now() - process.create_time()),
                    rss_mib=_rss_mib(process),
                    log=str(self.log),
                )
        state = "dead" if self._pid_file.exists() else "down"
        return ProcessStatus(self.name, state, None, ports, None, None, str(self.log))

    # What is done.

    def start(self) -> bool:
        """Start the process and wait until it is well; False when it ran already.

        Raises ConfigurationError when a port is taken, the disk is nearly full or the program
        cannot be run, Unavailable when it ends or does not become well in time. Then, and
        when interrupted, what was started is stopped again.
        """
        with self._locked():
            started = not self.alive()
            if started:
                self._end()  # what an earlier run left of its group
                preflight.require_free_ports(self.spec.ports)
                preflight.require_free_disk(self._pid_file.parent, self.spec.disk_free_min_mib)
                self._spawn(self.spec.command())
            try:
                self._await_ready()
            except BaseException:  # an interrupt too: nothing half-started may stay
                if started:
                    self._end()
                raise
            return started

    def stop(self) -> bool:
        """Stop the process and all it started; False when nothing ran."""
        with self._locked():
            return self._end()

    def kill(self) -> bool:
        """End the process alone with SIGKILL, as a crash would; False when it did not run.

        Its pid file stays: to every observer it is a process that should run and does not.
        """
        process = self._process()
        if process is None:
            return False
        with suppress(psutil.NoSuchProcess):
            process.kill()
        wait_until(lambda: not self.alive(), _KILL_GRACE_S, interval_s=0.02)
        return True

    # How.

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other commands away from this process while it is being changed."""
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _recorded(self) -> tuple[int, float] | None:
        try:
            record = json.loads(self._pid_file.read_text("utf-8"))
            return int(record["pid"]), float(record["started"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):  # cut off by a full disk or a crash
            return None

    def _process(self) -> psutil.Process | None:
        record = self._recorded()
        if record is None:
            return None
        pid, started = record
        child = _children.get(pid)
        if child is not None and child.poll() is not None:
            del _children[pid]
        try:
            process = psutil.Process(pid)
            same = abs(process.create_time() - started) < _SAME_START_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    def _group(self) -> list[psutil.Process]:
        """The members of the process's group, which live on when its leader has died."""
        record = self._recorded()
        if record is None:
            return []
        leader, started = record
        members = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if (
                    os.getpgid(process.pid) == leader
                    and process.create_time() > started - _SAME_START_S
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    members.append(process)
        # A leader that began at another time is another program with a pid used again.
        alive = {process.pid for process in members}
        return [] if leader in alive and self._process() is None else members

    def _spawn(self, command: Command) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        account = pwd.getpwnam(command.user) if command.user else None
        environment = {**os.environ, **command.env}
        if account is not None:
            environment |= {"HOME": account.pw_dir, "USER": account.pw_name}
        with deferred(), self.log.open("wb") as log:
            try:
                child = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=command.cwd,
                    start_new_session=True,
                    user=account.pw_uid if account else None,
                    group=account.pw_gid if account else None,
                    extra_groups=[] if account else None,
                )
            except OSError as error:
                raise ConfigurationError(
                    f"{self.name}: cannot run {command.argv[0]}: {error.strerror}. "
                    "Run `platelake doctor`"
                ) from error
            _children[child.pid] = child
            try:
                started = psutil.Process(child.pid).create_time()
                _write_whole(self._pid_file, json.dumps({"pid": child.pid, "started": started}))
            except BaseException:  # without a pid file nobody could ever stop it
                child.kill()
                child.wait()
                raise

    def _await_ready(self) -> None:
        ended = False

        def settled() -> bool:
            nonlocal ended
            ended = not self.alive()
            return ended or self.spec.ready()

        if not wait_until(settled, self.spec.start_deadline_s):
            raise Unavailable(
                f"{self.name} did not become ready in {self.spec.start_deadline_s:.0f} s. "
                f"{self.log_tail()}"
            )
        if ended:
            raise Unavailable(f"{self.name} ended while starting. {self.log_tail()}")

    def _end(self) -> bool:
        """Ask the group to end, then make it; remove the pid file."""
        process = self._process()
        members = self._group()
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(self.spec.stop_signal)
            wait_until(lambda: not self.alive(), self.spec.stop_grace_s, interval_s=0.05)
        for member in self._group():
            with suppress(psutil.NoSuchProcess):
                member.kill()
        gone = wait_until(lambda: not self._group(), _KILL_GRACE_S, interval_s=0.05)
        if not gone:
            pids = ", ".join(str(member.pid) for member in self._group())
            raise Unavailable(f"{self.name}: processes {pids} do not end, not even by SIGKILL")
        self._pid_file.unlink(missing_ok=True)
        return bool(members)

    def log_tail(self) -> str:
        """The last lines of the log, for a message."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        tail = "\n".join(f"    {line}" for line in lines[-_LOG_TAIL_LINES:]) or "    (nothing)"
        return f"The end of {self.log}:\n{tail}"


def _rss_mib(process: psutil.Process) -> float:
    total = 0
    for member in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total / 2**20


def _write_whole(path: Path, text: str) -> None:
    """Write so that a reader sees the old file or the new one, never a part."""
    part = path.with_suffix(".part")
    part.write_text(text, "utf-8")
    part.replace(path)
