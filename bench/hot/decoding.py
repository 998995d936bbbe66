"""A message to a validated record."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any, Final

from bench.hot import Ways
from bench.traffic import make_messages

_COUNT: Final = 5000


def _ours() -> tuple[Callable[[], object], int]:
    from ingest.codecs import decode_read

    values = make_messages(1, _COUNT, 0.0).values
    return lambda: [decode_read(value) for value in values], _COUNT


def _pydantic() -> tuple[Callable[[], object], int]:
    from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

    name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    share = Annotated[float, Field(ge=0, le=1)]

    class Candidate(BaseModel):
        plate: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
        score: share

    class Read(BaseModel):
        model_config = ConfigDict(frozen=True)
        read_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
        agency: name
        camera: name
        captured_at: AwareDatetime
        received_at: AwareDatetime
        plate: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
        plate_raw: Annotated[str, Field(max_length=32)]
        confidence: share
        state: Annotated[str, Field(pattern=r"^[A-Z]{2,3}$")] | None = None
        state_confidence: share | None = None
        candidates: tuple[Candidate, ...] = ()
        latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
        longitude: Annotated[float, Field(ge=-180, le=180)] | None = None
        heading: Annotated[float, Field(ge=0, lt=360)] | None = None
        source: name
        source_version: Annotated[str, Field(max_length=64)]
        source_id: Annotated[str, Field(max_length=128)]
        frames: Annotated[int, Field(ge=1)] = 1
        retention_class: name = "default"
        crop: bytes | None = None
        overview: bytes | None = None
        schema_version: Annotated[int, Field(ge=1, le=1)] = 1

    values = make_messages(1, _COUNT, 0.0).values
    return lambda: [Read.model_validate_json(value) for value in values], _COUNT


def _jsonschema() -> tuple[Callable[[], object], int]:
    from jsonschema import Draft202012Validator

    schema: dict[str, Any] = json.loads(
        (files("ingest") / "schemas" / "reads.schema.json").read_text()
    )
    validator = Draft202012Validator(schema)
    values = make_messages(1, _COUNT // 10, 0.0).values

    def work() -> None:
        for value in values:
            read = json.loads(value)
            validator.validate(read)
            datetime.fromisoformat(read["captured_at"])
            datetime.fromisoformat(read["received_at"])

    return work, len(values)


STEPS: Final[tuple[tuple[str, str, Ways], ...]] = (
    (
        "decode",
        "read",
        {
            "decode_read (msgspec)": _ours,
            "pydantic": _pydantic,
            "json + jsonschema": _jsonschema,
        },
    ),
)
