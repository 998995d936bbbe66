"""The demo from the first check to the last line."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from alpr.errors import Unavailable
from alpr.ids import entry_id
from alpr.records import HotlistChange, HotlistEntry
from catalog.compact import CompactionPolicy, compact
from catalog.lake import Lake
from catalog.offsets import Source, committed_offsets
from catalog.schemas import TABLES
from cli.demo.cameras import plan_at
from cli.demo.live import LiveView
from cli.demo.reckoning import Reckoning, reckon
from cli.demo.report import print_summary
from cli.installation import Installation
from infra import settings as settings_module
from infra.jobs import JOBS
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision.progress import Terminal
from infra.scrape import scrape
from infra.settings import Profile
from infra.versions import versions
from infra.waiting import wait_until
from ingest.hotlists.changes import publish
from ingest.hotlists.snapshot import write_snapshot
from ingest.producer import Producer
from ingest.simulator.plan import Plan
from ingest.simulator.truth import write_truth
from ingest.simulator.wanted import make_hotlist
from ingest.topics import FRAMES, HITS, READS, end_offsets, ensure_topics

_LEAD = timedelta(seconds=2)
"""Between putting the hot list in force and the first frame; workers look every half second."""
_ENTRY_LEAD = timedelta(seconds=5)
"""Between sending a new entry and its coming into force: longer than it takes to reach workers."""
_DRAIN_S = 120.0
_QUIET_S = 4.0


def run_demo(
    *, seconds: float, seed: int, agencies: int, out: Path | None, home: Path | None
) -> bool:
    """Run it all; True if nothing was missing or doubled. Stops everything, whatever happens."""
    started = time.monotonic()
    console = Console(stderr=True)
    base = settings_module.load(home=home)
    installation = Installation(
        settings_module.load(profile=Profile.EMBEDDED, home=base.home / "demo"), Terminal(console)
    )
    _clean(installation)
    cameras: ManagedProcess | None = None
    jobs = installation.jobs()
    try:
        installation.stack.up(after_kafka=ensure_topics)
        with installation.stack.reporter.step("Preparing lake and hot list"):
            lake = installation.prepare_lake()
            write_snapshot(installation.hotlist_store, [], datetime.now(UTC), 0)
        go = installation.settings.run_dir / "go"
        go.unlink(missing_ok=True)
        cameras = _cameras(installation, seconds, seed, agencies, go)
        cameras.start()
        for job in JOBS:
            with installation.stack.reporter.step(f"Starting job {job}"):
                jobs.start(job)
        plan, entries = _begin(installation, seconds, seed, agencies, go)
        _watch(console, installation, plan, entries, seconds, cameras)
        with installation.stack.reporter.step("Waiting until everything has landed"):
            _drain(installation, lake)
        with installation.stack.reporter.step("Merging small files"):
            _compact(lake)
        with installation.stack.reporter.step("Comparing what was shown with what came out"):
            write_truth(installation.settings.state_dir / "truth.jsonl", plan.shown)
            result = reckon(installation.stack.bootstrap, lake, plan.shown, entries)
        lake.close()
    finally:
        _stop(installation, cameras)
    summary = _summary(result, time.monotonic() - started)
    print_summary(Console(), summary, result.sound)
    if out is not None:
        out.write_text(json.dumps(summary, indent=2) + "\n")
    return result.sound


def _clean(installation: Installation) -> None:
    """End what an earlier demo may have left, and begin with empty topics and an empty lake."""
    _stop(installation, None)
    for folder in (installation.settings.data_dir, installation.settings.metrics_dir):
        shutil.rmtree(folder, ignore_errors=True)


def _stop(installation: Installation, cameras: ManagedProcess | None) -> None:
    processes = [] if cameras is None else [cameras]
    processes += [installation.jobs().process(job) for job in reversed(JOBS)]
    for process in processes:
        process.stop()
    installation.stack.down()


def _cameras(
    installation: Installation, seconds: float, seed: int, agencies: int, go: Path
) -> ManagedProcess:
    command = Command(
        (
            sys.executable,
            "-m",
            "cli.demo.cameras",
            f"--bootstrap={installation.stack.bootstrap}",
            f"--seconds={seconds}",
            f"--seed={seed}",
            f"--agencies={agencies}",
            f"--go={go}",
        )
    )
    spec = ProcessSpec(name="cameras", command=lambda: command, ready=lambda: True)
    return ManagedProcess(
        spec, run_dir=installation.settings.run_dir, logs_dir=installation.settings.logs_dir
    )


def _begin(
    installation: Installation, seconds: float, seed: int, agencies: int, go: Path
) -> tuple[Plan, list[HotlistEntry]]:
    """Put the real list in force while the jobs run, then start the cameras."""
    start = datetime.now(UTC) + _LEAD
    plan = plan_at(start, seed, agencies, seconds)
    entries = list(make_hotlist(plan))
    write_snapshot(installation.hotlist_store, entries, datetime.now(UTC), 0)
    partial = go.with_suffix(".tmp")
    partial.write_text(start.isoformat())
    partial.replace(go)
    return plan, entries


def _watch(
    console: Console,
    installation: Installation,
    plan: Plan,
    entries: list[HotlistEntry],
    seconds: float,
    cameras: ManagedProcess,
) -> None:
    """Show the run; half-way, enter a plate by hand that will pass later."""
    view = LiveView(installation.stack.bootstrap, installation.settings.metrics_dir, seconds)
    entered = False
    try:
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while cameras.alive():
                elapsed = (datetime.now(UTC) - plan.start).total_seconds()
                if not entered and elapsed > seconds / 3:
                    entered = True
                    entries.extend(_enter_by_hand(installation, plan, entries))
                live.update(view.render(max(0.0, elapsed)))
                time.sleep(0.5)
    finally:
        view.close()


def _enter_by_hand(
    installation: Installation, plan: Plan, entries: Sequence[HotlistEntry]
) -> list[HotlistEntry]:
    now = datetime.now(UTC)
    valid_from = now + _ENTRY_LEAD
    listed = {entry.plate for entry in entries}
    coming = [s for s in plan.shown if s.first_seen > valid_from and s.plate not in listed]
    if not coming:
        return []
    entry = HotlistEntry(
        entry_id=entry_id("by-hand", coming[0].pass_id),
        source="by-hand",
        plate=coming[0].plate,
        category="amber",
        priority=1,
        valid_from=valid_from,
        reason="Entered during the demo",
    )
    with Producer(installation.stack.bootstrap) as producer:
        publish(producer, HotlistChange(entry_id=entry.entry_id, changed_at=now, entry=entry))
    return [entry]


def _drain(installation: Installation, lake: Lake) -> None:
    """Wait until no job has anything left: no lag, and the lake's offsets at the topics' ends."""
    bootstrap = installation.stack.bootstrap
    jobs = installation.jobs()

    def settled() -> tuple[dict[int, int], ...] | None:
        ends = tuple(end_offsets(bootstrap, topic) for topic in (FRAMES, READS, HITS))
        for table, topic, end in (("reads", READS, ends[1]), ("hits", HITS, ends[2])):
            landed = committed_offsets(lake, table)
            if any(landed.get(Source(topic, p), 0) < offset for p, offset in end.items()):
                return None
        return ends

    def recognised() -> bool:
        taken = scrape(installation.settings.metrics_dir).total(
            "platelake_recognise_records_in_total"
        )
        return taken >= sum(end_offsets(bootstrap, FRAMES).values())

    quiet = _Steady(_QUIET_S, time.monotonic)
    if not wait_until(lambda: recognised() and quiet.holds(settled()), _DRAIN_S, interval_s=0.25):
        dead = [job for job in JOBS if not jobs.running(job)]
        raise Unavailable(
            f"not everything had landed after {_DRAIN_S:.0f} s"
            + (f"; not running: {', '.join(dead)}" if dead else "")
            + f". Logs are in {installation.settings.logs_dir}"
        )


def _compact(lake: Lake) -> None:
    """Merge what a minute has left, beside the running land job, before anything is counted."""
    policy = CompactionPolicy(open_files=2)
    for table in TABLES:
        compact(lake, table, datetime.now(UTC).date(), policy)


class _Steady:
    """Whether a value other than None has stayed the same for a while."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._value: object = None
        self._since = 0.0

    def holds(self, value: object) -> bool:
        """Take in the value of now."""
        if value is None or value != self._value:
            self._value, self._since = value, self._clock()
            return False
        return self._clock() - self._since >= self._seconds


def _summary(result: Reckoning, wall_s: float) -> dict[str, Any]:
    figures: dict[str, Any] = asdict(result)
    return figures | {
        "sound": result.sound,
        "engine": {
            "runner": "PortableRunner on Flink [local]",
            "flink_version": versions().flink.version,
            "beam_sdk": version("apache-beam"),
            "beam_runner": versions().flink.beam_runner,
        },
        "wall_s": round(wall_s, 1),
    }
