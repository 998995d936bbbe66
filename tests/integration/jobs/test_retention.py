"""The land job on Flink: each record in its class, and what is past its end stays out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from alpr.records import DeadLetter, Read
from catalog.lake import Lake
from catalog.query import connect
from cli.installation import Installation
from infra.waiting import wait_until
from ingest.codecs import decode_dead_letter, encode, message_key
from ingest.consumer import snapshot
from ingest.producer import Producer
from ingest.topics import DEAD_LETTERS, READS, ensure_topics
from tests.stacks import make_settings
from tests.support.records import make_read

pytestmark = pytest.mark.integration

LANDED_S = 90.0


@dataclass
class Landing:
    """A running land job and its lake."""

    installation: Installation
    lake: Lake

    def send(self, *reads: Read) -> None:
        """Put reads on the topic as a sender would."""
        with Producer(self.installation.stack.bootstrap) as producer:
            for read in reads:
                key = message_key(read.agency, read.camera)
                producer.send(READS, key=key, value=encode(read))

    def rows(self) -> list[tuple[str, str]]:
        """(read id, class) of every row, by a second engine."""
        with connect(self.lake) as connection:
            found = connection.sql("SELECT read_id, retention_class FROM reads ORDER BY 1")
            return [(row[0], row[1]) for row in found.fetchall()]

    def letters(self) -> list[DeadLetter]:
        """What the job could not use."""
        messages = snapshot(self.installation.stack.bootstrap, DEAD_LETTERS)
        return [decode_dead_letter(message.value) for message in messages]


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landing]:
    installation = Installation(make_settings(tmp_path_factory.mktemp("retention")))
    jobs = installation.jobs()
    try:
        installation.stack.up(after_kafka=ensure_topics)
        lake = installation.prepare_lake()
        jobs.start("land")
        yield Landing(installation, lake)
    finally:
        jobs.process("land").stop()
        installation.stack.down()


def test_what_is_past_its_end_never_lands_and_is_kept_nowhere(landing: Landing) -> None:
    """A patrol car uploads its whole month: the oldest day is over, all others are kept."""
    now = datetime.now(UTC)
    days = [now - timedelta(days=ago, minutes=1) for ago in range(0, 36, 5)]
    reads = [make_read(captured_at=day, received_at=now, source_id=str(day)) for day in days]
    kept = [read for read in reads if (now.date() - read.captured_at.date()).days <= 30]
    assert 0 < len(kept) < len(reads)
    landing.send(*reads)
    expected = sorted((read.read_id, "default") for read in kept)
    assert wait_until(lambda: landing.rows() == expected, LANDED_S, interval_s=1.0), landing.rows()
    assert wait_until(lambda: len(landing.letters()) == 1, LANDED_S, interval_s=1.0)
    (letter,) = landing.letters()
    assert (letter.reason, letter.job) == ("past-retention", "land")
    assert letter.value is None
    assert letter.value_size == len(encode(reads[-1]))
