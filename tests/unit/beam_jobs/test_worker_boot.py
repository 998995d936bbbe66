from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest
from apache_beam.portability.api import (
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    endpoints_pb2,
)
from google.protobuf import json_format, struct_pb2, text_format

from beam_jobs.worker_boot import provision, watch_parent


class Runner(beam_provision_api_pb2_grpc.ProvisionServiceServicer):
    """Tells one worker what it needs, as Flink's side does."""

    def __init__(self) -> None:
        self.asked_by: list[str] = []
        options = json_format.ParseDict({"beam:option:job_name:v1": "match"}, struct_pb2.Struct())
        self.info = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=options,
            logging_endpoint=endpoints_pb2.ApiServiceDescriptor(url="localhost:1"),
            control_endpoint=endpoints_pb2.ApiServiceDescriptor(url="localhost:2"),
            runner_capabilities=["beam:protocol:one", "beam:protocol:two"],
        )

    def GetProvisionInfo(self, request: object, context: grpc.ServicerContext) -> object:
        self.asked_by.append(dict(context.invocation_metadata())["worker_id"])
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=self.info)


@pytest.fixture
def runner() -> Iterator[tuple[Runner, str]]:
    runner = Runner()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(runner, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield runner, f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_what_flink_says_becomes_the_workers_environment(runner: tuple[Runner, str]) -> None:
    service, endpoint = runner
    environment = provision(endpoint, "2-1")
    assert service.asked_by == ["2-1"]
    assert environment["WORKER_ID"] == "2-1"
    assert json.loads(environment["PIPELINE_OPTIONS"]) == {"beam:option:job_name:v1": "match"}
    assert environment["RUNNER_CAPABILITIES"] == "beam:protocol:one beam:protocol:two"
    control = endpoints_pb2.ApiServiceDescriptor()
    text_format.Parse(environment["CONTROL_API_SERVICE_DESCRIPTOR"], control)
    assert control.url == "localhost:2"
    assert "LOGGING_API_SERVICE_DESCRIPTOR" in environment
    assert "STATUS_API_SERVICE_DESCRIPTOR" not in environment


def test_the_worker_ends_when_its_parent_has_gone() -> None:
    parents = iter([100, 100, 100, 1])
    slept: list[float] = []
    orphaned = threading.Event()
    watch_parent(100, orphaned.set, parent_now=lambda: next(parents), sleep=slept.append)
    assert orphaned.is_set()
    assert len(slept) == 3


def test_a_parent_that_died_before_we_looked_is_noticed_at_once() -> None:
    slept: list[float] = []
    orphaned = threading.Event()
    watch_parent(100, orphaned.set, parent_now=lambda: 1, sleep=slept.append)
    assert orphaned.is_set()
    assert slept == []
