"""Purges that kill themselves, each a moment later than the one before: `doomed_purge CONFIG OUT`.

A moment is whatever changes something: a swap of a table (before and after), an object written
or deleted (before and after), a step. Each purge is a process of its own, forked before anything
is opened. Prints how many were killed, once one comes through; certificates go to OUT.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention.lock import LEASE
from catalog.retention.purge import PurgeReport, Renew, run_purge
from tests.contract.lake.samples import NOW, RETENTION


class Doom:
    """Counts moments, and ends the process at the one it was told."""

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, with a moment before and after it."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self()
            result = real(*args, **kwargs)
            self()
            return result

        return call


def purge(config: Path, out: Path, moment: int) -> None:
    """Purge, and die at a moment."""
    lake = Lake(LakeConfig.load(config))
    lake.retention = RETENTION
    doom = Doom(moment)
    store, catalog = lake.store, lake.catalog
    for owner, name in ((store, "write"), (store, "delete"), (catalog, "commit_table")):
        setattr(owner, name, doom.around(getattr(owner, name)))

    def certify(report: PurgeReport, _: Renew) -> None:
        rows = [[e.table, str(e.partition.date), e.partition.retention_class, e.rows, report.ok]
                for e in report.ended]  # fmt: skip
        (out / f"{report.run_id}.json").write_text(json.dumps(rows))

    # Whoever died holds its lease: each comes when the one before has lapsed.
    now = NOW + moment * (LEASE + timedelta(seconds=1))
    run_purge(lake, lambda: now, certify=certify, on_step=doom, sleep=lambda _: None)


def main(config: Path, out: Path) -> None:
    """One doomed purge after the other."""
    killed = 0
    while True:
        child = os.fork()
        if child == 0:
            try:
                purge(config, out, killed + 1)
            finally:
                os._exit(1 if sys.exc_info()[0] else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status == 0:
            print(killed)
            return
        if status != -signal.SIGKILL:
            sys.exit(f"a purge failed by itself: {status}")
        killed += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
