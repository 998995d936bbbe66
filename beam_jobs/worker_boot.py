"""Starts one Beam Python worker for Flink (`--environment_type=PROCESS`).

Flink runs this program with the worker's id and the addresses of its services. Beam's own
boot program does the same after it has installed staged packages; here the code is installed
already, so it is enough to ask for the pipeline options and become the worker.

Flink ends its workers in an orderly stop. When the task manager dies, nobody does: the worker
would linger with its models, its connections and its claim on memory. So it watches its parent
and ends with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_PROVISION_DEADLINE_S = 60.0
_PARENT_CHECK_S = 1.0
_EXIT_ORPHANED = 75
_LOG_LIMIT_BYTES = 20 * 2**20

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> None:
    """Become the worker that the arguments describe; returns when Flink ends it."""
    # Before the slow imports: the parent may die meanwhile. The script that Flink runs
    # notes its parent's id still earlier.
    parent = int(os.environ.get("PLATELAKE_WORKER_PARENT") or os.getppid())
    arguments = _parse(sys.argv[1:] if argv is None else argv)
    _log_to_file(Path(arguments.log_dir), arguments.id)
    threading.Thread(
        target=watch_parent, args=(parent, lambda: os._exit(_EXIT_ORPHANED)), daemon=True
    ).start()

    os.environ.update(provision(arguments.provision_endpoint, arguments.id))

    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def watch_parent(
    parent: int,
    on_orphaned: Callable[[], object],
    *,
    parent_now: Callable[[], int] = os.getppid,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Call `on_orphaned` once the parent is no longer `parent`, looking every second.

    The system gives an orphan another parent at once; asking for that costs a microsecond.
    (Linux could signal the death of a parent, but counts the thread that started us, and
    Java's threads come and go.)
    """
    while parent_now() == parent:
        sleep(_PARENT_CHECK_S)
    _log.error("the process that started this worker (%d) has ended: ending too", parent)
    on_orphaned()


def provision(endpoint: str, worker_id: str) -> dict[str, str]:
    """Ask Flink for the worker's options and addresses; returns them as environment variables.

    Raises grpc.RpcError when the endpoint does not answer within a minute.
    """
    import grpc
    from apache_beam.portability.api import (
        beam_provision_api_pb2,
        beam_provision_api_pb2_grpc,
    )
    from apache_beam.runners.worker.worker_id_interceptor import WorkerIdInterceptor
    from google.protobuf import json_format, text_format

    with grpc.insecure_channel(endpoint) as channel:
        named = grpc.intercept_channel(channel, WorkerIdInterceptor(worker_id))
        stub = beam_provision_api_pb2_grpc.ProvisionServiceStub(named)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        answer = stub.GetProvisionInfo(request, timeout=_PROVISION_DEADLINE_S, wait_for_ready=True)
    info = answer.info
    environment = {
        "WORKER_ID": worker_id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
    }
    for service in ("logging", "control", "status"):
        descriptor = getattr(info, f"{service}_endpoint")
        if descriptor.url:
            name = f"{service.upper()}_API_SERVICE_DESCRIPTOR"
            environment[name] = text_format.MessageToString(descriptor)
    return environment


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read what Flink passes. It passes more than is needed: unknown arguments are left alone."""
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.worker_boot")
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    parser.add_argument("--log-dir", default=".")
    arguments, _ = parser.parse_known_args(argv)
    return arguments


def _log_to_file(folder: Path, worker_id: str) -> None:
    """Send all output of this process to `worker-<id>.log`, set aside once it has grown large."""
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in worker_id)
    path = folder / f"worker-{safe}.log"
    if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES:
        path.replace(path.with_suffix(".log.1"))
    with path.open("ab") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s.%(msecs)03dZ %(levelname)-5s {os.getpid()} %(name)s - %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.Formatter.converter = time.gmtime


if __name__ == "__main__":
    main()
