"""Every setting of the local stack: file < environment < flags.

The file is `<home>/platelake.toml`; environment variables are `PLATELAKE_…` with `__`
between levels (`PLATELAKE_PORTS__KAFKA=29092`); flags are keyword arguments.
Secrets are never settings: they are files under `<home>/<profile>/secrets/`, mode 0600.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from alpr.errors import ConfigurationError

FILE_NAME = "platelake.toml"


class Profile(StrEnum):
    """What is started: `embedded` needs only Java; `full` is what production looks like."""

    EMBEDDED = "embedded"
    FULL = "full"


_AbsolutePath = Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ports(_Group):
    """TCP ports on the loopback address. None is a default of the software itself."""

    kafka: int = 19092
    kafka_controller: int = 19093
    job_server: int = 18099
    flink_rest: int = Field(default=18081, description="embedded: first of eight, one for each job")
    job_manager: int = 18123
    blob_server: int = 18124
    task_manager: int = Field(
        default=18140, description="RPC of task manager 1; the next ones follow"
    )
    flink_metrics: int = Field(
        default=18249, description="first of eight, one for each Flink process"
    )
    minio: int = 19000
    postgres: int = 15433
    trino: int = Field(default=18443, description="SQL, over TLS")
    trino_http: int = Field(default=18444, description="health and metrics; no SQL")

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        taken: dict[int, str] = {}
        for name, port in self.model_dump().items():
            if not 0 < port < 65536:
                raise ValueError(f"port {name} must be 1 to 65535, is {port}")
            if port in taken:
                raise ValueError(f"ports {taken[port]} and {name} are both {port}")
            taken[port] = name
        return self


class Memory(_Group):
    """Memory of each process, MiB of Java heap unless said otherwise."""

    kafka: int = Field(default=512, ge=128)
    job_server: int = Field(default=1024, ge=128, description="embedded: it runs the jobs too")
    job_manager: int = Field(default=512, ge=128)
    task_heap: int = Field(default=512, ge=128, description="for the jobs, in each task manager")
    task_managed: int = Field(default=256, ge=64, description="RocksDB, off the heap")
    task_network: int = Field(default=128, ge=64, description="buffers, off the heap")
    trino: int = Field(default=2048, ge=1024)


class Settings(BaseSettings):
    """All settings; construct through `load` to get this project's errors.

    Raises pydantic.ValidationError on a wrong value or an unknown name.
    """

    model_config = SettingsConfigDict(
        env_prefix="PLATELAKE_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        validate_default=True,
    )

    profile: Profile = Profile.EMBEDDED
    home: _AbsolutePath = Path(".platelake")
    cache: _AbsolutePath = Field(default_factory=lambda: _default_cache())
    ports: Ports = Ports()
    memory: Memory = Memory()
    task_managers: int = Field(default=1, ge=1, le=8)
    task_slots: int = Field(default=4, ge=1, le=64, description="in each task manager")
    trino: bool = Field(default=True, description="full: whether Trino is started, for SQL")
    disk_free_min_mib: int = Field(default=1024, ge=0)
    start_deadline_s: float = Field(default=120.0, gt=0)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over the file, which lies in the home that the others name."""
        del dotenv_settings, file_secret_settings  # two more places would be two too many
        home = init_settings().get("home") or os.environ.get("PLATELAKE_HOME") or ".platelake"
        file = TomlConfigSettingsSource(settings_cls, Path(home).expanduser() / FILE_NAME)
        return init_settings, env_settings, file

    @property
    def state_dir(self) -> Path:
        """Everything this profile keeps: data, logs, secrets, pid files."""
        return self.home / self.profile.value

    @property
    def data_dir(self) -> Path:
        """What the services store."""
        return self.state_dir / "data"

    @property
    def logs_dir(self) -> Path:
        """One file a process."""
        return self.state_dir / "logs"

    @property
    def run_dir(self) -> Path:
        """Pid files, locks and generated configuration."""
        return self.state_dir / "run"

    @property
    def secrets_dir(self) -> Path:
        """Generated credentials, mode 0600 in a folder of mode 0700."""
        return self.state_dir / "secrets"

    @property
    def metrics_dir(self) -> Path:
        """Files that tell Prometheus what to scrape (file service discovery)."""
        return self.state_dir / "metrics"


def load(**flags: Any) -> Settings:
    """Return the settings; flags that are None count as not given.

    Raises ConfigurationError with one line for each wrong value.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        lines = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg']}"
            for item in error.errors()
        )
        raise ConfigurationError(
            f"settings are not valid: {lines}. "
            f"Correct the flag, the PLATELAKE_… variable or {FILE_NAME}"
        ) from error
    except ValueError as error:  # tomllib.TOMLDecodeError names line and column
        raise ConfigurationError(f"{FILE_NAME} is not valid TOML: {error}") from error


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base) / "platelake"
