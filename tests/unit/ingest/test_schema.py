from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingest.codecs import encode, encode_frame
from ingest.schema import FOLDER, documents, main, outdated
from tests.support.records import (
    make_change,
    make_dead_letter,
    make_entry,
    make_frame,
    make_hit,
    make_read,
)


def test_the_published_schemas_are_those_of_the_records() -> None:
    assert outdated() == [], "run `python -m ingest.schema --write` and look at the difference"
    assert sorted(path.name for path in FOLDER.glob("*.json")) == sorted(documents())


def test_a_changed_a_missing_and_a_foreign_file_are_all_found(tmp_path: Path) -> None:
    assert main(["--write", "--folder", str(tmp_path)]) == 0
    assert main(["--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "hits.schema.json").write_text("{}\n")
    (tmp_path / "reads.schema.json").unlink()
    (tmp_path / "plates.schema.json").write_text("{}\n")
    assert outdated(tmp_path) == ["hits.schema.json", "plates.schema.json", "reads.schema.json"]
    assert main(["--check", "--folder", str(tmp_path)]) == 1


def test_patterns_are_in_the_dialect_of_json_schema() -> None:
    assert "(?!" not in json.dumps(documents())


def body(document: dict[str, Any]) -> dict[str, Any]:
    defined: dict[str, Any] = document
    if "$ref" in document:
        defined = document["$defs"][document["$ref"].removeprefix("#/$defs/")]
    return defined


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        ("reads", make_read()),
        ("hits", make_hit()),
        ("hotlist-changes", make_change(make_entry())),
        ("dead-letters", make_dead_letter()),
    ],
)
def test_what_is_sent_has_the_fields_of_its_schema(topic: str, record: Any) -> None:
    schema = body(documents()[f"{topic}.schema.json"])
    sent = json.loads(encode(record))
    assert sent.keys() == schema["properties"].keys()
    assert set(schema["required"]) <= sent.keys()


def test_a_frame_has_the_headers_of_their_schema() -> None:
    schema = documents()["frames.headers.schema.json"]
    _, _, bare = encode_frame(make_frame())
    _, _, full = encode_frame(make_frame(latitude=1.0, longitude=2.0, heading=3.0))
    assert set(schema["required"]) <= {name for name, _ in bare}
    assert {name for name, _ in full} == schema["properties"].keys()
