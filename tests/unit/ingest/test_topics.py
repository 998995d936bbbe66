from __future__ import annotations

import pytest

from alpr.errors import ConfigurationError
from ingest.codecs import MAX_FRAME_BYTES
from ingest.topics import DEAD_LETTERS, FRAMES, HOTLIST_CHANGES, TOPICS, TopicSpec

SHORTEST_POLICY_S = 21 * 24 * 3600


def test_nothing_outlives_the_shortest_retention_of_any_policy_in_a_log() -> None:
    for spec in TOPICS.values():
        if spec.retention_s is not None:
            roll_s = int(spec.configs()["segment.ms"]) / 1000
            assert spec.retention_s + roll_s < SHORTEST_POLICY_S, spec.name


def test_the_brokers_time_decides_so_that_a_late_upload_is_not_expired_unread() -> None:
    assert {s.configs()["message.timestamp.type"] for s in TOPICS.values()} == {"LogAppendTime"}


def test_only_the_hot_lists_changes_are_compacted_and_ordered_by_one_partition() -> None:
    compacted = [n for n, s in TOPICS.items() if s.configs()["cleanup.policy"] == "compact"]
    assert compacted == [HOTLIST_CHANGES]
    assert TOPICS[HOTLIST_CHANGES].partitions == 1


def test_a_change_that_was_replaced_goes_within_a_day_of_its_segments_closing() -> None:
    """Kafka's own default is never, as long as less than half of the log is new."""
    settings = TOPICS[HOTLIST_CHANGES].configs()
    day_ms = 24 * 3600 * 1000
    assert int(settings["max.compaction.lag.ms"]) == day_ms
    assert int(settings["delete.retention.ms"]) == day_ms
    assert int(settings["segment.ms"]) < day_ms
    assert float(settings["min.cleanable.dirty.ratio"]) < 0.5


def test_what_is_deleted_by_age_has_no_compaction_settings() -> None:
    for spec in TOPICS.values():
        if spec.retention_s is not None:
            assert not [name for name in spec.configs() if "compaction" in name], spec.name


def test_the_largest_frame_fits_into_its_topic_and_into_a_dead_letter() -> None:
    assert TOPICS[FRAMES].max_message_bytes > MAX_FRAME_BYTES
    assert TOPICS[DEAD_LETTERS].max_message_bytes > MAX_FRAME_BYTES * 4 / 3


def test_a_topic_needs_a_partition() -> None:
    with pytest.raises(ConfigurationError):
        TopicSpec("x", 0, None)
