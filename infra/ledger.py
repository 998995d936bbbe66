"""Which jobs should run, and under which ids each has run so far.

A job that is brought back gets a new id, and its checkpoints a new folder: only the chain of
ids leads from a job's name to its newest state.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from alpr.errors import ConfigurationError, Corrupt
from infra.flink_rest import newest_checkpoint


class JobLedger:
    """A file a job name in `folder`, holding the job's ids, the newest first."""

    def __init__(self, folder: Path, checkpoints_dir: Path) -> None:
        self._folder = folder
        self._checkpoints_dir = checkpoints_dir

    def names(self) -> list[str]:
        """The jobs that should run."""
        return sorted(path.stem for path in self._folder.glob("*.json"))

    def ids(self, name: str) -> list[str]:
        """The ids under which the job has run, the newest first; empty when it should not run.

        Raises Corrupt when the file is not what `record` writes.
        """
        return self._read(self._path(name))

    @staticmethod
    def _read(path: Path) -> list[str]:
        try:
            ids = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return []
        except ValueError as error:
            raise Corrupt(
                f"{path} is damaged: {error}. Remove it and start the job anew"
            ) from error
        if not isinstance(ids, list) or not all(isinstance(entry, str) for entry in ids):
            raise Corrupt(f"{path} must hold a list of job ids. Remove it and start the job anew")
        return ids

    def record(self, name: str, job_id: str) -> None:
        """Note that the job now runs under this id."""
        ids = [job_id, *(entry for entry in self._all_ids(name) if entry != job_id)]
        self._write(name, ids)
        self._stopped(name).unlink(missing_ok=True)

    def retire(self, name: str) -> None:
        """Note that the job should not run any more; its ids stay, to go on from some day."""
        with suppress(FileNotFoundError):
            self._path(name).replace(self._stopped(name))

    def newest_checkpoint(self, name: str) -> Path | None:
        """The newest complete checkpoint of the job, running or stopped, under any of its ids."""
        return newest_checkpoint(self._checkpoints_dir, *self._all_ids(name))

    def all_ids(self) -> dict[str, list[str]]:
        """The ids of every job by its name, whether it should run or was stopped."""
        paths = (path for end in ("json", "stopped") for path in self._folder.glob(f"*.{end}"))
        return {name: self._all_ids(name) for name in sorted({path.stem for path in paths})}

    def _all_ids(self, name: str) -> list[str]:
        return self.ids(name) or self._read(self._stopped(name))

    def _stopped(self, name: str) -> Path:
        return self._path(name).with_suffix(".stopped")

    def prune(self, name: str) -> list[Path]:
        """Remove checkpoints of earlier ids once the newest id has a complete one of its own.

        The first checkpoint after a restore is a full one (Flink 1.16, "no claim" mode), so
        nothing refers to the older folders then. Returns the folders removed.
        """
        newest, *older = self.ids(name) or [""]
        if not older or newest_checkpoint(self._checkpoints_dir, newest) is None:
            return []
        removed = [path for job in older if (path := self._checkpoints_dir / job).exists()]
        for path in removed:
            shutil.rmtree(path)
        self._write(name, [newest])
        return removed

    def _write(self, name: str, ids: Iterable[str]) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(list(ids)), "utf-8")
        part.replace(path)

    def _path(self, name: str) -> Path:
        if not name or not all(letter.isalnum() or letter in "-_." for letter in name):
            raise ConfigurationError(
                f"job name {name!r} must consist of letters, digits and '-_.'. Choose another"
            )
        return self._folder / f"{name}.json"
