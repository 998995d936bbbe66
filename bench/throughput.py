"""`python -m bench.throughput`: match + land against what they are measured by, in one run.

On a stack of its own: (a) a bare kafka-python loop, (c) a Bytewax dataflow, then the
product's jobs together, their latency at two rates, and (b) the same jobs with one
element per record. See bench/README.md for what each figure means.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from alpr.errors import PlatelakeError, Unavailable
from bench.accounting import Cost, Latency, Machine, Meter
from bench.environment import python_of
from bench.report import markdown
from bench.stack import held, job_process, pid_of, service_pids, stack, truncate
from bench.traffic import Marks, Messages, make_messages, read_to_hit_ms, send, write_hotlist
from catalog.lake import Lake
from catalog.offsets import Source, committed_offsets
from cli.installation import Installation
from infra.process import ManagedProcess
from infra.provision.progress import Reporter, Silent
from infra.scrape import scrape
from infra.waiting import wait_until
from ingest.topics import READS, end_offsets

_HERE: Final = Path(__file__).parent
_POLL_S: Final = 0.1
_DEADLINE_S: Final = 900.0
_JOBS: Final = ("match", "land")


@dataclass(frozen=True)
class Plan:
    """What is run. Rates in reads a second, times in seconds."""

    reads: int = 800_000
    per_record_reads: int = 100_000
    hit_share: float = 0.005
    hotlist_entries: int = 200_000
    low_rate: float = 200.0
    low_seconds: float = 60.0
    low_hit_share: float = 0.1
    half_seconds: float = 20.0


@dataclass
class Job:
    """One of the jobs in a run together: its own pace, and its worker's cost."""

    reads_per_s: float
    cpu_s_per_million: float
    rss_mib: float


@dataclass
class Together:
    """Both jobs at work on the same backlog at the same time.

    `reads_per_s`: reads divided by the time until the slower of the two was done.
    """

    reads: int
    wall_s: float
    reads_per_s: float
    jobs: dict[str, Job]
    services: dict[str, Cost]
    cpu_s_per_million: float


@dataclass
class Loop:
    """One process that only decodes and matches."""

    reads: int
    hits: int
    reads_per_s: float
    cpu_s_per_million: float
    rss_mib: float


@dataclass
class Result:
    """Everything measured in one run."""

    machine: Machine
    plan: Plan
    message_bytes: float
    bare: Loop
    bytewax: Loop | str
    """Or why it could not be run."""
    ours: Together
    per_record: Together
    latency_low: Latency
    latency_half: Latency
    half_rate: float
    load_after: float
    goals: dict[str, bool] = field(default_factory=dict)


def run(plan: Plan, reporter: Reporter, first_port: int | None = None) -> Result:
    """Measure everything; about seven minutes on two free cores."""
    machine = Machine.here()
    with reporter.step("Drawing reads"):
        messages = make_messages(11, plan.reads, plan.hit_share)
    with stack(reporter, first_port) as installation:
        write_hotlist(installation.hotlist_store, messages.wanted, plan.hotlist_entries)
        bootstrap = installation.stack.bootstrap
        with reporter.step(f"Sending {plan.reads} reads"):
            send(bootstrap, messages)
        with reporter.step("(a) a bare kafka-python loop"):
            bare = _loop(installation, Path(sys.executable), "bench.contenders.bare")
        with reporter.step("(c) Bytewax"):
            bytewax = _bytewax(installation)
        truncate(bootstrap, READS)
        jobs = {job: job_process(installation, job) for job in _JOBS}
        try:
            with reporter.step("Match and land together"):
                ours = _together(installation, jobs, messages)
            with reporter.step(f"Latency at {plan.low_rate:.0f} reads a second"):
                count = round(plan.low_rate * plan.low_seconds)
                low = _latency(
                    installation, make_messages(12, count, plan.low_hit_share), plan.low_rate
                )
            half_rate = ours.reads_per_s / 2
            with reporter.step(f"Latency at {half_rate:.0f} reads a second"):
                count = round(half_rate * plan.half_seconds)
                half = _latency(installation, make_messages(13, count, plan.hit_share), half_rate)
        finally:
            _stop(jobs)
        with reporter.step("(b) the same jobs, one element per record"):
            per_record = _per_record(installation, plan)
    return Result(
        machine=machine,
        plan=plan,
        message_bytes=messages.mean_bytes,
        bare=bare,
        bytewax=bytewax,
        ours=ours,
        per_record=per_record,
        latency_low=low,
        latency_half=half,
        half_rate=half_rate,
        load_after=Machine.here().load,
        goals=goals(ours, per_record, bare, low, half),
    )


def goals(
    ours: Together, per_record: Together, bare: Loop, low: Latency, half: Latency
) -> dict[str, bool]:
    """Which of the project's goals were met."""
    return {
        "at least 30,000 reads/s, match and land together": ours.reads_per_s >= 30_000,
        "at least 5 times (b)": ours.reads_per_s >= 5 * per_record.reads_per_s,
        "at least half of (a)": ours.reads_per_s >= 0.5 * bare.reads_per_s,
        "read to hit at the low rate: p50 <= 50 ms": low.p50 <= 50,
        "read to hit at the low rate: p99 <= 400 ms": low.p99 <= 400,
        "read to hit at half load: p99 <= 2 s": half.p99 <= 2000,
    }


def _loop(installation: Installation, python: Path, module: str) -> Loop:
    command = [
        str(python), "-m", module,
        f"--bootstrap={installation.stack.bootstrap}",
        f"--hotlist_store={installation.hotlist_store}",
    ]  # fmt: skip
    child = subprocess.Popen(
        command,
        cwd=_HERE.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    meter = Meter({module: child.pid})
    meter.start()
    out, errors = child.communicate(timeout=_DEADLINE_S)
    cost = meter.stop()[module]
    if child.returncode != 0:
        raise Unavailable(f"{module} failed: {errors.strip().splitlines()[-1:]}")
    told: Mapping[str, Any] = json.loads(out.splitlines()[-1])
    return Loop(
        reads=told["reads"],
        hits=told["hits"],
        reads_per_s=told["reads"] / told["wall_s"],
        cpu_s_per_million=told["cpu_s"] / told["reads"] * 1e6,
        rss_mib=cost.rss_mib,
    )


def _bytewax(installation: Installation) -> Loop | str:
    try:
        python = python_of(_HERE / "requirements-bytewax.txt", installation.settings.cache)
        return _loop(installation, python, "bench.contenders.bytewax_match")
    except Unavailable as error:
        return str(error)


def _per_record(installation: Installation, plan: Plan) -> Together:
    """The jobs of bench.contenders on a topic and a lake table position of their own."""
    truncate(installation.stack.bootstrap, READS)
    jobs = {
        job: job_process(installation, job, f"bench.contenders.per_record_{job}") for job in _JOBS
    }
    messages = make_messages(14, plan.per_record_reads, plan.hit_share)
    try:
        return _together(installation, jobs, messages)
    finally:
        _stop(jobs)


def _together(
    installation: Installation, jobs: Mapping[str, ManagedProcess], messages: Messages
) -> Together:
    """Start the jobs, hold them while the backlog is written, let them go, wait for both."""
    bootstrap = installation.stack.bootstrap
    for process in jobs.values():
        process.start()
    workers = {job: pid_of(process) for job, process in jobs.items()}
    services = service_pids(installation)
    lake = installation.lake()
    try:
        _warm(installation, lake, messages)
        before = sum(end_offsets(bootstrap, READS).values())
        matched = _taken(installation, "match")
        with held(workers):
            send(bootstrap, messages)
            meter = Meter(workers | services)
            meter.start()
        begin = time.monotonic()
        ends = end_offsets(bootstrap, READS)
        reads = sum(ends.values()) - before
        done: dict[str, float] = {}
        ready: dict[str, Callable[[], bool]] = {
            "match": lambda: _taken(installation, "match") >= matched + reads,
            "land": lambda: _landed(lake, ends),
        }

        def finished() -> bool:
            for job, is_ready in ready.items():
                if job not in done and is_ready():
                    done[job] = time.monotonic() - begin
            return len(done) == len(ready)

        complete = wait_until(finished, _DEADLINE_S, interval_s=_POLL_S)
        costs = meter.stop()
    finally:
        lake.close()
    if not complete:
        raise Unavailable(f"after {_DEADLINE_S:.0f} s only {sorted(done)} had read everything")
    wall = max(done.values())
    return Together(
        reads=reads,
        wall_s=wall,
        reads_per_s=reads / wall,
        jobs={
            job: Job(reads / done[job], costs[job].per_million(reads), costs[job].rss_mib)
            for job in jobs
        },
        services={name: costs[name] for name in services},
        cpu_s_per_million=sum(cost.cpu_s for cost in costs.values()) / reads * 1e6,
    )


def _warm(installation: Installation, lake: Lake, messages: Messages) -> None:
    """A first few thousand reads through both jobs: what is measured is no first start."""
    count = min(4000, len(messages.values))
    few = make_messages(15, count, 0.01)
    matched = _taken(installation, "match")
    send(installation.stack.bootstrap, few)
    ends = end_offsets(installation.stack.bootstrap, READS)
    if not wait_until(
        lambda: _taken(installation, "match") >= matched + count and _landed(lake, ends), 180.0
    ):
        raise Unavailable(f"the jobs took nothing. Logs are in {installation.settings.logs_dir}")


def _taken(installation: Installation, job: str) -> int:
    return int(scrape(installation.settings.metrics_dir).total(f"platelake_{job}_records_in_total"))


def _landed(lake: Lake, ends: Mapping[int, int]) -> bool:
    offsets = committed_offsets(lake, "reads")
    return all(offsets.get(Source(READS, p), 0) >= end for p, end in ends.items() if end)


def _latency(installation: Installation, messages: Messages, rate: float) -> Latency:
    bootstrap = installation.stack.bootstrap
    begin = Marks.now(bootstrap)
    matched = _taken(installation, "match")
    send(bootstrap, messages, rate)
    target = matched + len(messages.values)
    if not wait_until(lambda: _taken(installation, "match") >= target, 120.0):
        raise Unavailable("the match job did not keep up")
    settled = time.monotonic() + 2.0
    wait_until(lambda: time.monotonic() >= settled, 5.0)  # the last hits are on their way
    return Latency.of(read_to_hit_ms(bootstrap, begin, Marks.now(bootstrap)))


def _stop(jobs: Mapping[str, ManagedProcess]) -> None:
    for process in jobs.values():
        process.stop()


def main() -> None:
    """Run and print; exit code 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench.throughput")
    plan = Plan()
    parser.add_argument("--reads", type=int, default=plan.reads)
    parser.add_argument("--per-record-reads", type=int, default=plan.per_record_reads)
    parser.add_argument("--seconds", type=float, default=plan.low_seconds, help="at the low rate")
    parser.add_argument("--first-port", type=int, default=None, help="of 40 free ones in a row")
    parser.add_argument("--json", type=Path, default=None, help="write the figures here")
    parser.add_argument("--markdown", type=Path, default=None, help="write the table here")
    arguments = parser.parse_args()
    chosen = Plan(
        reads=arguments.reads,
        per_record_reads=arguments.per_record_reads,
        low_seconds=arguments.seconds,
    )
    try:
        result = run(chosen, Silent(), arguments.first_port)
    except PlatelakeError as error:
        sys.exit(f"bench.throughput: {error}")
    sys.exit(publish(result, arguments.json, arguments.markdown))


def publish(result: Result, json_file: Path | None, markdown_file: Path | None) -> int:
    """Print the table, write what is asked for; 1 if a goal was missed, else 0."""
    table = markdown(asdict(result))
    print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(asdict(result), indent=2) + "\n")
    if markdown_file is not None:
        markdown_file.write_text(table)
    return 0 if all(result.goals.values()) else 1


if __name__ == "__main__":
    main()
