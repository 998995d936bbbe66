"""A committer that kills itself around its swap: `doomed CONFIG before|after`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from tests.contract.lake.samples import NOW, make_reads, stage


def main(config: Path, moment: str) -> None:
    """Stage 20 reads, commit them, die."""
    lake = Lake(LakeConfig.load(config))
    owner = Committer(lake, "reads", now=lambda: NOW)
    group = stage(lake, make_reads(20))
    catalog: Any = lake.catalog
    real = catalog.commit_table

    def commit_table(*args: object, **kwargs: object) -> None:
        if moment == "after":
            real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    catalog.commit_table = commit_table
    owner.commit([group])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
