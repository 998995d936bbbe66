"""What can be killed, and how: `kill -9`, never a polite word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import psutil

from infra.services.flink import StandaloneFlink
from infra.services.stack import Stack

_WORKER = "beam_jobs.worker_boot"


def workers(stack: Stack) -> list[psutil.Process]:
    """The Python workers of this stack, orphans among them."""
    ours = f"--log-dir={stack.settings.logs_dir}"
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            argv = process.cmdline()
            if _WORKER in argv and ours in argv and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def orphans(stack: Stack) -> list[int]:
    """Workers whose task manager is gone."""
    parents = {manager.pid for manager in flink_of(stack).task_managers}
    found = []
    for worker in workers(stack):
        with suppress(psutil.Error):
            if worker.ppid() not in parents:
                found.append(worker.pid)
    return found


def flink_of(stack: Stack) -> StandaloneFlink:
    """The stack's Flink, which only the full profile has as processes."""
    if not isinstance(stack.flink, StandaloneFlink):
        raise TypeError("kills need the full profile")
    return stack.flink


def _kill_workers(stack: Stack) -> None:
    for worker in workers(stack):
        with suppress(psutil.NoSuchProcess):
            worker.kill()


def _kill_task_managers(stack: Stack) -> None:
    for manager in flink_of(stack).task_managers:
        manager.kill()


def _kill_managers(stack: Stack) -> None:
    flink_of(stack).job_manager.kill()
    _kill_task_managers(stack)


def _kill_everything(stack: Stack) -> None:
    for process in stack.processes:
        process.kill()


KILLS: Final[Mapping[str, Callable[[Stack], object]]] = {
    "python-workers": _kill_workers,
    "task-manager": _kill_task_managers,
    "job-manager-and-task-manager": _kill_managers,
    "kafka": lambda stack: stack.kafka.kill(),
    "minio": lambda stack: stack.minio.kill(),
    "postgres": lambda stack: stack.postgres.kill(),
    "job-server": lambda stack: flink_of(stack).job_server.kill(),
    "everything": _kill_everything,
}
