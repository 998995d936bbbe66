"""Rules for Containerfiles: pinned bases, a user that is not root, nothing fetched blindly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from infra.versions import Versions, versions

_SECRET_NAME = re.compile(
    r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|(ACCESS|API|PRIVATE)_?KEY", re.I
)
_PIPED_SHELL = re.compile(r"\b(curl|wget)\b[^|;&]*\|\s*(ba|z)?sh\b")


def check_containerfile(text: str, context: Path) -> Iterator[tuple[str, str]]:
    """Yield (line, rule broken). `context` is the folder that COPY sources lie in."""
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    user = None
    seen_from = False
    for number, keyword, rest in _instructions(text):
        where = f"line {number}"
        match keyword:
            case "ARG":
                name, _, value = rest.partition("=")
                if value:
                    arguments[name] = value
                    yield from _check_argument(where, name, value)
                elif name not in arguments:
                    yield where, f"ARG {name} needs a default"
                if _SECRET_NAME.search(name):
                    yield where, f"ARG {name}: a secret would stay in the image's history"
            case "FROM":
                seen_from, user = True, None
                words = rest.split()
                yield from _check_base(where, _expand(words[0], arguments), stages)
                if len(words) == 3 and words[1].upper() == "AS":
                    stages.add(words[2])
            case "USER":
                user = rest
            case "ADD":
                yield where, "use COPY: ADD also fetches and unpacks"
            case "COPY" if not rest.startswith("--from="):
                for source in rest.split()[:-1]:
                    if not (context / source).exists():
                        yield where, f"COPY source {source} does not exist"
            case "ENV" if _SECRET_NAME.search(rest):
                yield where, "ENV must hold no secret"
            case "RUN":
                yield from _check_run(where, rest)
            case _:
                pass
    if not seen_from:
        yield "file", "has no FROM"
    first = (user or "").partition(":")[0]
    if not first.isdigit() or int(first) == 0:
        yield "file", "the last stage must end as a numeric USER other than 0"


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, keyword, rest), with continued lines joined and comments left out."""
    joined, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not joined):
            continue
        start = start or number
        joined += line.rstrip().removesuffix("\\") + " "
        if not line.rstrip().endswith("\\"):
            keyword, _, rest = joined.strip().partition(" ")
            yield start, keyword.upper(), " ".join(rest.split())
            joined, start = "", 0


def _check_base(where: str, image: str, stages: set[str]) -> Iterator[tuple[str, str]]:
    if image in stages:
        return
    name, _, tag = image.rpartition(":")
    expected = versions().images.get(name)
    if not name:
        yield where, f"FROM {image} has no tag"
    elif expected is None:
        yield where, f"image {name} is not in versions.toml"
    elif tag != expected:
        yield where, f"image {name} must have the tag {expected} (versions.toml), has {tag}"


def _check_run(where: str, command: str) -> Iterator[tuple[str, str]]:
    if "apt-get install" in command:
        if "--no-install-recommends" not in command:
            yield where, "apt-get install needs --no-install-recommends"
        if "rm -rf /var/lib/apt/lists" not in command:
            yield where, "apt-get install must remove /var/lib/apt/lists in the same RUN"
    for part in re.split(r"&&|;", command):
        if "pip install" in part:
            if "--no-cache-dir" not in part:
                yield where, "pip install needs --no-cache-dir"
            if "--require-hashes" not in part and "--no-deps" not in part:
                yield where, "pip install needs --require-hashes (or --no-deps for our own code)"
    if _PIPED_SHELL.search(command):
        yield where, "a download must not be piped into a shell"
    if re.search(r"\bsudo\b", command):
        yield where, "sudo has no place in a container"


def _check_argument(where: str, name: str, value: str) -> Iterator[tuple[str, str]]:
    expected = _expected_arguments(versions()).get(name)
    if expected is not None and value != expected:
        yield where, f"ARG {name} must be {expected} (versions.toml), is {value}"


def _expected_arguments(known: Versions) -> dict[str, str]:
    """What an argument that carries a version must default to."""
    return {
        "FLINK_VERSION": known.flink.version,
        "FLINK_MINOR": known.flink.minor,
        "BEAM_RUNNER_VERSION": known.flink.beam_runner,
        "BEAM_JOB_SERVICE_VERSION": known.flink.beam_job_service,
        "FROCKSDB_VERSION": known.flink.frocksdb,
        "LOG4J_VERSION": known.logging.log4j,
        "DEPENDENCY_PLUGIN_VERSION": known.maven.dependency_plugin,
        "MINIO_MODULE": known.minio.module,
        "MINIO_VERSION": known.minio.version,
        "TRINO_VERSION": known.trino.version,
    }


def _expand(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{?(\w+)\}?", lambda match: arguments.get(match[1], match[0]), text)
