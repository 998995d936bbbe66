"""Kills parts of a full stack at random moments and writes down what became of it.

    python -m tests.soak --kills 24 --seed 1 --out build/soak

Traffic never stops except to be counted: plain reads all the time, and every third kill in
the middle of a scene of frames. Exit code 1 if anything was lost, doubled or left behind.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infra.settings import Profile
from infra.versions import versions
from infra.waiting import wait_until
from tests.soak.report import write_report
from tests.soak.sampler import Sampler
from tests.stacks import make_settings
from tests.support.faults.kills import KILLS, orphans
from tests.support.faults.rig import Rig, rig
from tests.support.faults.traffic import FrameScene, FrameShowing, ReadStream, wanted

_CALM_S = (2.0, 12.0)
_BACK_S = 300.0
_WHOLE_S = 300.0
_SCENE_S = 8.0
_FRAMES_EVERY = 3


@dataclass
class Blow:
    """One kill and its consequences; times in seconds after the kill."""

    number: int
    what: str
    at: str
    at_s: float
    running_s: float | None
    whole_s: float | None
    accepted: int
    sent_twice: int
    lost: int
    doubled: int
    reads_repeated: int
    hits_repeated: int
    hits_missing: int
    dead_letters: int
    orphans: int
    frames: int
    frame_reads_missing: int

    @property
    def sound(self) -> bool:
        """Nothing lost, doubled or left behind, and all came back."""
        return self.running_s is not None and not (
            self.lost
            or self.doubled
            or self.hits_missing
            or self.dead_letters
            or self.orphans
            or self.frame_reads_missing
        )


class Soak:
    """One run."""

    def __init__(self, up: Rig, seed: int, rate: float, seconds: float) -> None:
        self._rig = up
        self._dice = random.Random(seed)
        self._reads = ReadStream(up.stack.bootstrap, seed, rate, seconds)
        self._scene = FrameScene(seed, _SCENE_S)
        self._ended = threading.Event()
        self._calm: set[tuple[str, str]] = set()
        self._due: list[str] = []
        self.began = time.monotonic()
        self.accepted = 0

    def run(self, kills: int, tell: Any) -> list[Blow]:
        """Kill so many times, and count after each."""
        self._reads.start()
        try:
            self._calm = self._scene_reads()
            tell(f"the scene of {len(self._scene)} frames gives {len(self._calm)} reads")
            blows = []
            for number in range(1, kills + 1):
                blows.append(self._blow(number))
                tell(json.dumps(asdict(blows[-1])))
            self.accepted = len(self._reads.accepted)
            return blows
        finally:
            self._ended.set()
            self._reads.stop()

    def _next(self) -> str:
        """Kinds in random order, each as often as the others."""
        if not self._due:
            self._due = self._dice.sample(sorted(KILLS), len(KILLS))
        return self._due.pop()

    def _blow(self, number: int) -> Blow:
        up, what = self._rig, self._next()
        showing: FrameShowing | None = None
        if number % _FRAMES_EVERY == 0:
            showing = self._scene.show(up.stack.bootstrap, f"blow-{number}", self._ended)
            pause = self._dice.uniform(0.5, _SCENE_S - 0.5)
        else:
            pause = self._dice.uniform(*_CALM_S)
        self._ended.wait(pause)
        at, killed, began = datetime.now(UTC), time.time(), time.monotonic()
        up.kill(what)
        back = wait_until(lambda: up.running_since(killed), _BACK_S, interval_s=0.5)
        running_s = time.monotonic() - began if back else None
        expected: set[str] = set()
        if showing is not None:
            showing.join(_BACK_S)
            expected = {showing.id_of(camera, source) for camera, source in self._calm}
        self._reads.pause(_BACK_S)
        accepted = self._reads.accepted | expected
        balance = up.settle(accepted, _WHOLE_S)
        whole_s = time.monotonic() - began
        emitted = {a.record.read_id for a in up.look()[0].reads}
        blow = Blow(
            number=number,
            what=what,
            at=at.isoformat(timespec="seconds"),
            at_s=round(began - self.began, 1),
            running_s=None if running_s is None else round(running_s, 1),
            whole_s=round(whole_s, 1),
            accepted=len(self._reads.accepted),
            sent_twice=self._reads.twice,
            lost=len(self._reads.accepted - emitted) + balance.reads_missing,
            doubled=balance.reads_doubled + balance.hits_doubled + balance.reads_unexplained,
            reads_repeated=balance.reads_repeated,
            hits_repeated=balance.hits_repeated,
            hits_missing=balance.hits_missing + balance.hits_not_landed,
            dead_letters=balance.dead_letters,
            orphans=len(orphans(up.stack)),
            frames=0 if showing is None else showing.accepted,
            frame_reads_missing=len(expected - emitted),
        )
        self._reads.resume()
        return blow

    def _scene_reads(self) -> set[tuple[str, str]]:
        showing = self._scene.show(self._rig.stack.bootstrap, "calm", self._ended)
        showing.join()
        self._reads.pause()
        before: list[set[tuple[str, str]]] = [set()]

        def told() -> bool:
            seen, found = self._rig.look()
            reads = {
                (a.record.camera, a.record.source_id)
                for a in seen.reads
                if a.record.agency == "calm"
            }
            same, before[0] = bool(reads) and reads == before[0], reads
            return same and found.sound

        if not wait_until(told, _WHOLE_S, interval_s=3.0):
            raise TimeoutError("the scene that nothing disturbs did not come out whole")
        self._reads.resume()
        return before[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Run and report; 1 if anything was lost, doubled or left behind."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=150.0, help="plain reads a second")
    parser.add_argument("--minutes", type=float, default=180.0, help="traffic at most")
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    arguments = parser.parse_args(argv)

    def tell(line: str) -> None:
        print(line, flush=True)

    arguments.out.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=arguments.out / "soak.log", filemode="w", level=logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="platelake-soak-") as folder:
        settings = make_settings(Path(folder), Profile.FULL)
        with rig(settings, wanted(arguments.seed, datetime.now(UTC))) as up:
            tell("the stack is up and its jobs run")
            soak = Soak(up, arguments.seed, arguments.rate, arguments.minutes * 60)
            with Sampler(up.installation, soak.began) as sampler:
                blows = soak.run(arguments.kills, tell)
            log = up.watchdog_log.read_text("utf-8")
    engine = {
        "flink": versions().flink.version,
        "beam_runner": versions().flink.beam_runner,
        "beam_sdk": version("apache-beam"),
        "kafka": versions().kafka.version,
    }
    write_report(
        arguments.out,
        {
            "seed": arguments.seed,
            "rate": arguments.rate,
            "engine": engine,
            "seconds": round(time.monotonic() - soak.began, 1),
            "accepted": soak.accepted,
            "sound": all(blow.sound for blow in blows),
            "kills": [asdict(blow) for blow in blows],
            "samples": sampler.samples,
        },
    )
    (arguments.out / "watchdog.log").write_text(log, "utf-8")
    return 0 if blows and all(blow.sound for blow in blows) else 1


if __name__ == "__main__":
    sys.exit(main())
