"""JSON lists into fields: an array, an object with one, or an object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa

from alpr.errors import BadInput
from ingest.hotlists.columns import Frame, Rows
from ingest.hotlists.layouts import Layout
from ingest.hotlists.lines import MAX_LINE, Stream
from ingest.hotlists.rejects import Rejects

MAX_BYTES: Final = 512 << 20
"""The largest document; it is read whole. Larger lists come as lines."""
_BATCH: Final = 50_000
_raws: Final = msgspec.json.Decoder(list[msgspec.Raw])
_objects: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any: Final = msgspec.json.Decoder()


class DocumentReader:
    """Rows of one JSON text, numbered from 1; `frame` as of a text."""

    def __init__(self, stream: Stream, layout: Layout, rejects: Rejects) -> None:
        self._stream = stream
        self._layout = layout
        self._rejects = rejects
        self.frame = Frame()

    def __iter__(self) -> Iterator[Rows]:
        """Raises BadInput (`not-json`, `document-too-large`) where nothing can be read at all."""
        raws = _entries(_whole(self._stream))
        self.frame = Frame(lines=len(raws))
        for begin in range(0, len(raws), _BATCH):
            yield self._rows(raws[begin : begin + _BATCH], begin + 1)

    def _rows(self, raws: list[bytes], first: int) -> Rows:
        numbers: list[int] = []
        columns: dict[str, list[str | None]] = {name: [] for name in self._layout.fields}
        for number, raw in enumerate(raws, start=first):
            picked = self._picked(number, raw)
            if picked is None:
                continue
            numbers.append(number)
            for name, text in picked.items():
                columns[name].append(text)
        return Rows(
            np.array(numbers, np.int64),
            {name: pa.array(texts, pa.string()) for name, texts in columns.items()},
        )

    def _picked(self, number: int, raw: bytes) -> dict[str, str | None] | None:
        if len(raw) > MAX_LINE:
            self._rejects.add(number, "line-too-long")
            return None
        if b"\x00" in raw or b"\\u0000" in raw:
            self._rejects.add(number, "nul-byte")
            return None
        try:
            value = _any.decode(raw)
        except UnicodeDecodeError:
            self._rejects.add(number, "not-utf-8")
            return None
        except (msgspec.DecodeError, RecursionError):
            self._rejects.add(number, "not-json")
            return None
        if not isinstance(value, dict):
            self._rejects.add(number, "not-json")
            return None
        return {name: _pick(value, field.column) for name, field in self._layout.fields.items()}


def _whole(stream: Stream) -> bytes:
    parts, size = [], 0
    while chunk := stream.read(1 << 20):
        size += len(chunk)
        if size > MAX_BYTES:
            raise BadInput(
                "document-too-large",
                f"a JSON list of up to {MAX_BYTES >> 20} MiB was required: split it",
            )
        parts.append(chunk)
    return b"".join(parts).removeprefix(b"\xef\xbb\xbf")


def _entries(text: bytes) -> list[bytes]:
    """The entries' own texts, whichever way the document holds them."""
    stripped = text.lstrip()
    if stripped[:1] == b"[":
        try:
            return [bytes(raw) for raw in _raws.decode(text)]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _not_json() from None
    try:
        members = _objects.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        if not stripped.startswith(b"{"):
            raise _not_json() from None
        return lines
    lists = [bytes(raw) for raw in members.values() if bytes(raw).lstrip()[:1] == b"["]
    if len(lists) != 1:
        return [text]
    try:
        return [bytes(raw) for raw in _raws.decode(lists[0])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _not_json() from None


def _not_json() -> BadInput:
    return BadInput(
        "not-json",
        "a JSON array of entries, an object with one array, or an object a line was required",
    )


def _pick(value: dict[str, Any], paths: Any) -> str | None:
    for path in (paths,) if isinstance(paths, str) else paths:
        found: Any = value
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
        if isinstance(found, int | float) and not isinstance(found, bool):
            return str(found)
    return None
