"""Configuration: what is read back, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import ConfigurationError
from catalog.config import LakeConfig, S3Config, read_secret

LOCAL = LakeConfig("sqlite:////var/lib/catalog.db", "file:///var/lib/lake")
S3 = LakeConfig(
    "postgresql+psycopg2://platelake@127.0.0.1:5432/platelake",
    "s3://lake/wh",
    catalog_password_file=Path("/secrets/postgres"),
    s3=S3Config("http://127.0.0.1:9000", Path("/secrets/user"), Path("/secrets/key")),
)
WITH_READER = LakeConfig(
    S3.catalog_uri,
    S3.warehouse,
    s3=S3Config(
        "http://127.0.0.1:9000",
        *(Path("/secrets/user"), Path("/secrets/key"), "us-east-2"),
        *(Path("/secrets/reader"), Path("/secrets/reader-key")),
    ),
)


@pytest.mark.parametrize("config", [LOCAL, S3, WITH_READER])
def test_saved_configuration_is_read_back(config: LakeConfig, tmp_path: Path) -> None:
    config.save(tmp_path / "new" / "lake.toml")
    assert LakeConfig.load(tmp_path / "new" / "lake.toml") == config


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_survives_the_file(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("config") / "lake.toml"
    config = LakeConfig(LOCAL.catalog_uri, LOCAL.warehouse, catalog_name=name)
    config.save(path)
    assert LakeConfig.load(path) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing settings catalog_uri, warehouse"),
        ("warehouse = ", "not a readable TOML file"),
        ("catalog_uri = 1\nwarehouse = 'x'", "catalog_uri must be a text"),
        ("catalog_uri = 'x'\nwarehouse = 'x'\ncolour = 'red'", "unknown settings colour"),
        ("catalog_uri = 'mysql://x'\nwarehouse = 'file:///x'", "must start with"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = '/x'", "warehouse must be"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = 'file:///x/'", "end with a slash"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = 'file:///x?y'", "must not hold"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = 'file://x/y'", "absolute path"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = 's3://x/y'", r"needs a bucket and an \[s3\]"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = 's3://x/y'\ns3 = 'z'", "must be a section"),
        ("catalog_uri = 'sqlite:////x'\nwarehouse = 's3://x/y'\n[s3]\n", "missing settings access"),
        ("catalog_uri = 'postgresql+psycopg2://a:b@c/d'\nwarehouse = 'file:///x'", "no password"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "lake.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        LakeConfig.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no lake configuration"):
        LakeConfig.load(tmp_path / "none.toml")


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9000", "ftp://x", "http://", "http://x/y"])
def test_an_endpoint_is_a_full_address(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="http://HOST:PORT"):
        S3Config(endpoint, Path("a"), Path("b"))


def test_secrets_come_from_files(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(ConfigurationError, match="cannot read the secret file"):
        read_secret(file)
    file.write_text("\n")
    with pytest.raises(ConfigurationError, match="is empty"):
        read_secret(file)
    file.write_text("word\n")
    assert read_secret(file) == "word"
    assert "word" not in repr(S3Config("http://x:1", file, file))


def test_who_only_asks_gets_the_readers_keys() -> None:
    assert WITH_READER.s3 is not None
    reader = WITH_READER.s3.reader
    assert (reader.access_key_file.name, reader.secret_key_file.name) == ("reader", "reader-key")
    assert (reader.endpoint, reader.region) == (WITH_READER.s3.endpoint, "us-east-2")
    assert S3.s3 is not None
    assert S3.s3.reader == S3.s3
    with pytest.raises(ConfigurationError, match="or neither"):
        S3Config("http://x:1", Path("a"), Path("b"), reader_access_key_file=Path("c"))
