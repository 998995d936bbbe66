"""The check is worth something only if each rule fails on what breaks it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from infra.check_manifests import check
from infra.versions import VERSIONS_FILE, versions
from ingest.topics import TOPICS

INFRA = VERSIONS_FILE.parent
MINIO, COMPOSE = "kubernetes/minio.yaml", "compose.yaml"
PYTHON_IMAGE = "containers/platelake.Containerfile"


@pytest.fixture
def infra(tmp_path: Path) -> Path:
    """A copy of the files under check, in a copy of the tree that COPY refers to."""
    infra = tmp_path / "infra"
    for part in ("containers", "kubernetes", "flink", "trino"):
        shutil.copytree(INFRA / part, infra / part)
    for file in ("compose.yaml", "log4j2.xml"):
        shutil.copy(INFRA / file, infra / file)
    for name in ("pyproject.toml", "setup.py"):
        (tmp_path / name).touch()
    for name in (
        *("requirements", "alpr", "vision", "ingest", "beam_jobs"),
        *("catalog", "expectations", "policies", "cli"),
    ):
        (tmp_path / name).mkdir()
    return infra


def test_the_files_as_they_are_hold_every_rule(infra: Path) -> None:
    assert check(infra) == []


BREAKING = [
    # Kubernetes
    (MINIO, "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"),
    (MINIO, "runAsUser: 10001", "runAsUser: 0", "runAsUser"),
    (MINIO, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRoot"),
    (MINIO, "allowPrivilegeEscalation: false", "privileged: true", "allowPrivilegeEscalation"),
    (MINIO, "drop: [ALL]", "drop: [NET_RAW]", "capabilities"),
    (MINIO, "{type: RuntimeDefault}", "{type: Unconfined}", "seccompProfile"),
    (MINIO, "automountServiceAccountToken: false", "hostNetwork: true", "hostNetwork"),
    (MINIO, "automountServiceAccountToken: false", "hostPID: true", "automountService"),
    (MINIO, "emptyDir: {sizeLimit: 1Gi}", "hostPath: {path: /}", "hostPath"),
    (MINIO, "platelake-minio:0.1.0", "platelake-minio:latest", "must have the tag"),
    (MINIO, "platelake-minio:0.1.0", "platelake-minio", "name:tag"),
    (MINIO, "platelake-minio:0.1.0", "stranger/minio:1", "not in versions.toml"),
    (MINIO, 'limits: {cpu: "2", memory: 2Gi}', "limits: {memory: 2Gi}", "limits.cpu"),
    (MINIO, "requests: {cpu: 500m, memory: 2Gi}", "x: y", "requests.memory"),
    (MINIO, "livenessProbe", "startupProbe", "livenessProbe is required"),
    (MINIO, "readinessProbe", "startupProbe", "readinessProbe is required"),
    (MINIO, "MINIO_ROOT_PASSWORD_FILE", "MINIO_ROOT_PASSWORD", "must come from a secret"),
    (MINIO, "namespace: platelake", "namespace: default", "metadata.namespace"),
    (MINIO, "kind: StatefulSet", "kind: [", "not YAML"),
    (MINIO, "  name: minio\n  namespace", "  namespace", "metadata.name is required"),
    (MINIO, "apiVersion: apps/v1", "apiVersion: ''", "apiVersion is required"),
    ("kubernetes/postgres.yaml", "valueFrom:", "value: hunter2\n              x:", "secretKeyRef"),
    ("kubernetes/namespace.yaml", "enforce: restricted", "enforce: baseline", "restricted"),
    ("kubernetes/namespace.yaml", "kind: Namespace", "kind: Secret", "never kept here"),
    (
        "kubernetes/network.yaml",
        "policyTypes: [Ingress, Egress]",
        "policyTypes: [Ingress]",
        "denies",
    ),
    ("kubernetes/network.yaml", "podSelector: {}", "podSelector: {a: b}", "denies all"),
    ("kubernetes/kafka.yaml", "version: 4.1.2", "version: 3.9.0", "kafka.version"),
    ("kubernetes/kafka.yaml", "tls: true", "tls: false", "needs tls"),
    ("kubernetes/kafka.yaml", 'enable: "false"', 'enable: "true"', "auto.create"),
    ("kubernetes/kafka.yaml", "authorization:\n      type: simple\n    c", "c", "authorization"),
    ("kubernetes/kafka.yaml", 'limits: {cpu: "4", memory: 4Gi}', "x: y", "limits.memory"),
    ("kubernetes/flink.yaml", "v1_16", "v1_20", "flinkVersion"),
    (
        "kubernetes/flink.yaml",
        "platelake-flink:0.1.0",
        "platelake-flink:0.2.0",
        "must have the tag",
    ),
    ("kubernetes/flink.yaml", "serviceAccount: flink", "x: y", "serviceAccount"),
    ("kubernetes/flink.yaml", "state.checkpoints.dir", "state.nothing", "state.checkpoints.dir"),
    ("kubernetes/flink.yaml", "{memory: 4096m, cpu: 2}", "{memory: 4096m}", "taskManager.resource"),
    ("kubernetes/flink.yaml", "runAsUser: 9999", "runAsUser: 0", "runAsUser"),
    # Compose
    (COMPOSE, "read_only: true", "read_only: false", "read_only"),
    (COMPOSE, "cap_drop: [ALL]", "cap_drop: []", "cap_drop"),
    (COMPOSE, "no-new-privileges:true", "label:disable", "no-new-privileges"),
    (COMPOSE, 'user: "999:999"', 'user: "0:0"', "user must be"),
    (COMPOSE, 'user: "999:999"', "x: y", "user must be"),
    (COMPOSE, "127.0.0.1:15433:5432", "15433:5432", "bound to 127.0.0.1"),
    (COMPOSE, "POSTGRES_PASSWORD_FILE: /run", "POSTGRES_PASSWORD: /run", "must come from a file"),
    (COMPOSE, "postgres:16.9-bookworm", "postgres:latest", "must have the tag"),
    (COMPOSE, "mem_limit: 512m", "x: y", "mem_limit is required"),
    (COMPOSE, "healthcheck:", "x-check:", "healthcheck is required"),
    (COMPOSE, "command: [jobmanager]", "privileged: true", "privileged"),
    (COMPOSE, "services:", "service:", "services is required"),
    (COMPOSE, "services:", "services: [", "cannot be read"),
    # Containerfiles
    (PYTHON_IMAGE, "USER 10001:10001", "USER 0:0", "numeric USER"),
    (PYTHON_IMAGE, "USER 10001:10001", "USER root", "numeric USER"),
    (PYTHON_IMAGE, "USER 10001:10001", "", "numeric USER"),
    (PYTHON_IMAGE, "3.11-slim-bookworm", "latest", "must have the tag"),
    (PYTHON_IMAGE, "FROM python:${PYTHON_TAG} AS", "FROM python AS", "has no tag"),
    (PYTHON_IMAGE, "FROM python:", "FROM snake:", "not in versions.toml"),
    (PYTHON_IMAGE, "--no-install-recommends ", "", "--no-install-recommends"),
    (PYTHON_IMAGE, "rm -rf /var/lib/apt/lists/*", "true", "lists"),
    (PYTHON_IMAGE, "--require-hashes ", "", "--require-hashes"),
    (PYTHON_IMAGE, "--no-cache-dir ", "", "--no-cache-dir"),
    (PYTHON_IMAGE, "COPY cli/", "ADD cli/", "use COPY"),
    (PYTHON_IMAGE, "COPY cli/", "COPY clii/", "does not exist"),
    (PYTHON_IMAGE, "ENV PATH", "ENV DB_PASSWORD=hunter2 PATH", "hold no secret"),
    (PYTHON_IMAGE, "WORKDIR /state", "ARG API_TOKEN=x", "image's history"),
    (PYTHON_IMAGE, "RUN apt-get update", "RUN curl a | sh; apt-get update", "piped into a shell"),
    (PYTHON_IMAGE, "RUN apt-get update", "RUN sudo apt-get update", "sudo"),
    (
        "containers/job-server.Containerfile",
        "RUNNER_VERSION=2.59.0",
        "RUNNER_VERSION=2.60.0",
        "must be 2.59.0",
    ),
    ("containers/trino.Containerfile", "ARG TRINO_VERSION=476", "ARG TRINO_VERSION=477", "476"),
    (
        "kubernetes/trino.yaml",
        "LAKE_S3_SECRET_KEY_FILE",
        "LAKE_S3_SECRET_KEY",
        "must come from a secret",
    ),
    (
        "containers/flink.Containerfile",
        "ARG FLINK_VERSION=1.16.0",
        "ARG FLINK_VERSION",
        "needs a default",
    ),
    ("containers/minio.Containerfile", "-7aac2a2c5b7c", "-000000000000", "ARG MINIO_VERSION"),
]


@pytest.mark.parametrize(
    ("file", "good", "bad", "rule"), BREAKING, ids=[f"{b[0]}-{b[3]}-{b[2]}" for b in BREAKING]
)
def test_each_rule_fails_on_what_breaks_it(
    infra: Path, file: str, good: str, bad: str, rule: str
) -> None:
    path = infra / file
    text = path.read_text("utf-8")
    assert good in text
    path.write_text(text.replace(good, bad), "utf-8")
    assert any(rule in problem.rule for problem in check(infra)), check(infra)


def test_empty_folders_are_not_a_success(tmp_path: Path) -> None:
    rules = [problem.rule for problem in check(tmp_path)]
    assert rules.count("holds no file to check") == 2
    assert any("cannot be read" in rule for rule in rules)


def test_topics_in_the_cluster_are_the_topics_of_the_code() -> None:
    documents = list(yaml.safe_load_all((INFRA / "kubernetes" / "topics.yaml").read_text("utf-8")))
    topics = {document["metadata"]["name"]: document["spec"] for document in documents}
    assert set(topics) == set(TOPICS)
    for name, spec in TOPICS.items():
        assert topics[name]["partitions"] == spec.partitions
        assert topics[name]["replicas"] == 3
        assert topics[name]["config"] == spec.configs() | {"min.insync.replicas": "2"}


def test_images_agree_with_the_engines_versions() -> None:
    images = versions().images
    assert images["apache/kafka"] == versions().kafka.version
    assert images["flink"].startswith(f"{versions().flink.version}-")
    assert int(images["postgres"].split(".")[0]) >= versions().postgres.minimum_major
