"""One full stack for all the faults: it starts once, is hurt again and again, and must recover."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from infra.settings import Profile
from tests.stacks import make_settings
from tests.support.faults.rig import Rig, rig
from tests.support.faults.traffic import FrameScene, FrameShowing, ReadStream, wanted
from tests.support.waiting import wait_for

SEED = 7
READS_A_SECOND = 150.0
SCENE_S = 8.0
TRAFFIC_S = 900.0
CALM = "calm"


@dataclass
class Scenario:
    """The stack under traffic, and what the scene gives when nothing is killed."""

    rig: Rig
    reads: ReadStream
    scene: FrameScene
    ended: threading.Event
    calm: set[tuple[str, str]] = field(default_factory=set)
    """(camera, source id) of the reads that the scene gives."""

    def show(self, agency: str) -> FrameShowing:
        """Begin to show the scene by cameras of this agency."""
        return self.scene.show(self.rig.stack.bootstrap, agency, self.ended)

    def expected(self, showing: FrameShowing) -> set[str]:
        """Ids of the reads that a showing must give."""
        return {showing.id_of(camera, source) for camera, source in self.calm}

    def reads_of(self, agency: str) -> set[tuple[str, str, str]]:
        """(camera, source id, read id) of an agency's reads on the topic."""
        seen, _ = self.rig.look()
        return {
            (a.record.camera, a.record.source_id, a.record.read_id)
            for a in seen.reads
            if a.record.agency == agency
        }


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    settings = make_settings(tmp_path_factory.mktemp("faults"), Profile.FULL)
    ended = threading.Event()
    with rig(settings, wanted(SEED, datetime.now(UTC))) as up:
        reads = ReadStream(up.stack.bootstrap, SEED, READS_A_SECOND, TRAFFIC_S)
        made = Scenario(up, reads, FrameScene(SEED, SCENE_S), ended)
        reads.start()
        try:
            made.calm = calm_reads(made)
            yield made
        finally:
            ended.set()
            reads.stop()


def calm_reads(scenario: Scenario) -> set[tuple[str, str]]:
    """Show the scene while nothing is killed; what it gives is what it must always give."""
    showing = scenario.show(CALM)
    showing.join()
    scenario.reads.pause()
    before: list[set[tuple[str, str, str]]] = [set()]

    def told() -> set[tuple[str, str, str]]:
        """Reads of the scene, once no more have come between two looks and all is whole."""
        reads = scenario.reads_of(CALM)
        same, before[0] = reads == before[0], reads
        return reads if same and scenario.rig.look()[1].sound else set()

    reads = wait_for(told, "the reads of a scene that nothing disturbs", 120)
    scenario.reads.resume()
    return {(camera, source) for camera, source, _ in reads}
