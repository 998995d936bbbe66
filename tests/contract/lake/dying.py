"""A process that kills itself at a step: `dying CONFIG TASK before|after STEP`.

A step is a write or a delete in the store, a swap of a table, or an event in a history. With
a step beyond the last it lives, and prints how many steps there were.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.retention.events import Log
from tests.contract.lake import tasks
from tests.contract.lake.samples import RETENTION


class Doom:
    """Counts the steps of a lake's store and catalogue, and dies at one of them."""

    def __init__(self, moment: str, step: int) -> None:
        self.moment = moment
        self.left = step

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """The same call, deadly."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0 and self.moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*args, **kwargs)
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def main(config: Path, task: str, moment: str, step: int) -> None:
    """Open the lake, arm it, and run the task."""
    lake = Lake(LakeConfig.load(config))
    lake.retention = RETENTION
    doom = Doom(moment, step)
    store: Any = lake.store
    catalog: Any = lake.catalog
    store.write = doom.around(store.write)
    store.delete = doom.around(store.delete)
    catalog.commit_table = doom.around(catalog.commit_table)
    Log.append = doom.around(Log.append)  # type: ignore[method-assign]
    getattr(tasks, task)(lake)
    print(step - doom.left)  # how many steps there were


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
