"""Writes simulated frames into a folder, as `platelake feed frames` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from alpr.records import Frame, HotlistEntry


def write_frames(stream: Iterable[Frame], folder: Path) -> Iterator[Path]:
    """Write each frame to agency/camera/sequence.jpg; yield its path.

    frames.jsonl gets one line a frame: its path and all its fields but the picture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "frames.jsonl").open("wb") as index:
        for frame in stream:
            place = Path(frame.agency) / frame.camera / f"{frame.sequence:06d}.jpg"
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(frame.jpeg)
            fields = msgspec.structs.asdict(frame)
            del fields["jpeg"]
            index.write(msgspec.json.encode({"path": str(place), **fields}) + b"\n")
            yield path


def write_hotlist(entries: Iterable[HotlistEntry], path: Path) -> int:
    """Write one JSON line an entry; return how many."""
    rows = [msgspec.json.encode(entry) + b"\n" for entry in entries]
    path.write_bytes(b"".join(rows))
    return len(rows)
