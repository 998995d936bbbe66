"""Deterministic identities: the same event always gets the same id, on every replay."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

ID_PATTERN = r"^[0-9a-f]{32}(?!\n)$"
"""128 bits of a BLAKE2b hash, in lower-case hexadecimal."""


def _digest(kind: bytes, *parts: str) -> str:
    # Each part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
    h = hashlib.blake2b(digest_size=16, person=kind)
    for part in parts:
        data = part.encode()
        h.update(len(data).to_bytes(4, "big"))
        h.update(data)
    return h.hexdigest()


def read_id(agency: str, camera: str, captured_at: datetime, plate: str, source_id: str) -> str:
    """Identity of a read.

    `source_id` is the sender's own id of the event: a vendor's read id, or for
    our recogniser the first frame of the pass. Two uploads of one event share
    it; without it two cars with the same misread plate in one frame would merge.
    Our recogniser passes plate="" because its vote may settle differently when
    it is replayed, and that must not make a second read.
    """
    # One text for one moment, whatever the offset it was told in; unique to the microsecond.
    moment = captured_at.astimezone(UTC).isoformat()
    return _digest(b"read", agency, camera, moment, plate, source_id)


def hit_id(read: str, entry: str) -> str:
    """Identity of a hit: one read against one hot-list entry, whatever the list version.

    Leaving the entry out would post only one of two alerts for a plate on two lists.
    """
    return _digest(b"hit", read, entry)


def entry_id(source: str, record: str) -> str:
    """Identity of a hot-list entry: its source and the source's own record id."""
    return _digest(b"entry", source, record)
