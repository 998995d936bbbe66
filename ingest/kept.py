"""What the broker really keeps: every topic's settings, and its oldest message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import kafka
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from alpr.errors import Unavailable
from ingest.consumer import open_consumer, read_until
from ingest.topics import TOPICS, TopicSpec, admin

_INTERNAL: Final = "__"


@dataclass(frozen=True)
class KeptTopic:
    """A topic as the broker has it.

    `wanted`: the settings it should have; None for a topic that the platform does not know.
    `found`: all settings in force. `oldest`: the broker's time of its oldest message, None if
    it has none.
    """

    name: str
    wanted: Mapping[str, str] | None
    found: Mapping[str, str]
    oldest: datetime | None


def kept_topics(bootstrap: str, specs: Mapping[str, TopicSpec] = TOPICS) -> list[KeptTopic]:
    """Every topic but Kafka's own. Raises Unavailable if the broker does not answer."""
    client = admin(bootstrap)
    try:
        names = sorted(
            topic["name"]
            for topic in client.describe_topics()
            if not topic["name"].startswith(_INTERNAL)
        )
        settings = client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in names],
            config_filter="all",
        )
    except KafkaError as error:
        raise Unavailable(f"the broker at {bootstrap} does not tell its topics: {error}") from error
    finally:
        client.close()
    found = _settings(settings)
    return [
        KeptTopic(
            name=name,
            wanted=specs[name].configs() if name in specs else None,
            found=found.get(name, {}),
            oldest=_oldest(bootstrap, name),
        )
        for name in names
    ]


def _settings(answer: Mapping[Any, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, str]]:
    return {
        name: {key: str(value["value"]) for key, value in values.items()}
        for of_type in answer.values()
        for name, values in of_type.items()
    }


def _oldest(bootstrap: str, name: str) -> datetime | None:
    """The broker's time of the oldest message in any partition."""
    oldest: int | None = None
    consumer = open_consumer(bootstrap)
    try:
        for number in sorted(consumer.partitions_for_topic(name) or ()):
            partition = kafka.TopicPartition(name, number)
            consumer.assign([partition])
            end = consumer.end_offsets([partition])[partition]
            consumer.seek_to_beginning(partition)
            if consumer.position(partition) >= end:
                continue
            for record in read_until(consumer, partition, end):
                oldest = min(record.timestamp, oldest or record.timestamp)
                break
    except KafkaError as error:
        raise Unavailable(f"the broker at {bootstrap} does not give {name}: {error}") from error
    finally:
        consumer.close()
    return None if oldest is None else datetime.fromtimestamp(oldest / 1000, UTC)
