"""The client against a server that answers as Flink 1.16 does (answers shortened)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from alpr.errors import PlatelakeError, Unavailable
from infra.flink_rest import FlinkRest, Job, newest_checkpoint

JOBS = {
    "jobs": [
        {"jid": "a1", "name": "match", "state": "FAILED", "start-time": 1000},
        {"jid": "b2", "name": "match", "state": "RESTARTING", "start-time": 3000},
        {"jid": "c3", "name": "land", "state": "CANCELED", "start-time": 2000},
    ]
}
CHECKPOINTS = {
    "counts": {"restored": 0, "total": 9, "in_progress": 1, "completed": 7, "failed": 1},
    "latest": {
        "completed": {
            "id": 9,
            "state_size": 12345,
            "end_to_end_duration": 42,
            "external_path": "file:/tmp/with%20space/b2/chk-9",
        }
    },
}
NO_CHECKPOINT = {
    "counts": {"restored": 0, "total": 0, "in_progress": 0, "completed": 0, "failed": 0},
    "latest": {"completed": None},
}


class Flink:
    """What the server answers; a list is used up one entry a request."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, object] = {"GET /jobs/overview": JOBS, "GET /overview": {}}
        self.requests: list[tuple[str, object]] = []

    def answer(self, request: str, body: bytes) -> tuple[int, bytes]:
        self.requests.append((request, json.loads(body) if body else None))
        content = self.answers.get(request)
        if isinstance(content, list):
            content = content.pop(0)
        if content is None:
            return 404, b'{"errors":["not found"]}'
        return 200, json.dumps(content).encode()


@pytest.fixture
def flink() -> Iterator[Flink]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = answers.answer(f"{self.command} {self.path}", body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        answers = Flink(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield answers
        server.shutdown()
        thread.join()


def test_jobs_newest_first(flink: Flink) -> None:
    jobs = FlinkRest(flink.url).jobs()
    assert [job.id for job in jobs] == ["b2", "c3", "a1"]
    assert jobs[0] == Job("b2", "match", "RESTARTING", 3.0)
    assert [(job.live, job.stopped_on_purpose) for job in jobs] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_checkpoints(flink: Flink) -> None:
    flink.answers["GET /jobs/b2/checkpoints"] = CHECKPOINTS
    flink.answers["GET /jobs/a1/checkpoints"] = NO_CHECKPOINT
    some = FlinkRest(flink.url).checkpoints("b2")
    assert (some.completed, some.failed, some.in_progress) == (7, 1, 1)
    assert some.latest_path == Path("/tmp/with space/b2/chk-9")
    assert (some.latest_id, some.latest_bytes, some.latest_duration_ms) == (9, 12345, 42)
    none = FlinkRest(flink.url).checkpoints("a1")
    assert none.completed == 0
    assert none.latest_path is None


def test_savepoint_waits_until_it_is_complete(flink: Flink, tmp_path: Path) -> None:
    flink.answers["POST /jobs/b2/savepoints"] = {"request-id": "t"}
    flink.answers["GET /jobs/b2/savepoints/t"] = [
        {"status": {"id": "IN_PROGRESS"}},
        {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/sp/savepoint-1"}},
    ]
    path = FlinkRest(flink.url).savepoint("b2", tmp_path, cancel=True)
    assert path == Path("/sp/savepoint-1")
    assert flink.requests[0][1] == {"target-directory": tmp_path.as_uri(), "cancel-job": True}


def test_a_savepoint_that_fails_says_why(flink: Flink, tmp_path: Path) -> None:
    flink.answers["POST /jobs/b2/savepoints"] = {"request-id": "t"}
    flink.answers["GET /jobs/b2/savepoints/t"] = {
        "status": {"id": "COMPLETED"},
        "operation": {"failure-cause": {"class": "X", "stack-trace": "the disk is full"}},
    }
    with pytest.raises(PlatelakeError, match="the disk is full"):
        FlinkRest(flink.url).savepoint("b2", tmp_path)


def test_cancel(flink: Flink) -> None:
    flink.answers["PATCH /jobs/b2?mode=cancel"] = {}
    FlinkRest(flink.url).cancel("b2")
    assert flink.requests == [("PATCH /jobs/b2?mode=cancel", None)]


def test_root_cause(flink: Flink) -> None:
    flink.answers["GET /jobs/b2/exceptions"] = {
        "exceptionHistory": {"entries": [{"stacktrace": "Boom: no\n\tat x"}]}
    }
    flink.answers["GET /jobs/a1/exceptions"] = {"exceptionHistory": {"entries": []}}
    assert FlinkRest(flink.url).root_cause("b2").startswith("Boom: no")
    assert FlinkRest(flink.url).root_cause("a1") == ""


def test_errors_are_unavailable_with_what_flink_said(flink: Flink) -> None:
    with pytest.raises(Unavailable, match=r"404.*not found"):
        FlinkRest(flink.url).checkpoints("zz")


def test_nobody_there() -> None:
    client = FlinkRest("http://127.0.0.1:9", timeout_s=1)
    assert not client.answers()
    assert client.task_managers() == frozenset()
    with pytest.raises(Unavailable, match="does not answer"):
        client.jobs()


def test_task_managers(flink: Flink) -> None:
    flink.answers["GET /taskmanagers"] = {"taskmanagers": [{"id": "task-manager-1"}]}
    client = FlinkRest(flink.url)
    assert client.answers()
    assert client.task_managers() == {"task-manager-1"}


def make_checkpoint(folder: Path, *, complete: bool) -> Path:
    folder.mkdir(parents=True)
    if complete:
        (folder / "_metadata").touch()
    return folder


def test_newest_checkpoint_counts_numbers_and_only_complete_ones(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "b2" / "chk-9", complete=True)
    newest = make_checkpoint(tmp_path / "b2" / "chk-10", complete=True)
    make_checkpoint(tmp_path / "b2" / "chk-11", complete=False)
    (tmp_path / "b2" / "shared").mkdir()
    (tmp_path / "b2" / "chk-x").mkdir()
    assert newest_checkpoint(tmp_path, "b2") == newest


def test_newest_checkpoint_falls_back_to_earlier_ids(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "new" / "chk-1", complete=False)
    old = make_checkpoint(tmp_path / "old" / "chk-5", complete=True)
    assert newest_checkpoint(tmp_path, "new", "old") == old
    assert newest_checkpoint(tmp_path, "new") is None
    assert newest_checkpoint(tmp_path / "absent", "new") is None
