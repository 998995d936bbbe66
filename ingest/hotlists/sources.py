"""The sources of a store: what each one is, and what was tried with it.

    sources/<name>.json     settings of a source, as declared
    layouts/<name>.toml     saved field templates
    history.jsonl           one line for each load and change of settings, never rewritten
    rejects/…csv            reports of bad rows

Whatever changes a store holds its lock; what is in force is `current.json` alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from alpr.errors import BadInput, ConfigurationError, Corrupt, Unavailable
from alpr.records import NAME_PATTERN, Instant
from ingest.hotlists.entries import Settings
from ingest.hotlists.fetch import check_address, is_address, shown
from ingest.hotlists.layouts import Layout, builtin, check_zone, layout_names, read_layout
from ingest.hotlists.rejects import Rejects

KEPT_REPORTS: Final = 10
"""Reject reports kept for each source."""


class Source(Settings, frozen=True, kw_only=True):
    """A declared source. Shares are of 1."""

    layout: str = "platelake"
    location: str | None = None
    """File, folder or address it is loaded from where none is named."""
    token_file: str | None = None
    """File with the bearer token of the address."""
    refresh_h: Annotated[float, Meta(gt=0)] = 12.0
    """Hours after which the list is stale."""
    reject_limit: Annotated[float, Meta(ge=0, le=1)] = 0.05
    max_removed: Annotated[float, Meta(ge=0, le=1)] = 0.2
    """Share of the entries that a complete load may remove."""

    @property
    def refresh(self) -> timedelta:
        """How long the list is fresh."""
        return timedelta(hours=self.refresh_h)


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the history."""

    at: Instant
    actor: str
    source: str
    action: Literal["declare", "load"]
    outcome: Literal["done", "unchanged", "refused", "failed"]
    origin: str | None = None
    mode: str | None = None
    content: str | None = None
    version: str | None = None
    reason: str | None = None
    """Why it was refused: a short stable code."""
    overrides: tuple[str, ...] = ()
    """Guards that the actor switched off."""
    rows: int = 0
    entries: int = 0
    added: int = 0
    removed: int = 0
    rejected: int = 0
    report: str | None = None
    settings: dict[str, Any] | None = None
    """Of a declaration: everything that was declared."""


class Sources:
    """The sources of one store."""

    def __init__(self, store: Path) -> None:
        self.store = store

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only one who changes the store. Raises Unavailable if somebody else does."""
        self.store.mkdir(parents=True, exist_ok=True)
        with (self.store / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Unavailable(
                    f"another load is changing {self.store}: try again when it is done"
                ) from None
            yield

    def names(self) -> list[str]:
        """The declared sources."""
        return sorted(path.stem for path in (self.store / "sources").glob("*.json"))

    def get(self, name: str) -> Source | None:
        """A declared source. Raises Corrupt if its file is damaged."""
        path = self._path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=Source)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Corrupt(f"{path} is no source: {error}: declare it again") from error

    def declare(self, source: Source, actor: str, now: datetime) -> None:
        """Write a source's settings; the caller holds the lock. Raises ConfigurationError."""
        self.layout(source.layout)
        if source.timezone is not None:
            try:
                check_zone(source.timezone)
            except ValueError as error:
                raise ConfigurationError(str(error)) from error
        settings = msgspec.to_builtins(source)
        if source.location is not None and is_address(source.location):
            check_address(source.location)
            settings["location"] = shown(source.location)
        path = self._path(source.source)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(source)))
        partial.replace(path)
        self.record(
            Event(
                at=now,
                actor=actor,
                source=source.source,
                action="declare",
                outcome="done",
                settings=settings,
            )
        )

    def _path(self, name: str) -> Path:
        if re.match(NAME_PATTERN, name) is None:
            raise BadInput(
                "source-name",
                "a source's name must be of lower-case letters, digits, '.', '_' and '-', up to 64",
            )
        return self.store / "sources" / f"{name}.json"

    def layout(self, name: str) -> Layout:
        """A layout by name: a saved template, or one that comes with the platform."""
        if re.match(NAME_PATTERN, name) is None:
            raise ConfigurationError(f"{name!r} is no name of a layout")
        saved = self.store / "layouts" / f"{name}.toml"
        return read_layout(saved) if saved.is_file() else builtin(name)

    def layouts(self) -> list[Layout]:
        """All of them, by name."""
        saved = [path.stem for path in (self.store / "layouts").glob("*.toml")]
        return [self.layout(name) for name in sorted({*saved, *layout_names()})]

    def save_layout(self, file: Path) -> Layout:
        """Keep a field template under the name in it. Raises ConfigurationError."""
        layout = read_layout(file)
        if layout.name in layout_names():
            raise ConfigurationError(
                f"{layout.name} is a layout of the platform: give yours another name"
            )
        folder = self.store / "layouts"
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{layout.name}.toml"
        partial.write_bytes(file.read_bytes())
        partial.replace(folder / f"{layout.name}.toml")
        return layout

    def record(self, event: Event) -> None:
        """Add a line to the history, durably; the caller holds the lock."""
        with (self.store / "history.jsonl").open("a+b") as file:
            _drop_torn_line(file)
            file.write(msgspec.json.encode(event) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def history(self, source: str | None = None) -> list[Event]:
        """The events, oldest first. Raises Corrupt where a line is damaged.

        A last line without an end is none: its writer was killed before it was done.
        """
        path = self.store / "history.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
        events = []
        for number, line in enumerate(lines, start=1):
            try:
                events.append(msgspec.json.decode(line, type=Event))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Corrupt(f"{path} line {number} is no event: {error}") from error
        return [event for event in events if source in (None, event.source)]

    def report(self, source: str, rejects: Rejects, now: datetime) -> str | None:
        """Write the reject report of a load, and drop the oldest of the source; its file."""
        if not len(rejects):
            return None
        folder = self.store / "rejects"
        path = folder / f"{source}-{now:%Y%m%dT%H%M%S%fZ}.csv"
        rejects.write(path)
        # Exactly this source's: another one's name may begin like it.
        own = re.compile(re.escape(source) + r"-\d{8}T\d{12}Z\.csv")
        reports = sorted(p for p in folder.iterdir() if own.fullmatch(p.name))
        for old in reports[:-KEPT_REPORTS]:
            old.unlink(missing_ok=True)
        return str(path)


def _drop_torn_line(file: IO[bytes]) -> None:
    """Cut off what a killed writer left: nobody was told that it was written."""
    end = file.seek(0, os.SEEK_END)
    place = end
    while place:
        step = min(place, 4096)
        file.seek(place - step)
        newline = file.read(step).rfind(b"\n")
        if newline >= 0:
            place += newline + 1 - step
            break
        place -= step
    if place < end:
        file.truncate(place)
    file.seek(0, os.SEEK_END)


def settings_digest(layout: Layout, source: Source) -> str:
    """What makes entries of a file besides its bytes, as 16 hexadecimal digits."""
    made = msgspec.convert(
        {name: getattr(source, name) for name in Settings.__struct_fields__}, Settings
    )
    text = msgspec.json.encode(layout) + msgspec.json.encode(made)
    return hashlib.sha256(text).hexdigest()[:16]
