"""The topics: names, partitions, how long the broker keeps them.

Kafka is a pipe, not a store: each topic's retention is far below the shortest
retention period of any policy (21 days). Broker time (`LogAppendTime`) counts, so
that a late upload is not expired before it is read. Segments roll at a quarter of
the retention, since only closed segments are deleted: a message is gone at the
latest after 1.25 times its topic's retention plus the broker's check interval.

So it counts from arrival, not from capture: a read that is uploaded at the very end
of its period stays in its topic up to 1.25 times 3 days past that end, its hit up
to 1.25 times 7 days. The lake refuses it, and only the jobs read topics.

The changes of the hot list are compacted. What a later change replaced or removed
may be read for a day; then its segment must be cleaned, however little in it is
old. The segment that is written to is never cleaned: it closes with the first
change that comes an hour or more after its first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import kafka
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError

from alpr.errors import ConfigurationError, Unavailable
from ingest.codecs import MAX_FRAME_BYTES

FRAMES: Final = "frames"
READS: Final = "reads"
HITS: Final = "hits"
HOTLIST_CHANGES: Final = "hotlist-changes"
DEAD_LETTERS: Final = "dead-letters"

_HOUR = 3600
_DAY = 24 * _HOUR

COMPACTION_LAG_S: Final = _DAY
"""After so long a change that another replaced must be cleaned out of a closed segment."""


@dataclass(frozen=True)
class TopicSpec:
    """One topic; `retention_s` is None where compaction, not age, decides."""

    name: str
    partitions: int
    retention_s: int | None
    max_message_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        if self.partitions < 1:
            raise ConfigurationError(f"topic {self.name}: partitions must be at least 1")

    def configs(self) -> dict[str, str]:
        """The topic's settings as the broker takes them."""
        common = {
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": "LogAppendTime",
        }
        if self.retention_s is None:
            return common | {
                "cleanup.policy": "compact",
                "segment.ms": str(_HOUR * 1000),
                "max.compaction.lag.ms": str(COMPACTION_LAG_S * 1000),
                "delete.retention.ms": str(COMPACTION_LAG_S * 1000),
                # Before the lag ends too, once a tenth of it is new: Kafka waits for half.
                "min.cleanable.dirty.ratio": "0.1",
            }
        return common | {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_s * 1000),
            "segment.ms": str(max(60, self.retention_s // 4) * 1000),
        }


# Headers and batch framing come on top of the JPEG; a dead letter holds it in base64.
_FRAME_MESSAGE = MAX_FRAME_BYTES + 64 * 1024

TOPICS: Final[Mapping[str, TopicSpec]] = {
    spec.name: spec
    for spec in (
        TopicSpec(FRAMES, 4, 6 * _HOUR, _FRAME_MESSAGE),
        TopicSpec(READS, 4, 3 * _DAY),
        TopicSpec(HITS, 4, 7 * _DAY),
        TopicSpec(HOTLIST_CHANGES, 1, None),
        TopicSpec(DEAD_LETTERS, 1, 7 * _DAY, 2 * MAX_FRAME_BYTES),
    )
}


def admin(bootstrap: str) -> KafkaAdminClient:
    """An admin client. Raises Unavailable when no broker answers."""
    try:
        return KafkaAdminClient(bootstrap_servers=bootstrap, client_id="platelake-admin")
    except KafkaError as error:
        raise Unavailable(
            f"a Kafka broker was required at {bootstrap}, none answered ({error}): "
            "start it with `platelake up`"
        ) from error


def wait_for_broker(
    bootstrap: str,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the broker answers a metadata request. Raises Unavailable after `timeout_s`."""
    end = clock() + timeout_s
    while True:
        try:
            client = admin(bootstrap)
        except Unavailable:
            if clock() > end:
                raise
            sleep(0.3)
            continue
        client.close()
        return


def ensure_topics(
    bootstrap: str,
    specs: Iterable[TopicSpec] = tuple(TOPICS.values()),
    partitions: Mapping[str, int] | None = None,
) -> list[str]:
    """Create what is missing, correct settings that differ; the names of topics created.

    `partitions` overrides a topic's partition count. More partitions than there
    are is refused rather than added: it would break the order of a camera's messages.
    Raises Unavailable, ConfigurationError.
    """
    wanted = {
        spec.name: replace(spec, partitions=(partitions or {}).get(spec.name, spec.partitions))
        for spec in specs
    }
    client = admin(bootstrap)
    try:
        present = {t["name"]: len(t["partitions"]) for t in client.describe_topics()}
        missing = [spec for name, spec in wanted.items() if name not in present]
        for name, spec in wanted.items():
            if name in present and present[name] != spec.partitions:
                raise ConfigurationError(
                    f"topic {name} should have {spec.partitions} partitions and has "
                    f"{present[name]}: make a new topic and move over, or correct the setting"
                )
        if missing:
            client.create_topics(
                {
                    spec.name: {
                        "num_partitions": spec.partitions,
                        "replication_factor": -1,
                        "configs": spec.configs(),
                    }
                    for spec in missing
                },
                wait_for_metadata=True,
            )
        kept = [spec for name, spec in wanted.items() if name in present]
        if kept:
            client.alter_configs(
                [ConfigResource(ConfigResourceType.TOPIC, s.name, s.configs()) for s in kept]
            )
        return [spec.name for spec in missing]
    except KafkaError as error:
        raise Unavailable(f"the broker at {bootstrap} refused to set up topics: {error}") from error
    finally:
        client.close()


def partitions_of(bootstrap: str, topic: str) -> list[int]:
    """The topic's partition numbers. Raises Unavailable, ConfigurationError if there is none."""
    client = admin(bootstrap)
    try:
        found = [t for t in client.describe_topics([topic]) if t["partitions"]]
    except KafkaError as error:
        raise Unavailable(f"the broker at {bootstrap} does not answer: {error}") from error
    finally:
        client.close()
    if not found:
        raise ConfigurationError(
            f"topic {topic} is required and not there: create the topics with `platelake up`"
        )
    return sorted(p["partition_index"] for p in found[0]["partitions"])


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Next offset to be written, a partition."""
    return _offsets(bootstrap, topic, "end")


def beginning_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Oldest offset still kept, a partition."""
    return _offsets(bootstrap, topic, "beginning")


def _offsets(bootstrap: str, topic: str, which: str) -> dict[int, int]:
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False
    )
    try:
        parts = [kafka.TopicPartition(topic, p) for p in partitions_of(bootstrap, topic)]
        ask = consumer.end_offsets if which == "end" else consumer.beginning_offsets
        return {tp.partition: offset for tp, offset in ask(parts).items()}
    finally:
        consumer.close()
