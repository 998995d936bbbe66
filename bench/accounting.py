"""What a run cost and how long it took: processor time, memory, percentiles."""

from __future__ import annotations

import math
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all values do not exceed (nearest rank).

    Raises ValueError without values.
    """
    if not values:
        raise ValueError("there is no percentile of nothing")
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


@dataclass(frozen=True)
class Latency:
    """Percentiles of a set of latencies, milliseconds."""

    count: int
    p50: float
    p99: float
    most: float

    @staticmethod
    def of(values: Sequence[float]) -> Latency:
        """Raises ValueError without values."""
        return Latency(
            len(values), percentile(values, 0.5), percentile(values, 0.99), max(values, default=0)
        )


@dataclass(frozen=True)
class Cost:
    """Processor time (user and system) in seconds and the most memory seen (RSS) in MiB."""

    cpu_s: float
    rss_mib: float

    def per_million(self, reads: int) -> float:
        """CPU seconds a million reads."""
        return self.cpu_s / reads * 1e6


class Meter:
    """Measures named processes, each with its children, from `start` to `stop`."""

    def __init__(
        self,
        pids: Mapping[str, int],
        sample_s: float = 0.2,
        family: Callable[[int], Family] | None = None,
    ) -> None:
        self._families = {name: (family or Family)(pid) for name, pid in pids.items()}
        self._sample_s = sample_s
        self._begin: dict[str, float] = {}
        self._peak: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin; memory is looked at every `sample_s`."""
        self._begin = {name: each.cpu_s() for name, each in self._families.items()}
        self._look()
        self._thread.start()

    def stop(self) -> dict[str, Cost]:
        """What each has used since `start`."""
        self._ended.set()
        self._thread.join()
        self._look()
        return {
            name: Cost(each.cpu_s() - self._begin[name], self._peak[name])
            for name, each in self._families.items()
        }

    def _watch(self) -> None:
        while not self._ended.wait(self._sample_s):
            self._look()

    def _look(self) -> None:
        for name, each in self._families.items():
            self._peak[name] = max(self._peak.get(name, 0.0), each.rss_mib())


class Family:
    """One process and its children."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._last = 0.0

    def cpu_s(self) -> float:
        """Seconds so far; of children that have ended too, once they are reaped."""
        with suppress(psutil.NoSuchProcess):
            own = self._process.cpu_times()
            total = own.user + own.system + own.children_user + own.children_system
            for child in self._process.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    times = child.cpu_times()
                    total += times.user + times.system
            self._last = total
        return self._last

    def rss_mib(self) -> float:
        """Resident memory now; 0 once it has ended."""
        total = 0.0
        with suppress(psutil.NoSuchProcess):
            for process in (self._process, *self._process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss / 2**20
        return total


@dataclass(frozen=True)
class Machine:
    """Where the figures were taken; `load` is what else ran: the mean number of busy processes."""

    system: str
    processor: str
    cores: int
    memory_gib: float
    python: str
    load: float

    @staticmethod
    def here() -> Machine:
        """This machine, now."""
        return Machine(
            system=f"{platform.system()} {platform.release()}",
            processor=_processor(),
            cores=os.cpu_count() or 1,
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            python=platform.python_version(),
            load=round(os.getloadavg()[0], 1),
        )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
