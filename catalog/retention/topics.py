"""Kafka's part of the promise: topics keep messages no longer than they are said to.

The client is elsewhere (only `ingest` has one); here is what is asked of it, and the judgement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.retention.verification import Finding

SLACK = timedelta(minutes=10)
"""For the broker's check of every minute, the minute until it deletes a file, and clocks."""


@dataclass(frozen=True)
class TopicState:
    """One topic as the broker has it.

    `wanted` and `found`: settings as they should be and are; `wanted` None: nobody knows the
    topic. `oldest`: the broker's time of its oldest message; None: it has none.
    """

    name: str
    wanted: Mapping[str, str] | None
    found: Mapping[str, str]
    oldest: datetime | None


Topics = Callable[[], Sequence[TopicState]]
"""Asks the broker. Raises Unavailable."""


def judge_topics(states: Sequence[TopicState], now: datetime) -> Iterator[Finding]:
    """Topics that nobody knows, settings that differ, and messages older than they allow.

    A message goes with its segment: retention counts from the segment's newest message, so the
    oldest may be older by one segment's time. A compacted topic keeps the newest of each key, so
    its age says nothing: that what was replaced goes is in its settings.
    """
    for state in states:
        where = f"topic {state.name}"
        if state.wanted is None:
            yield Finding(
                kind="topic", where=where, what="no part of the platform has such a topic"
            )
            continue
        for name, value in sorted(state.wanted.items()):
            if state.found.get(name) != value:
                yield Finding(
                    kind="topic",
                    where=where,
                    what=f"{name} is {state.found.get(name)!r}, {value!r} is required",
                )
        if state.oldest is None or "retention.ms" not in state.wanted:
            continue
        kept = sum(int(state.wanted[name]) for name in ("retention.ms", "segment.ms"))
        latest = timedelta(milliseconds=kept) + SLACK
        if now - state.oldest > latest:
            yield Finding(
                kind="topic",
                where=where,
                what=f"its oldest message is of {state.oldest.isoformat(timespec='seconds')}, "
                f"it may keep none for more than {latest}",
            )
