"""What each topic carries, published as JSON Schema for those who write or read it.

The documents under `schemas/` are made from the records, so they cannot say
anything else than the decoders check: `python -m ingest.schema --write` makes
them, `--check` compares (exit code 1 if they differ).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from alpr.records import SCHEMA_VERSION, DeadLetter, Frame, Hit, HotlistChange, Read
from ingest.codecs import MAX_FRAME_BYTES
from ingest.topics import DEAD_LETTERS, FRAMES, HITS, HOTLIST_CHANGES, READS

FOLDER: Final = Path(__file__).parent / "schemas"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_RECORDS: Final[dict[str, type[msgspec.Struct]]] = {
    READS: Read,
    HITS: Hit,
    HOTLIST_CHANGES: HotlistChange,
    DEAD_LETTERS: DeadLetter,
}
_PYTHON_ONLY: Final = r"(?!\n)"


def documents() -> dict[str, dict[str, Any]]:
    """File name -> JSON Schema document (draft 2020-12), one for each topic."""
    made = {
        f"{topic}.schema.json": _headed(topic, msgspec.json.schema(record))
        for topic, record in _RECORDS.items()
    }
    return made | {f"{FRAMES}.headers.schema.json": _frame_headers()}


def _headed(topic: str, body: dict[str, Any]) -> dict[str, Any]:
    head = {"$schema": _DIALECT, "$id": f"urn:platelake:{topic}:v{SCHEMA_VERSION}"}
    portable: dict[str, Any] = _portable(head | body)
    return portable


def _portable(node: Any) -> Any:
    """Patterns as JSON Schema's own dialect (ECMA 262) wants them: there `$` is only the end."""
    if isinstance(node, dict):
        return {
            key: value.replace(_PYTHON_ONLY, "") if key == "pattern" else _portable(value)
            for key, value in node.items()
        }
    return [_portable(item) for item in node] if isinstance(node, list) else node


def _frame_headers() -> dict[str, Any]:
    frame = msgspec.json.schema(Frame)["$defs"]["Frame"]
    return _headed(
        f"{FRAMES}:headers",
        {
            "title": "Headers of a frame",
            "description": (
                "The headers of a message of topic frames, one property a header. A header's "
                "value is the UTF-8 text of the property: a number in decimals, a time as in "
                "RFC 3339. What is not known gets no header. The message's key is agency/camera, "
                f"its value the JPEG, up to {MAX_FRAME_BYTES} bytes."
            ),
            "type": "object",
            "properties": {
                name: _without_null(field)
                for name, field in frame["properties"].items()
                if name != "jpeg"
            },
            "required": [name for name in frame["required"] if name != "jpeg"],
        },
    )


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" not in field:
        return field
    (only,) = (option for option in field["anyOf"] if option != {"type": "null"})
    return dict(only)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"


def outdated(folder: Path = FOLDER) -> list[str]:
    """Names of the files in `folder` that are not as they should be, missing ones too."""
    wanted = {name: _text(document) for name, document in documents().items()}
    present = {path.name: path.read_text() for path in folder.glob("*.json")}
    return sorted(name for name in wanted | present if wanted.get(name) != present.get(name))


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check the published schemas; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m ingest.schema", description="The JSON Schema of each topic."
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="make the published files anew")
    action.add_argument("--check", action="store_true", help="exit with 1 if they are outdated")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where they are")
    arguments = parser.parse_args(argv)
    if arguments.write:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for name, document in documents().items():
            (arguments.folder / name).write_text(_text(document))
        return 0
    differing = outdated(arguments.folder)
    for name in differing:
        print(f"{name} is outdated: run `python -m ingest.schema --write`", file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
