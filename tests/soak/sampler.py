"""Every few seconds: how large each process is, and each job's checkpoint."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Any

import psutil

from alpr.errors import PlatelakeError
from cli.installation import Installation
from tests.support.faults.kills import workers

_EVERY_S = 5.0


class Sampler:
    """A thread that looks while the block runs; `samples` are plain values for JSON."""

    def __init__(self, installation: Installation, began: float) -> None:
        self.samples: list[dict[str, Any]] = []
        self._installation = installation
        self._began = began
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="sampler")

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.samples.append(
                {
                    "at_s": round(time.monotonic() - self._began, 1),
                    "rss_mib": self._sizes(),
                    "checkpoints": self._checkpoints(),
                }
            )

    def _sizes(self) -> dict[str, float]:
        stack = self._installation.stack
        sizes: dict[str, float] = {}
        for process in stack.processes:
            if process.pid is not None:
                with suppress(psutil.Error):
                    sizes[process.name] = _mib(psutil.Process(process.pid))
        with suppress(psutil.Error):
            found = workers(stack)
            sizes["python workers"] = round(sum(_mib(each) for each in found), 1)
        return sizes

    def _checkpoints(self) -> dict[str, dict[str, int | None]]:
        found: dict[str, dict[str, int | None]] = {}
        with suppress(PlatelakeError):  # Flink may be what was killed
            for rest, job in self._installation.jobs().all():
                if job.live and job.name not in found:
                    state = rest.checkpoints(job.id)
                    found[job.name] = {
                        "number": state.latest_id,
                        "bytes": state.latest_bytes,
                        "duration_ms": state.latest_duration_ms,
                        "failed": state.failed,
                    }
        return found


def _mib(process: psutil.Process) -> float:
    return round(float(process.memory_info().rss) / 2**20, 1)
