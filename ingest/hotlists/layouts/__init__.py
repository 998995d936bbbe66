"""How each source writes its list: one TOML file a layout, none of them code.

A layout says where the fields lie, what the source's letters mean, and how its
files begin and end. Letters are mapped per layout because sources use the same
letter for different things. What no layout names is not read: names, births,
addresses, phone and licence numbers and remarks stay in the source's file.

A layout of one's own (a saved field template) is a file of the same kind.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from alpr.errors import ConfigurationError
from alpr.records import NAME_PATTERN, Category

FOLDER: Final = Path(__file__).parent
CATEGORIES: Final = frozenset(get_args(Category))

Target = Literal[
    "plate",
    "state",
    "category",
    "category_raw",
    "record",
    "valid_from",
    "valid_to",
    "agency",
    "case_number",
    "reason",
    "priority",
    "action",
    "vehicle",
    "vehicle_year",
    "vehicle_make",
    "vehicle_model",
    "vehicle_style",
    "vehicle_color",
]
"""What a field of a source can become."""
TARGETS: Final = frozenset(get_args(Target))
VEHICLE: Final = tuple(name for name in get_args(Target) if name.startswith("vehicle"))


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a field lies: in a column (by number from 0, or by name), in a slice, or in both."""

    column: int | str | tuple[str, ...] | None = None
    """JSON: a path (`Vehicle.Make`), or several of which the first that is there counts."""
    slice: tuple[Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=1)]] | None = None
    """Characters [begin, end) of the line, or of the column."""


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A declared layout."""

    name: Annotated[str, Meta(pattern=NAME_PATTERN)]
    title: str
    kind: Literal["fixed", "delimited", "json"]
    fields: dict[str, Field]
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    columns: Annotated[int, Meta(ge=1)] | None = None
    """Delimited: how many columns a row has; None where the header says it."""
    rest: bool = False
    """Delimited: the last column holds whatever follows, delimiters included."""
    multiline: bool = False
    """Delimited: a quoted field may go on over several lines."""
    min_width: Annotated[int, Meta(ge=1)] = 1
    """Fixed: a shorter line was cut off."""
    header: Literal["none", "optional", "names"] | str = "none"
    """`optional`: a first line that is no entry is taken for one. `names`: it names the columns.
    Anything else: a regular expression that the first line must match; a group `issued` in it is
    the moment when the source made the list."""
    issued_format: str | None = None
    footer: str | None = None
    """A regular expression that the last line must match; its group `count` tells the rows."""
    fallback_encoding: Literal["latin-1"] | None = None
    """How lines that are not UTF-8 are read; without it they are rejected."""
    dates: tuple[str, ...] = ("iso",)
    """Formats of times, tried in this order: `iso` (RFC 3339, or only its date) or strptime's."""
    no_date: tuple[str, ...] = ()
    """Texts that stand for no date."""
    timezone: str = "UTC"
    """The zone of times that name none."""
    zero_is_o: bool = False
    """The source writes the letter O as zero in states (NCIC: `0H`)."""
    vehicle_only_for: tuple[str, ...] = ()
    """Of these categories alone the vehicle's columns are read: elsewhere they hold a person."""
    category: Category | None = None
    """The category of every row, where the layout has no field for it."""
    categories: dict[str, Category] = {}
    """The source's letters or words (upper case) and what they mean."""
    patterns: dict[str, str] = {}
    """Regular expressions that whole fields must match (RE2), where a row that lost a character
    would put a person's name or number into one."""
    actions: dict[str, Literal["add", "remove"]] = {}
    required: tuple[str, ...] = ("plate",)
    """Fields without which a row is rejected."""
    example: str = ""
    """A file of this layout with made-up plates, which the tests read."""

    def __post_init__(self) -> None:
        unknown = sorted(self.fields.keys() - TARGETS)
        if unknown:
            raise ValueError(f"no such fields: {', '.join(unknown)}; there are {_listed(TARGETS)}")
        if "plate" not in self.fields:
            raise ValueError("a field `plate` is required")
        for name, field in self.fields.items():
            if self.kind == "fixed" and (field.slice is None or field.column is not None):
                raise ValueError(f"{name}: a slice [begin, end] is required in a fixed layout")
            if self.kind != "fixed" and field.column is None:
                raise ValueError(f"{name}: a column is required in a {self.kind} layout")
            if field.slice is not None and field.slice[0] >= field.slice[1]:
                raise ValueError(f"{name}: the slice must end behind its beginning")
            if self.kind == "delimited" and not isinstance(field.column, int | str):
                raise ValueError(f"{name}: one column is required in a delimited layout")
            if self.kind == "delimited" and (self.header == "names") == isinstance(
                field.column, int
            ):
                raise ValueError(
                    f"{name}: columns are named where the header names them (header = "
                    '"names"), and numbered elsewhere'
                )
        if self.kind == "delimited" and self.header != "names" and self.columns is None:
            raise ValueError("`columns`, how many a row has, is required without a header")
        for pattern in (
            *self.patterns.values(),
            self.footer,
            None if self.header in _HEADERS else self.header,
        ):
            if pattern is not None:
                _ = re.compile(pattern)
        if "action" in self.fields and not self.actions:
            raise ValueError("`actions`, what the texts of field `action` mean, is required")
        if set(self.patterns) - self.fields.keys():
            raise ValueError("a field with a pattern must be among the fields")
        if set(self.required) - self.fields.keys():
            raise ValueError("a required field must be among the fields")
        check_zone(self.timezone)

    @property
    def code_length(self) -> int:
        """Up to how many characters an unknown category is a code, and may be told.

        Where categories are words, an unknown one may be anything that a broken row put there.
        """
        longest = max(map(len, self.categories), default=0)
        return longest if longest <= MAX_CODE else 0

    @property
    def header_pattern(self) -> re.Pattern[str] | None:
        """What the first line must match, if anything."""
        return None if self.header in _HEADERS else re.compile(self.header)


def check_zone(name: str) -> None:
    """Raises ValueError unless there is a time zone of this name."""
    try:
        _ = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"no such time zone: {name}") from None


MAX_CODE: Final = 4
_HEADERS: Final = ("none", "optional", "names")


def layout_names() -> list[str]:
    """The layouts that come with the platform."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def builtin(name: str) -> Layout:
    """One of them. Raises ConfigurationError if there is none of the name."""
    if name not in layout_names():
        raise ConfigurationError(
            f"no layout {name!r}; there are {_listed(layout_names())}: name one of them, or the "
            "TOML file of one of your own"
        )
    return read_layout(FOLDER / f"{name}.toml")


def read_layout(path: Path) -> Layout:
    """A layout from its file; `extends` names one that comes with the platform.

    Tables `fields` are merged with those of the extended layout; everything else replaces it.
    Raises ConfigurationError.
    """
    try:
        return msgspec.convert(_expanded(_document(path)), Layout)
    except (msgspec.ValidationError, ValueError, re.error) as error:
        raise ConfigurationError(f"{path.name} is no layout: {error}") from error


def _document(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"a layout was required in {path}, there is no file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path.name} is no layout: {error}") from error
    base = document.pop("extends", None)
    if base is None:
        return document
    if base not in layout_names():
        raise ConfigurationError(f"{path.name} extends {base!r}, which does not exist")
    inherited = _document(FOLDER / f"{base}.toml")
    fields = inherited.get("fields", {}) | document.get("fields", {})
    kept = {name: field for name, field in fields.items() if field is not False}
    return inherited | document | {"fields": kept}


def _expanded(document: dict[str, Any]) -> dict[str, Any]:
    """Short forms written out: `[0, 10]`, `3`, `"Plate"`, `["Make", "Vehicle.Make"]`."""
    fields = document.get("fields")
    if not isinstance(fields, Mapping):
        return document
    return document | {"fields": {name: _field(spec) for name, spec in fields.items()}}


def _field(spec: Any) -> Any:
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return {"slice": spec} if all(isinstance(part, int) for part in spec) else {"column": spec}
    return spec if isinstance(spec, Mapping) else {"column": spec}


def _listed(names: Sequence[str] | frozenset[str]) -> str:
    return ", ".join(sorted(names))
