"""A committer that lands reads 0 to 199 in steps; exit code 1 if it was fenced: `racer CONFIG`."""

from __future__ import annotations

import sys
from pathlib import Path

from alpr.errors import Fenced
from catalog.commit import Committer
from catalog.config import LakeConfig
from catalog.lake import Lake
from tests.contract.lake.samples import NOW, make_reads, stage

STEP = 10


def main(config: Path) -> int:
    """Stage and commit, always the next ten."""
    lake = Lake(LakeConfig.load(config))
    reads = make_reads(200)
    try:
        owner = Committer(lake, "reads", now=lambda: NOW)
        for first in range(0, len(reads), STEP):
            owner.commit([stage(lake, reads[first : first + STEP], first=first)])
    except Fenced:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
