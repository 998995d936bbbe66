"""What Flink's REST interface says about jobs, checkpoints and task managers.

Source: Flink 1.16 documentation, "REST API", version v1.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from alpr.errors import PlatelakeError, Unavailable
from infra.waiting import wait_until

_TIMEOUT_S = 10.0
# States in which Flink itself still works for the job.
_LIVE = frozenset(
    {"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "FAILING", "RECONCILING", "SUSPENDED"}
)
_STOPPED_ON_PURPOSE = frozenset({"CANCELED", "CANCELLING", "FINISHED"})


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the job manager lists it; times in seconds since the epoch."""

    id: str
    name: str
    state: str
    started: float

    @property
    def live(self) -> bool:
        """Whether Flink still works for it (restarting counts)."""
        return self.state in _LIVE

    @property
    def stopped_on_purpose(self) -> bool:
        """Whether somebody cancelled it or it came to its end."""
        return self.state in _STOPPED_ON_PURPOSE


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of a job: when (seconds since the epoch), and Flink's account of it."""

    at: float
    trace: str


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A job's checkpoints: how many in which state, and the newest complete one."""

    completed: int
    failed: int
    in_progress: int
    latest_id: int | None
    latest_path: Path | None
    latest_bytes: int | None
    latest_duration_ms: int | None


class FlinkRest:
    """A client of one job manager. Every method raises Unavailable when it does not answer."""

    def __init__(self, url: str, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def answers(self) -> bool:
        """Whether the job manager answers."""
        try:
            self._call("GET", "/overview")
        except Unavailable:
            return False
        return True

    def task_managers(self) -> frozenset[str]:
        """The ids of the task managers that are registered; none when nobody answers."""
        try:
            listed = self._call("GET", "/taskmanagers")["taskmanagers"]
        except Unavailable:
            return frozenset()
        return frozenset(str(entry["id"]) for entry in listed)

    def jobs(self) -> list[Job]:
        """All jobs the job manager knows, the newest first."""
        listed = self._call("GET", "/jobs/overview")["jobs"]
        jobs = [
            Job(entry["jid"], entry["name"], entry["state"], entry["start-time"] / 1000)
            for entry in listed
        ]
        return sorted(jobs, key=lambda job: job.started, reverse=True)

    def checkpoints(self, job: str) -> Checkpoints:
        """The checkpoint figures of a job."""
        answer = self._call("GET", f"/jobs/{job}/checkpoints")
        counts = answer["counts"]
        latest: dict[str, Any] = answer["latest"]["completed"] or {}
        path = latest.get("external_path")
        return Checkpoints(
            completed=counts["completed"],
            failed=counts["failed"],
            in_progress=counts["in_progress"],
            latest_id=latest.get("id"),
            latest_path=_local_path(path) if path else None,
            latest_bytes=latest.get("state_size"),
            latest_duration_ms=latest.get("end_to_end_duration"),
        )

    def root_cause(self, job: str) -> str:
        """The first lines of why the job failed or restarted last; empty when it never did."""
        entries = self._call("GET", f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return "\n".join(entries[0]["stacktrace"].splitlines()[:8]) if entries else ""

    def failures(self, job: str) -> list[Failure]:
        """Why and when the job failed, the newest first, as far back as Flink remembers (16)."""
        entries = self._call("GET", f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"]
        return [Failure(entry["timestamp"] / 1000, entry["stacktrace"]) for entry in entries]

    def cancel(self, job: str) -> None:
        """Ask for the job to be cancelled; it takes a moment."""
        self._call("PATCH", f"/jobs/{job}?mode=cancel")

    def savepoint(
        self, job: str, folder: Path, *, cancel: bool = False, deadline_s: float = 120.0
    ) -> Path:
        """Write a savepoint under `folder` and return its path.

        Raises Unavailable when it is not done in `deadline_s`, PlatelakeError when it fails.
        """
        request = {"target-directory": folder.absolute().as_uri(), "cancel-job": cancel}
        trigger = self._call("POST", f"/jobs/{job}/savepoints", request)["request-id"]
        answer: dict[str, Any] = {}

        def done() -> bool:
            answer.update(self._call("GET", f"/jobs/{job}/savepoints/{trigger}"))
            return bool(answer["status"]["id"] == "COMPLETED")

        if not wait_until(done, deadline_s, interval_s=0.25):
            raise Unavailable(f"savepoint of job {job} was not complete in {deadline_s:.0f} s")
        operation = answer["operation"]
        if "location" not in operation:
            cause = operation.get("failure-cause", {}).get("stack-trace", "no cause given")
            raise PlatelakeError(f"savepoint of job {job} failed: {cause[:1000]}")
        return _local_path(operation["location"])

    def _call(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 the address is our own loopback setting
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:  # noqa: S310
                content = response.read()
        except urllib.error.HTTPError as error:
            with error:
                detail = error.read(2000).decode("utf-8", "replace")
            raise Unavailable(f"{method} {self.url}{path}: {error.code}, {detail}") from error
        except OSError as error:  # urllib.error.URLError among them
            raise Unavailable(f"Flink does not answer at {self.url}: {error}") from error
        return json.loads(content) if content else {}


def newest_checkpoint(checkpoints_dir: Path, *jobs: str) -> Path | None:
    """The newest complete checkpoint of the first of `jobs` (ids) that has one, else None.

    Complete means that `_metadata` is there: Flink writes it last, in one rename.
    """
    for job in jobs:
        complete = [
            (int(folder.name.removeprefix("chk-")), folder)
            for folder in (checkpoints_dir / job).glob("chk-*")
            if folder.name.removeprefix("chk-").isdigit() and (folder / "_metadata").is_file()
        ]
        if complete:
            return max(complete)[1]
    return None


def _local_path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))
