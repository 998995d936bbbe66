"""The dead letters as people work with them: listed, looked at, sent back to where they came from.

A message has one identity, where it lies: topic/partition/offset. It may have
several letters, since jobs replay and two jobs may read one topic; they count as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from alpr.errors import BadInput
from alpr.records import DeadLetter
from ingest.codecs import decode_dead_letter
from ingest.consumer import Message
from ingest.producer import Sender

REPLAYED_FROM: Final = "replayed-from"
"""Header of a message sent back: the identity of the one it repeats."""


@dataclass(frozen=True)
class Stored:
    """One unusable message: its latest letter, and who said so how often."""

    id: str
    letter: DeadLetter
    jobs: tuple[str, ...]
    copies: int
    kept: bool
    """Whether the topic holds the message itself; `letter.value` may have been left out."""


@dataclass(frozen=True)
class Letters:
    """What the topic holds, oldest first; `unreadable` messages on it are no letters."""

    stored: tuple[Stored, ...]
    unreadable: int

    @property
    def reasons(self) -> dict[str, int]:
        """Messages by reason, most frequent first."""
        return dict(Counter(each.letter.reason for each in self.stored).most_common())


@dataclass(frozen=True)
class Replay:
    """What was sent back, and what could not be, by identity."""

    sent: tuple[str, ...]
    refused: tuple[str, ...]


def letter_id(letter: DeadLetter) -> str:
    """Identity of the message: where it lies."""
    return f"{letter.topic}/{letter.partition}/{letter.offset}"


def gather(
    messages: Iterable[Message],
    wanted: Callable[[DeadLetter], bool] = lambda _: True,
    *,
    values: bool = False,
) -> Letters:
    """The wanted letters among the messages of the topic, one for each unusable message.

    `values`: keep the messages themselves, up to 8 MiB each.
    """
    found: dict[str, Stored] = {}
    unreadable = 0
    for message in messages:
        try:
            letter = decode_dead_letter(message.value)
        except BadInput:
            unreadable += 1
            continue
        if not wanted(letter):
            continue
        kept = letter.value is not None
        if not values:
            letter = msgspec.structs.replace(letter, value=None)
        identity = letter_id(letter)
        fresh = Stored(identity, letter, (letter.job,), 1, kept)
        before = found.pop(identity, None)
        if before is not None:
            jobs = tuple(sorted({*before.jobs, letter.job}))
            fresh = replace(fresh, jobs=jobs, copies=before.copies + 1)
        found[identity] = fresh
    stored = sorted(found.values(), key=lambda each: (each.letter.at, each.id))
    return Letters(tuple(stored), unreadable)


def replay(stored: Sequence[Stored], sender: Sender) -> Replay:
    """Send the messages back to their topics as they came; returns when they are acknowledged.

    The broker picks the partition by the key, so a camera's messages stay
    together. Refused is what the topic does not hold: messages above the size
    kept, and those that were empty. Raises Unavailable.
    """
    sent: list[str] = []
    refused: list[str] = []
    for each in stored:
        letter = each.letter
        if letter.value is None:
            refused.append(each.id)
            continue
        headers = [(name, raw) for name, raw in letter.headers if name != REPLAYED_FROM]
        headers.append((REPLAYED_FROM, each.id.encode()))
        sender.send(letter.topic, key=letter.key, value=letter.value, headers=headers)
        sent.append(each.id)
    sender.flush()
    return Replay(tuple(sent), tuple(refused))
