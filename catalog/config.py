"""Where the lake is: catalogue, warehouse, store. Secrets stay in files of their own."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from alpr.errors import ConfigurationError

_CATALOG_SCHEMES = ("sqlite:///", "postgresql+psycopg2://")
_WAREHOUSE_SCHEMES = ("file", "s3")
_S3_NEEDED = frozenset({"endpoint", "access_key_file", "secret_key_file"})
_S3_READER = frozenset({"reader_access_key_file", "reader_secret_key_file"})
_S3_KEYS = _S3_NEEDED | _S3_READER | {"region"}
_KEYS = frozenset(
    {"catalog_name", "catalog_uri", "catalog_password_file", "warehouse", "retention_file", "s3"}
)


@dataclass(frozen=True)
class S3Config:
    """An S3-compatible store. `endpoint` is a full address, such as http://127.0.0.1:9000.

    The reader's keys, where there are any, are those of a user who cannot write.
    """

    endpoint: str
    access_key_file: Path
    secret_key_file: Path
    region: str = "us-east-1"
    reader_access_key_file: Path | None = None
    reader_secret_key_file: Path | None = None

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
            raise ConfigurationError(
                f"s3.endpoint must look like http://HOST:PORT, not {self.endpoint!r}"
            )
        if (self.reader_access_key_file is None) != (self.reader_secret_key_file is None):
            raise ConfigurationError(
                f"s3 needs both {' and '.join(sorted(_S3_READER))}, or neither"
            )

    @property
    def reader(self) -> S3Config:
        """The store for one who only asks: with the reader's keys, or its own if there are none."""
        if self.reader_access_key_file is None or self.reader_secret_key_file is None:
            return self
        return replace(
            self,
            access_key_file=self.reader_access_key_file,
            secret_key_file=self.reader_secret_key_file,
        )

    @property
    def access_key(self) -> str:
        """The access key, read from its file now (so that a rotated key is picked up)."""
        return read_secret(self.access_key_file)

    @property
    def secret_key(self) -> str:
        """The secret key, read from its file now."""
        return read_secret(self.secret_key_file)

    @property
    def host(self) -> str:
        """`HOST:PORT`, as S3 clients want it."""
        return urlsplit(self.endpoint).netloc

    @property
    def secure(self) -> bool:
        """Whether the store is spoken to over TLS."""
        return urlsplit(self.endpoint).scheme == "https"


@dataclass(frozen=True)
class LakeConfig:
    """One lake.

    `catalog_uri`: sqlite:////abs/path/catalog.db or postgresql+psycopg2://USER@HOST:PORT/DB
    (its password in `catalog_password_file`, never in the address).
    `retention_file`: which agency follows which policy (`catalog.policies`); None: all the
    neutral one.
    `warehouse`: file:///abs/path or s3://BUCKET/PREFIX (then `s3` says where the store is).
    """

    catalog_uri: str
    warehouse: str
    catalog_password_file: Path | None = None
    s3: S3Config | None = None
    catalog_name: str = "platelake"
    retention_file: Path | None = None

    def __post_init__(self) -> None:
        if not self.catalog_uri.startswith(_CATALOG_SCHEMES):
            raise ConfigurationError(
                f"catalog_uri must start with {' or '.join(_CATALOG_SCHEMES)}: {self.catalog_uri!r}"
            )
        if urlsplit(self.catalog_uri).password is not None:
            raise ConfigurationError(
                "catalog_uri must hold no password: put it into a file and name that file in "
                "catalog_password_file"
            )
        parts = urlsplit(self.warehouse)
        if parts.scheme not in _WAREHOUSE_SCHEMES or not parts.path.strip("/"):
            raise ConfigurationError(
                f"warehouse must be file:///FOLDER or s3://BUCKET/PREFIX, not {self.warehouse!r}"
            )
        if self.warehouse.endswith("/"):
            raise ConfigurationError(f"warehouse must not end with a slash: {self.warehouse!r}")
        if any(mark in self.warehouse for mark in "?#%*[]"):
            raise ConfigurationError(
                f"warehouse must not hold ? # % * [ or ], which engines read in different ways: "
                f"{self.warehouse!r}"
            )
        if parts.scheme == "file" and parts.netloc:
            raise ConfigurationError(
                f"warehouse must be an absolute path after file://, not {self.warehouse!r}"
            )
        if parts.scheme == "s3" and (self.s3 is None or not parts.netloc):
            raise ConfigurationError(
                f"warehouse {self.warehouse!r} needs a bucket and an [s3] section"
            )

    @staticmethod
    def load(path: Path) -> LakeConfig:
        """Read a TOML file; ConfigurationError says what is missing, unknown or wrong in it."""
        try:
            document = tomllib.loads(path.read_text("utf-8"))
        except FileNotFoundError as error:
            raise ConfigurationError(f"no lake configuration at {path}: make it first") from error
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} is not a readable TOML file: {error}") from error
        s3 = document.pop("s3", None)
        fields = _strings(path, document, _KEYS - {"s3"}, {"catalog_uri", "warehouse"})
        return LakeConfig(
            catalog_uri=fields["catalog_uri"],
            warehouse=fields["warehouse"],
            catalog_password_file=_optional_path(fields.get("catalog_password_file")),
            catalog_name=fields.get("catalog_name", "platelake"),
            retention_file=_optional_path(fields.get("retention_file")),
            s3=None if s3 is None else _load_s3(path, s3),
        )

    def save(self, path: Path) -> None:
        """Write the TOML file that `load` reads; whole or not at all."""
        lines = [
            _line("catalog_name", self.catalog_name),
            _line("catalog_uri", self.catalog_uri),
            _line("warehouse", self.warehouse),
        ]
        if self.catalog_password_file is not None:
            lines.append(_line("catalog_password_file", str(self.catalog_password_file)))
        if self.retention_file is not None:
            lines.append(_line("retention_file", str(self.retention_file)))
        if self.s3 is not None:
            lines += [
                "",
                "[s3]",
                _line("endpoint", self.s3.endpoint),
                _line("region", self.s3.region),
                _line("access_key_file", str(self.s3.access_key_file)),
                _line("secret_key_file", str(self.s3.secret_key_file)),
            ]
            lines += [
                _line(name, str(file))
                for name in sorted(_S3_READER)
                if (file := getattr(self.s3, name)) is not None
            ]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text("\n".join(lines) + "\n", "utf-8")
        temporary.replace(path)


def read_secret(path: Path) -> str:
    """The one line in a secret's file; ConfigurationError if it is missing or empty."""
    try:
        secret = path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"cannot read the secret file {path}: {error.strerror}") from error
    if not secret:
        raise ConfigurationError(f"the secret file {path} is empty")
    return secret


def _load_s3(path: Path, section: object) -> S3Config:
    if not isinstance(section, dict):
        raise ConfigurationError(f"{path}: s3 must be a section [s3]")
    fields = _strings(path, section, _S3_KEYS, _S3_NEEDED)
    return S3Config(
        endpoint=fields["endpoint"],
        region=fields.get("region", "us-east-1"),
        access_key_file=Path(fields["access_key_file"]),
        secret_key_file=Path(fields["secret_key_file"]),
        reader_access_key_file=_optional_path(fields.get("reader_access_key_file")),
        reader_secret_key_file=_optional_path(fields.get("reader_secret_key_file")),
    )


def _strings(
    path: Path,
    section: dict[str, object],
    known: frozenset[str],
    required: set[str] | frozenset[str],
) -> dict[str, str]:
    if unknown := sorted(section.keys() - known):
        raise ConfigurationError(
            f"{path}: unknown settings {', '.join(unknown)}; known: {', '.join(sorted(known))}"
        )
    if missing := sorted(required - section.keys()):
        raise ConfigurationError(f"{path}: missing settings {', '.join(missing)}")
    fields: dict[str, str] = {}
    for key, value in section.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: {key} must be a text in quotes, not {value!r}")
        fields[key] = value
    return fields


def _optional_path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _line(key: str, value: str) -> str:
    # A JSON string is a TOML basic string, except that TOML has no surrogate pairs and wants
    # DEL escaped.
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{key} = {text}"
