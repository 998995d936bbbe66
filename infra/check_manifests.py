"""Static check of Containerfiles, compose.yaml and kubernetes/: `python -m infra.check_manifests`.

It cannot prove that a cluster accepts them, only that the rules of this project hold: pinned
images that agree with versions.toml, no root, no secret in clear text, limits on everything,
nothing allowed on the network that is not listed. Needs PyYAML (a development requirement).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from infra.containerfile import check_containerfile
from infra.versions import versions

NAMESPACE = "platelake"
_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|(ACCESS|API|PRIVATE)_?KEY", re.I
)
_WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "Job"}
_ALWAYS_ON = {"Deployment", "StatefulSet", "DaemonSet"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One rule that a file breaks, and where in it."""

    file: str
    where: str
    rule: str

    def __str__(self) -> str:
        return f"{self.file}: {self.where}: {self.rule}"


def check(infra: Path) -> list[Problem]:
    """Check all files under the folder `infra`; an empty list means that every rule holds."""
    problems: list[Problem] = []
    containerfiles = sorted((infra / "containers").glob("*.Containerfile"))
    manifests = sorted((infra / "kubernetes").glob("*.yaml"))
    compose = infra / "compose.yaml"
    for missing, name in ((not containerfiles, "containers/"), (not manifests, "kubernetes/")):
        if missing:
            problems.append(Problem(name, "folder", "holds no file to check"))
    for file in containerfiles:
        found = check_containerfile(file.read_text("utf-8"), infra.parent)
        problems += [Problem(file.name, where, rule) for where, rule in found]
    documents: list[dict[str, Any]] = []
    for file in manifests:
        try:
            loaded = [item for item in yaml.safe_load_all(file.read_text("utf-8")) if item]
        except yaml.YAMLError as error:
            problems.append(Problem(file.name, "file", f"is not YAML: {error}"))
            continue
        for item in loaded:
            if not isinstance(item, dict):
                problems.append(Problem(file.name, "file", "a document must be a mapping"))
                continue
            documents.append(item)
            problems += [Problem(file.name, *found) for found in check_kubernetes(item)]
    if manifests and not any(_denies_all(item) for item in documents):
        problems.append(Problem("kubernetes/", "network", "no policy that denies all by default"))
    try:
        content = yaml.safe_load(compose.read_text("utf-8"))
        problems += [Problem(compose.name, *found) for found in check_compose(content)]
    except (yaml.YAMLError, FileNotFoundError) as error:
        problems.append(Problem(compose.name, "file", f"cannot be read: {error}"))
    return problems


# Each check yields (where, rule broken).
Found = tuple[str, str]


def check_kubernetes(document: dict[str, Any]) -> Iterator[Found]:
    """Check one Kubernetes object."""
    kind = str(document.get("kind", ""))
    metadata = document.get("metadata") or {}
    where = f"{kind or 'object'} {metadata.get('name', '(no name)')}"
    for required in ("apiVersion", "kind"):
        if not document.get(required):
            yield where, f"{required} is required"
    if not metadata.get("name"):
        yield where, "metadata.name is required"
    if kind != "Namespace" and metadata.get("namespace") != NAMESPACE:
        yield where, f"metadata.namespace must be {NAMESPACE}"
    if kind == "Namespace":
        labels = metadata.get("labels") or {}
        if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
            yield where, "must enforce the restricted pod security standard"
    if kind == "Secret":
        yield where, "secrets are made in the cluster, never kept here: refer to them by name"
    spec = document.get("spec") or {}
    if kind in _WORKLOADS:
        pod = ((spec.get("template") or {}).get("spec")) or {}
        yield from _check_pod(where, pod, own_account=False)
        yield from _check_containers(where, pod, probes=kind in _ALWAYS_ON)
    elif kind == "FlinkDeployment":
        yield from _check_flink(where, spec)
    elif kind == "Kafka":
        yield from _check_kafka(where, spec)
    elif kind == "KafkaNodePool":
        yield from _check_resources(where, spec.get("resources"))


def check_compose(content: Any) -> Iterator[Found]:
    """Check a compose file."""
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, dict) or not services:
        yield "file", "services is required"
        return
    for name, service in services.items():
        where = f"service {name}"
        yield from _check_image(where, service.get("image"))
        if not _not_root(service.get("user")):
            yield where, "user must be a number other than 0"
        if service.get("read_only") is not True:
            yield where, "read_only must be true"
        if service.get("cap_drop") != ["ALL"]:
            yield where, "cap_drop must be [ALL]"
        if "no-new-privileges:true" not in (service.get("security_opt") or []):
            yield where, "security_opt must hold no-new-privileges:true"
        if service.get("privileged") or service.get("network_mode") == "host":
            yield where, "must not be privileged nor use the host's network"
        for required in ("mem_limit", "healthcheck"):
            if not service.get(required):
                yield where, f"{required} is required"
        for port in service.get("ports") or []:
            if not str(port).startswith("127.0.0.1:"):
                yield where, f"port {port} must be bound to 127.0.0.1"
        environment = service.get("environment") or {}
        if isinstance(environment, list):
            environment = dict(str(entry).partition("=")[::2] for entry in environment)
        for variable in environment:
            if _is_secret(str(variable)):
                yield where, f"{variable} must come from a file ({variable}_FILE)"


def _check_pod(where: str, pod: dict[str, Any], *, own_account: bool) -> Iterator[Found]:
    security = pod.get("securityContext") or {}
    if security.get("runAsNonRoot") is not True:
        yield where, "pod securityContext.runAsNonRoot must be true"
    if not _not_root(security.get("runAsUser")):
        yield where, "pod securityContext.runAsUser must be a number other than 0"
    if (security.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield where, "pod securityContext.seccompProfile must be RuntimeDefault"
    for forbidden in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(forbidden):
            yield where, f"{forbidden} is forbidden"
    for volume in pod.get("volumes") or []:
        if "hostPath" in volume:
            yield where, f"volume {volume.get('name')}: hostPath is forbidden"
    if not own_account and pod.get("automountServiceAccountToken") is not False:
        yield where, "automountServiceAccountToken must be false"


def _check_containers(where: str, pod: dict[str, Any], *, probes: bool) -> Iterator[Found]:
    containers = pod.get("containers") or []
    if not containers:
        yield where, "has no container"
    for container in [*containers, *(pod.get("initContainers") or [])]:
        here = f"{where}, container {container.get('name', '(no name)')}"
        yield from _check_image(here, container.get("image"))
        yield from _check_container(here, container)
        yield from _check_resources(here, container.get("resources"))
        if probes and container in containers:
            for probe in ("livenessProbe", "readinessProbe"):
                if not container.get(probe):
                    yield here, f"{probe} is required"


def _check_container(where: str, container: dict[str, Any]) -> Iterator[Found]:
    security = container.get("securityContext") or {}
    if security.get("allowPrivilegeEscalation") is not False:
        yield where, "allowPrivilegeEscalation must be false"
    if security.get("readOnlyRootFilesystem") is not True:
        yield where, "readOnlyRootFilesystem must be true"
    if "ALL" not in ((security.get("capabilities") or {}).get("drop") or []):
        yield where, "capabilities.drop must hold ALL"
    if security.get("privileged"):
        yield where, "privileged is forbidden"
    for variable in container.get("env") or []:
        name = str(variable.get("name", ""))
        if _is_secret(name) and "secretKeyRef" not in (variable.get("valueFrom") or {}):
            yield where, f"{name} must come from a secret (valueFrom.secretKeyRef)"


def _check_flink(where: str, spec: dict[str, Any]) -> Iterator[Found]:
    yield from _check_image(where, spec.get("image"))
    expected = "v" + versions().flink.minor.replace(".", "_")
    if spec.get("flinkVersion") != expected:
        yield where, f"flinkVersion must be {expected} (versions.toml)"
    if not spec.get("serviceAccount"):
        yield where, "serviceAccount is required"
    pod = ((spec.get("podTemplate") or {}).get("spec")) or {}
    yield from _check_pod(where, pod, own_account=True)  # Flink asks for task managers
    for container in pod.get("containers") or []:
        yield from _check_container(f"{where}, container {container.get('name')}", container)
    for part in ("jobManager", "taskManager"):
        resource = (spec.get(part) or {}).get("resource") or {}
        if not resource.get("memory") or not resource.get("cpu"):
            yield where, f"{part}.resource needs memory and cpu"
    configuration = spec.get("flinkConfiguration") or {}
    retention = "execution.checkpointing.externalized-checkpoint-retention"
    for key in ("state.checkpoints.dir", retention, "high-availability"):
        if not configuration.get(key):
            yield where, f"flinkConfiguration needs {key}"


def _check_kafka(where: str, spec: dict[str, Any]) -> Iterator[Found]:
    kafka = spec.get("kafka") or {}
    if kafka.get("version") != versions().kafka.version:
        yield where, f"kafka.version must be {versions().kafka.version} (versions.toml)"
    for listener in kafka.get("listeners") or []:
        if listener.get("tls") is not True or not listener.get("authentication"):
            yield where, f"listener {listener.get('name')} needs tls and authentication"
    if str((kafka.get("config") or {}).get("auto.create.topics.enable")).lower() != "false":
        yield where, "auto.create.topics.enable must be false"
    if (kafka.get("authorization") or {}).get("type") != "simple":
        yield where, "authorization must be simple"


def _check_image(where: str, image: object) -> Iterator[Found]:
    name, _, tag = str(image or "").rpartition(":")
    expected = versions().images.get(name)
    if not name:
        yield where, f"image must be name:tag, is {image!r}"
    elif expected is None:
        yield where, f"image {name} is not in versions.toml"
    elif tag != expected:
        yield where, f"image {name} must have the tag {expected} (versions.toml), has {tag}"


def _check_resources(where: str, resources: object) -> Iterator[Found]:
    parts = resources if isinstance(resources, dict) else {}
    for part in ("requests", "limits"):
        for what in ("cpu", "memory"):
            if not (parts.get(part) or {}).get(what):
                yield where, f"resources.{part}.{what} is required"


def _denies_all(document: dict[str, Any]) -> bool:
    spec = document.get("spec") or {}
    return bool(
        document.get("kind") == "NetworkPolicy"
        and spec.get("podSelector") == {}
        and set(spec.get("policyTypes") or []) == {"Ingress", "Egress"}
        and not spec.get("ingress")
        and not spec.get("egress")
    )


def _is_secret(variable: str) -> bool:
    return bool(_SECRET_NAME.search(variable)) and not variable.endswith("_FILE")


def _not_root(user: object) -> bool:
    first = str(user if user is not None else "").partition(":")[0]
    return first.isdigit() and int(first) != 0


def main() -> int:
    """Print every problem; 1 when there is one."""
    problems = check(Path(__file__).parent)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "all rules hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
