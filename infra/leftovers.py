"""What nobody needs any more of jobs that were stopped, processes that crashed, and old logs.

A checkpoint holds what its job had under way, pictures too, so none may stay for ever. Kept is
whatever a job can still go on from: all of the id under which a job should run, and the newest
complete checkpoint and savepoint of every job, running or stopped.

How old something is counts from when it last changed on this machine (its inode, which a copy
cannot bring along): state that was just put back from a back-up is new.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from alpr.errors import Unavailable
from infra.flink_rest import newest_checkpoint
from infra.ledger import JobLedger
from infra.services.stack import Stack

STATE_DAYS: Final = 7
LOG_DAYS: Final = 30
TEMP_DAYS: Final = 1

_ID_IN_NAME: Final = 6
"""Flink calls a savepoint `savepoint-`, so many letters of its job's id, and a random end."""


@dataclass(frozen=True)
class Places:
    """The folders to look through; `ledger` tells which jobs there are."""

    ledger: JobLedger
    checkpoints: Path
    savepoints: Path
    logs: Path
    temp: Path


def sweep_stack(stack: Stack, now: float) -> list[Path]:
    """Delete the leftovers of a stack, running or not; what was deleted. `now` is Unix time.

    While a Flink runs its temporary files stay, and while one does not answer all state stays.
    Raises Unavailable if something cannot be deleted, Corrupt for a damaged ledger.
    """
    settings, flink = stack.settings, stack.flink
    running = any(process.alive() for process in flink.processes)
    live: set[str] | None
    try:
        live = {job.id for _, job in flink.jobs() if job.live}
    except Unavailable:
        live = None if running else set()
    places = Places(
        ledger=flink.ledger,
        checkpoints=flink.checkpoints_dir,
        savepoints=flink.savepoints_dir,
        logs=settings.logs_dir,
        temp=settings.state_dir / "tmp",
    )
    return sweep(places, now, live, temp_in_use=running)


def sweep(
    places: Places, now: float, live: Collection[str] | None, *, temp_in_use: bool
) -> list[Path]:
    """Delete what is old and needed by nobody; what was deleted.

    `live`: ids of the jobs that Flink runs; None: not known, so no state is deleted.
    """
    old = [] if live is None else [(path, STATE_DAYS) for path in _state(places, live)]
    old += [(path, LOG_DAYS) for path in places.logs.glob("*.log.[0-9]*")]
    if not temp_in_use:
        old += [(path, TEMP_DAYS) for path in places.temp.glob("*")]
    gone = [
        path for path, days in old if now - _touched(path) > timedelta(days=days).total_seconds()
    ]
    failed = [words for path in gone if (words := _delete(path))]
    if failed:
        raise Unavailable(f"what is old and nobody needs cannot be deleted: {'; '.join(failed)}")
    return gone


def _state(places: Places, live: Collection[str]) -> Iterator[Path]:
    """Checkpoints and savepoints, however young, that no job can need again."""
    jobs = places.ledger.all_ids()
    wanted = {name: jobs[name][0] for name in places.ledger.names() if jobs.get(name)}
    unknown = set(live) - {job for ids in jobs.values() for job in ids}
    jobs |= {job: [job] for job in unknown}  # started by other means than ours
    if any(newest_checkpoint(places.checkpoints, job) is None for job in wanted.values()):
        return  # until its first checkpoint a job stands on the state that it was started from
    newest = {name: newest_checkpoint(places.checkpoints, *ids) for name, ids in jobs.items()}
    yield from _checkpoints(
        places, {*live, *wanted.values()}, {path for path in newest.values() if path is not None}
    )
    complete: dict[str, list[Path]] = {}
    for path in places.savepoints.glob("savepoint-*"):
        if (path / "_metadata").is_file():
            complete.setdefault(_job_of(path), []).append(path)
        else:
            yield path
    for name, ids in jobs.items():
        own = [path for job in ids for path in complete.pop(job[:_ID_IN_NAME], ())]
        last = max(own, key=_written, default=None)
        then = newest[name]
        passed = last is not None and then is not None and _written(then) > _written(last)
        yield from (path for path in own if passed or path != last)
    for of_nobody in complete.values():
        yield from of_nobody


def _checkpoints(
    places: Places, whole: Collection[str], newest: Collection[Path]
) -> Iterator[Path]:
    for folder in places.checkpoints.glob("*"):
        if folder.name in whole:
            continue
        if folder in {path.parent for path in newest}:
            yield from (path for path in folder.glob("chk-*") if path not in newest)
        else:
            yield folder


def _job_of(savepoint: Path) -> str:
    return savepoint.name.removeprefix("savepoint-")[:_ID_IN_NAME]


def _written(state: Path) -> float:
    return (state / "_metadata").stat().st_mtime


def _touched(path: Path) -> float:
    """When it, or anything in it, last changed here; infinity if it is changing right now."""
    try:
        return max(each.lstat().st_ctime for each in _within(path))
    except FileNotFoundError:
        return math.inf


def _within(path: Path) -> Iterable[Path]:
    return [path, *path.rglob("*")] if path.is_dir() and not path.is_symlink() else [path]


def _delete(path: Path) -> str | None:
    """Delete a file or folder; why it cannot be, or None."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except FileNotFoundError:
        return None  # somebody else is deleting it; what that leaves goes next time
    except OSError as error:
        return str(error)
    return None
