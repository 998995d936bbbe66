"""`python -m bench.hot_paths`: the steps of every read, each beside what else one could use.

Each way is run in a process of its own, warmed up once and then repeated for about
`_SECONDS`; told are processor time a unit and the memory that preparing and running took.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from alpr.errors import ConfigurationError
from bench.accounting import Machine
from bench.hot import decoding, keys, landing, matching, reading, sending

_SECONDS: Final = 2.0


class Way(NamedTuple):
    """One way to do a step: `prepare` gives the work and how many units a call of it does."""

    step: str
    name: str
    unit: str
    prepare: Callable[[], tuple[Callable[[], object], int]]


@dataclass(frozen=True)
class Figure:
    """What a way costs: processor microseconds a unit; MiB beyond the bare interpreter's."""

    step: str
    name: str
    unit: str
    cpu_us: float
    memory_mib: float
    times: float
    """Processor time as a multiple of the product's own way, which is the step's first."""


WAYS: Final[Sequence[Way]] = tuple(
    Way(step, name, unit, prepare)
    for module in (decoding, keys, matching, landing, sending, reading)
    for step, unit, ways in module.STEPS
    for name, prepare in ways.items()
)
"""Of each step the product's own way comes first."""


def measure(number: int) -> tuple[float, float]:
    """Processor microseconds a unit and MiB taken, of `WAYS[number]`, in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work, units = WAYS[number].prepare()
    work()
    spent, calls = 0.0, 0
    while spent < _SECONDS:
        begin = time.process_time()
        work()
        spent += time.process_time() - begin
        calls += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return spent / calls / units * 1e6, (peak - before) / 1024


def figures_of(steps: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The figures of these steps, or of all, as plain values."""
    known = {way.step for way in WAYS}
    unknown = set(steps or ()) - known
    if unknown:
        raise ConfigurationError(
            f"a step is one of {', '.join(sorted(known))}; got {', '.join(sorted(unknown))}"
        )
    figures: list[Figure] = []
    own: dict[str, float] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        for number, way in enumerate(WAYS):
            if steps and way.step not in steps:
                continue
            cpu_us, memory_mib = pool.submit(measure, number).result()
            base = own.setdefault(way.step, cpu_us)
            figures.append(Figure(way.step, way.name, way.unit, cpu_us, memory_mib, cpu_us / base))
    return [asdict(figure) for figure in figures]


def table(figures: Sequence[Mapping[str, Any]]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| step | way | CPU µs | of a | times ours | memory, MiB |",
        "|---|---|---:|---|---:|---:|",
    ]
    lines += [
        f"| {f['step']} | {f['name']} | {f['cpu_us']:,.3g} | {f['unit']} "
        f"| {f['times']:.2f} | {f['memory_mib']:.0f} |"
        for f in figures
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.hot_paths")
    parser.add_argument("steps", nargs="*", help="some of the steps; all if none is named")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    arguments = parser.parse_args()
    figures = figures_of(arguments.steps)
    machine = Machine.here()
    print(f"{machine.cores} cores ({machine.processor}), load average {machine.load}.\n")
    print(table(figures))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
