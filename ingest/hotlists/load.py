"""Loading a source: read, check as a whole, merge with the other sources, put in force.

A load is in force whole or not at all. The list in force stays in force when a file is cut off
or damaged, when its footer tells another number of rows, when too many rows are bad, or when a
complete load would remove too much: a source that had an accident sends such files.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
import pyarrow as pa

from alpr.errors import BadInput, ConfigurationError, PlatelakeError, Unavailable
from ingest.hotlists.fetch import Fetched, fetch, is_address, shown
from ingest.hotlists.layouts import Layout
from ingest.hotlists.merge import Change, Mode, categories_of, merged, own_rows
from ingest.hotlists.origin import Limits, Progress, content_digest, files_of
from ingest.hotlists.reading import Reading, Refusal, read_entries
from ingest.hotlists.snapshot import (
    Loaded,
    Manifest,
    Snapshot,
    open_snapshot,
    read_manifest,
    write_batch,
)
from ingest.hotlists.sources import Event, Source, Sources, settings_digest

KEPT_SNAPSHOTS: Final = 3
_PARTIAL: Final = re.compile(r"\.partial-(\d+)(-sieve)?")


@dataclass(frozen=True)
class Overrides:
    """Guards that whoever loads has switched off, by name; it is recorded."""

    removal: bool = False
    rejects: bool = False
    older: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The guards that are off."""
        return tuple(name for name in ("removal", "rejects", "older") if getattr(self, name))


@dataclass(frozen=True)
class Request:
    """One load: of what, by whom, when."""

    source: Source
    location: str
    """File, folder or address."""
    actor: str
    at: datetime
    mode: Mode = "complete"
    overrides: Overrides = field(default_factory=Overrides)
    limits: Limits = field(default_factory=Limits)
    token: str | None = None
    progress: Progress | None = None
    fetching: Callable[..., Fetched | None] = fetch


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a load did."""

    outcome: Literal["done", "unchanged"]
    version: str | None
    source: str
    in_force: int = 0
    """Entries of all sources."""
    rows: int = 0
    entries: int = 0
    """Of this source."""
    added: int = 0
    removed: int = 0
    repeated: int = 0
    rejected: dict[str, int] = {}
    unknown: dict[str, int] = {}
    dropped: dict[str, int] = {}
    categories: dict[str, int] = {}
    report: str | None = None


def load(sources: Sources, request: Request) -> Result:
    """Load a source; every outcome is in the history afterwards.

    Raises BadInput (Refusal among them) if the file is refused, Unavailable if it cannot be
    reached or somebody else is loading, ConfigurationError, Corrupt.
    """
    layout = sources.layout(request.source.layout)
    sources.store.mkdir(parents=True, exist_ok=True)
    with sources.lock():
        _sweep(sources.store)
        try:
            with tempfile.TemporaryDirectory(prefix=".fetched-", dir=sources.store) as folder:
                return _load(sources, layout, request, Path(folder))
        except PlatelakeError as error:
            refused = isinstance(error, BadInput)
            sources.record(
                Event(
                    at=request.at,
                    actor=request.actor,
                    source=request.source.source,
                    action="load",
                    outcome="refused" if refused else "failed",
                    origin=_shown(request.location),
                    mode=request.mode,
                    reason=error.reason if isinstance(error, BadInput) else type(error).__name__,
                    overrides=request.overrides.names,
                    report=error.report if isinstance(error, Refusal) else None,
                )
            )
            raise


def _load(sources: Sources, layout: Layout, request: Request, folder: Path) -> Result:
    source, now = request.source, request.at
    current = _current(sources.store)
    before = current.manifest.sources.get(source.source) if current is not None else None
    settings = settings_digest(layout, source)
    same = before is not None and (before.settings, before.mode) == (settings, request.mode)
    fetched: Fetched | None = None
    if is_address(request.location):
        # Tags of another address say nothing about this one.
        known = before if same and before and before.origin == _shown(request.location) else None
        fetched = request.fetching(
            request.location,
            folder / "list",
            etag=known.etag if known else None,
            last_modified=known.last_modified if known else None,
            token=request.token,
        )
        if fetched is None:
            return _unchanged(sources, request, current, before)
    files = files_of(fetched.path if fetched else Path(request.location))
    content, stamps = content_digest(files), _stamps(files)
    if same and before is not None and before.content == content:
        return _unchanged(sources, request, current, before)
    reading = read_entries(files, layout, source, now, request.limits, request.progress)
    if _stamps(files) != stamps:
        raise Refusal(
            "changed-while-read",
            "somebody wrote the file while it was read: load it when it is complete; put new "
            "files in place by renaming",
        )
    places = reading.unique()
    report = sources.report(source.source, reading.rejects, now)
    old, own = own_rows(current, source.source)
    change = Change.of(reading, places, old, own, request.mode)
    _guard(reading, change, before, request, len(own), report)
    reading.forget()
    del places, old
    batch = merged(current, reading, own, change)
    loaded = Loaded(
        layout=layout.name,
        settings=settings,
        mode=request.mode,
        origin=_shown(request.location),
        content=content,
        etag=fetched.etag if fetched else None,
        last_modified=fetched.last_modified if fetched else None,
        issued=reading.issued,
        loaded_at=now,
        entries=len(own) + change.added - change.removed,
        categories=categories_of(batch, source.source),
        rejected=reading.rejects.by_reason(),
        unknown=dict(reading.tally.unknown),
        dropped=dict(reading.tally.dropped),
    )
    manifest = _publish(sources.store, batch, current, now, source.source, loaded)
    sources.record(
        Event(
            at=now,
            actor=request.actor,
            source=source.source,
            action="load",
            outcome="done",
            origin=loaded.origin,
            mode=request.mode,
            content=content,
            version=manifest.version,
            overrides=request.overrides.names,
            rows=reading.rows,
            entries=loaded.entries,
            added=change.added,
            removed=change.removed,
            rejected=len(reading.rejects),
            report=report,
        )
    )
    _prune(sources.store, manifest)
    return Result(
        outcome="done",
        version=manifest.version,
        source=source.source,
        in_force=manifest.entries,
        rows=reading.rows,
        entries=loaded.entries,
        added=change.added,
        removed=change.removed,
        repeated=reading.repeated,
        rejected=loaded.rejected,
        unknown=loaded.unknown,
        dropped=loaded.dropped,
        categories=loaded.categories,
        report=report,
    )


def _guard(
    reading: Reading,
    change: Change,
    before: Loaded | None,
    request: Request,
    old_entries: int,
    report: str | None,
) -> None:
    """Refuse the load as a whole where a guard says so. Raises Refusal."""
    source, off = request.source, request.overrides
    rejected = len(reading.rejects)
    told = f" (see {report})" if report else ""
    if not reading.rows:
        raise Refusal("empty", "the file has no rows: nothing was loaded", report)
    if not off.rejects and rejected > source.reject_limit * reading.rows:
        raise Refusal(
            "too-many-rejects",
            f"{rejected} of {reading.rows} rows are bad, the limit is {source.reject_limit:.1%}: "
            f"nothing was loaded, the list in force stays in force{told}",
            report,
        )
    if request.mode != "complete":
        return
    share = change.removed / old_entries if old_entries else 0.0
    if not off.removal and share > source.max_removed:
        raise Refusal(
            "removes-too-much",
            f"{change.removed} of the {old_entries} entries of {source.source} would be removed "
            f"({share:.1%}), the limit is {source.max_removed:.1%}: nothing was loaded, the list "
            "in force stays in force; if the source means it, load with --allow-removal",
            report,
        )
    if (
        not off.older
        and before is not None
        and before.issued is not None
        and reading.issued is not None
        and reading.issued < before.issued
    ):
        raise Refusal(
            "older",
            f"the file was made at {reading.issued:%Y-%m-%d %H:%M} UTC, the list in force at "
            f"{before.issued:%Y-%m-%d %H:%M}: nothing was loaded; to go back, load with "
            "--allow-older",
            report,
        )


def _current(store: Path) -> Snapshot | None:
    try:
        manifest = read_manifest(store)
    except Unavailable:
        if (store / "current.json").exists():
            raise
        return None  # the first load
    return open_snapshot(store, manifest)


def _publish(
    store: Path,
    batch: pa.RecordBatch,
    current: Snapshot | None,
    now: datetime,
    source: str,
    loaded: Loaded,
) -> Manifest:
    sources = dict(current.manifest.sources) if current is not None else {}
    offset = current.manifest.changes_offset if current is not None else 0
    return write_batch(store, batch, now, offset, sources | {source: loaded})


def _unchanged(
    sources: Sources, request: Request, current: Snapshot | None, before: Loaded | None
) -> Result:
    if current is None or before is None:
        raise ConfigurationError(
            f"{_shown(request.location)} answered that nothing has changed, and nothing was loaded"
        )
    sources.record(
        Event(
            at=request.at,
            actor=request.actor,
            source=request.source.source,
            action="load",
            outcome="unchanged",
            origin=_shown(request.location),
            mode=request.mode,
            content=before.content,
            version=current.manifest.version,
            entries=before.entries,
        )
    )
    return Result(
        outcome="unchanged",
        version=current.manifest.version,
        source=request.source.source,
        in_force=current.manifest.entries,
        entries=before.entries,
        categories=before.categories,
    )


def _stamps(files: list[Path]) -> list[tuple[int, int]]:
    """Size and time of change of each file."""
    return [(stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in files)]


def _shown(location: str) -> str:
    return shown(location) if is_address(location) else Path(location).name


def _sweep(store: Path) -> None:
    """Delete what loads that were killed have left."""
    for path in (store / "snapshots").glob(".partial-*"):
        found = _PARTIAL.fullmatch(path.name)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            path.unlink(missing_ok=True)
    for folder in store.glob(".fetched-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _prune(store: Path, manifest: Manifest) -> None:
    """Delete old snapshots; whoever has one mapped keeps it."""
    snapshots = sorted((store / "snapshots").glob("[0-9]*.arrow"))
    for path in snapshots[:-KEPT_SNAPSHOTS]:
        if path.stem != manifest.version:
            path.unlink(missing_ok=True)
            path.with_suffix(".sieve").unlink(missing_ok=True)
