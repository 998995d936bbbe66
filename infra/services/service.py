"""What all services have in common."""

from __future__ import annotations

from collections.abc import Sequence

from infra.process import ManagedProcess, ProcessStatus


class Service:
    """One part of the stack: its processes start in order and stop in the reverse order.

    Each call reaches every process; only then is it asked whether anything was done.
    """

    name: str
    """What people call it."""

    @property
    def processes(self) -> Sequence[ManagedProcess]:
        """Its processes in the order in which they start."""
        raise NotImplementedError

    def start(self) -> bool:
        """Start what does not run and wait until it is well; False when all ran already.

        Raises what `ManagedProcess.start` does.
        """
        done = [process.start() for process in self.processes]
        return any(done)

    def stop(self) -> bool:
        """Stop it; False when nothing ran."""
        done = [process.stop() for process in reversed(self.processes)]
        return any(done)

    def kill(self) -> bool:
        """End its processes with SIGKILL, as a crash would; False when none ran."""
        done = [process.kill() for process in self.processes]
        return any(done)

    def healthy(self) -> bool:
        """Whether every process runs and answers."""
        return all(process.healthy() for process in self.processes)

    def status(self) -> list[ProcessStatus]:
        """One line a process."""
        return [process.status() for process in self.processes]
