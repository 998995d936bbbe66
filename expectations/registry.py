"""The registry of cameras: which agencies and cameras there are, and where they stand.

A CSV file with a header, one camera a line:

    agency,camera,state,kind,latitude,longitude,service
    northfield-pd,main-st,MN,fixed,44.458,-93.161,in

`state` is the postal code of the state it works in; `latitude` and `longitude` may be empty
for what moves; `service` is `in` or `out` (S4-B2: removed from service until it is repaired),
and `in` if the column is missing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, get_args

from alpr.errors import ConfigurationError
from alpr.places import STATES
from alpr.records import NAME_PATTERN, CameraKind

_REQUIRED: Final = ("agency", "camera", "state", "kind", "latitude", "longitude")
_KNOWN: Final = (*_REQUIRED, "service")
_NAME: Final = re.compile(NAME_PATTERN)


@dataclass(frozen=True)
class RegisteredCamera:
    """One camera; place in WGS 84 degrees, None for what moves."""

    agency: str
    camera: str
    state: str
    kind: CameraKind
    latitude: float | None = None
    longitude: float | None = None
    in_service: bool = True

    def __post_init__(self) -> None:
        for text in (self.agency, self.camera):
            if not _NAME.match(text):
                raise ConfigurationError(
                    f"a name of lower-case letters, digits, dots and dashes is required, "
                    f"not {text!r}"
                )
        if self.state not in STATES:
            raise ConfigurationError(
                f"the postal code of a state is required, such as MA, not {self.state!r}"
            )
        if self.kind not in get_args(CameraKind):
            raise ConfigurationError(
                f"kind must be one of {', '.join(get_args(CameraKind))}, not {self.kind!r}"
            )
        if (self.latitude is None) != (self.longitude is None):
            raise ConfigurationError("latitude and longitude come together or not at all")
        if (
            self.latitude is not None
            and self.longitude is not None
            and not STATES[self.state].holds(self.latitude, self.longitude)
        ):
            raise ConfigurationError(
                f"its place {self.latitude}, {self.longitude} is not in {self.state}: "
                "correct the place or the state"
            )

    @property
    def name(self) -> str:
        """`agency/camera`, as topics and reports name it."""
        return f"{self.agency}/{self.camera}"


@dataclass(frozen=True)
class Registry:
    """All cameras. Raises ConfigurationError if one is there twice, or none at all."""

    cameras: tuple[RegisteredCamera, ...]

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ConfigurationError("a registry without cameras: name at least one")
        names = [camera.name for camera in self.cameras]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ConfigurationError(f"the registry has twice: {', '.join(twice)}")

    @cached_property
    def by_name(self) -> dict[str, RegisteredCamera]:
        """Cameras by `agency/camera`."""
        return {camera.name: camera for camera in self.cameras}

    @cached_property
    def out_of_service(self) -> frozenset[str]:
        """The cameras that are not to be expected to send anything."""
        return frozenset(camera.name for camera in self.cameras if not camera.in_service)


def load_registry(path: Path) -> Registry:
    """Read the CSV file. Raises ConfigurationError that names the line and what is wrong."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise ConfigurationError(f"no registry of cameras at {path}: write one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not a readable text file: {error}") from error
    return parse_registry(lines, str(path))


def parse_registry(lines: Iterable[str], named: str = "registry") -> Registry:
    """As `load_registry`, from lines; `named` is what messages call them."""
    rows = csv.DictReader(lines, strict=True)
    try:
        columns = [column.strip() for column in rows.fieldnames or ()]
        if missing := [column for column in _REQUIRED if column not in columns]:
            raise ConfigurationError(f"the first line must name {', '.join(missing)} too")
        if unknown := [column for column in columns if column not in _KNOWN]:
            raise ConfigurationError(
                f"unknown columns {', '.join(map(repr, unknown))}; known: {', '.join(_KNOWN)}"
            )
        rows.fieldnames = columns
        return Registry(tuple(_camera(row) for row in rows))
    except (ConfigurationError, csv.Error) as error:
        raise ConfigurationError(f"{named}, line {rows.line_num}: {error}") from error


def _camera(row: dict[str, str | None]) -> RegisteredCamera:
    # None as a key: more fields than columns; None as a value: fewer.
    if None in row or None in row.values():
        raise ConfigurationError("a line must have as many fields as the first one")
    given = {name: (text or "").strip() for name, text in row.items()}
    service = given.get("service") or "in"
    if service not in ("in", "out"):
        raise ConfigurationError(f"service must be in or out, not {service!r}")
    return RegisteredCamera(
        agency=given["agency"],
        camera=given["camera"],
        state=given["state"],
        kind=given["kind"],  # type: ignore[arg-type]  # checked by the class itself
        latitude=_degrees(given["latitude"]),
        longitude=_degrees(given["longitude"]),
        in_service=service == "in",
    )


def _degrees(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(f"a decimal number of degrees is required, not {text!r}") from None
