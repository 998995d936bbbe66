"""Policies as files: those of the package, the state's own, and which agency follows which.

An installation's retention file names the policy of each agency:

    default = "neutral"
    policy_folder = "policies"      # optional: the state's own, beside this file

    [agencies]
    northfield-pd = "billerica"

Policies of the package are always known, so that rows of a class stay readable and expire by
its rule after their agency has changed its policy.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec

from alpr.errors import ConfigurationError
from alpr.policy import Changed, Choices, Policy, directed_classes, parse_choices, parse_policy
from alpr.records import Name
from alpr.retention import Retention

NEUTRAL: Final = "neutral"

_FIRST: Final = f"""\
# Which agency follows which policy: see docs/retention.md, and `platelake agency policies`.
# `platelake agency set` writes here; what you write yourself stays. Jobs read it when they start.
default = "{NEUTRAL}"

[agencies]
"""
_TABLE = re.compile(r"^\s*\[")
_AGENCIES = re.compile(r"^\s*\[\s*agencies\s*\]\s*(#.*)?$")


@dataclass(frozen=True)
class Policies:
    """Every known policy by its name, and what the installation's retention file chooses."""

    known: Mapping[str, Policy]
    choices: Choices
    origin: str = "the retention file"

    def __post_init__(self) -> None:
        chosen = [("every other agency", self.choices.default), *self.choices.agencies.items()]
        for who, policy in chosen:
            if policy not in self.known:
                raise ConfigurationError(
                    f"{self.origin}: no policy {policy!r} is known, which {who} is to follow; "
                    f"there are {', '.join(sorted(self.known))}"
                )

    def policy_of(self, agency: str) -> Policy:
        """The policy that an agency follows."""
        return self.known[self.choices.agencies.get(agency, self.choices.default)]

    @cached_property
    def retention(self) -> Retention:
        """The classes of all policies, and of which records. Raises ConfigurationError."""
        return Retention(
            {name: policy.classes for name, policy in self.known.items()},
            self.choices.agencies,
            self.choices.default,
            directed_classes(self.choices, self.known, self.origin),
        )


def load_policies(file: Path | None) -> Policies:
    """The policies that a retention file knows and chooses; None: every agency the neutral one.

    Raises ConfigurationError for a file that is missing, unreadable, or contradicts itself.
    """
    if file is None:
        return Policies(_shipped(), Choices(default=NEUTRAL))
    text = _read(file)
    return _policies(file, text)


def load_retention(file: Path | None) -> Retention:
    """What a retention file says. Raises as `load_policies`."""
    return load_policies(file).retention


def write_first(file: Path) -> bool:
    """Write a retention file that puts every agency under the neutral policy.

    False if there is one: what an installation has chosen is never overwritten.
    """
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file):
        if file.exists():
            return False
        _replace(file, _FIRST)
    return True


def set_policy(
    file: Path, agency: str, policy: str, *, by: str, reason: str, at: datetime
) -> tuple[Policies, Policies]:
    """Put an agency under a policy; what the file said before and says now.

    The change stays in the file, with who made it, when and why. All else in it, comments too,
    stays as it is; the file is replaced whole or not at all. Raises ConfigurationError for an
    unknown policy, a name that no agency can have, or a file in which the place to write to
    cannot be told.
    """
    with _locked(file):
        text = _read(file)
        before = _policies(file, text)
        if policy not in before.known:
            raise ConfigurationError(
                f"no policy {policy!r} is known; there are {', '.join(sorted(before.known))}"
            )
        change = _checked(
            Changed(
                agency=agency,
                policy=policy,
                before=before.choices.agencies.get(agency, ""),
                reason=reason,
                by=by,
                at=at.astimezone(UTC),
            )
        )
        edited = _with_change(_with_agency(text, agency, policy), change)
        wanted = msgspec.structs.replace(
            before.choices,
            agencies={**before.choices.agencies, agency: policy},
            changed=(*before.choices.changed, change),
        )
        after = _policies(file, edited) if _says(edited, wanted) else None
        if after is None:
            raise ConfigurationError(
                f"{file} is written in a way that cannot be changed safely: write "
                f'`{agency} = "{policy}"` below [agencies] yourself'
            )
        _ = after.retention  # a direction that the new policy does not allow is refused here
        _replace(file, edited)
    return before, after


@cache
def _shipped() -> Mapping[str, Policy]:
    texts = {
        each.name: each.read_text("utf-8")
        for each in files("policies").iterdir()
        if each.name.endswith(".toml")
    }
    return _parse({f"policies/{name}": text for name, text in sorted(texts.items())})


def _policies(file: Path, text: str) -> Policies:
    choices = parse_choices(text, str(file))
    known = dict(_shipped())
    if choices.policy_folder is not None:
        folder = file.parent / choices.policy_folder
        if not folder.is_dir():
            raise ConfigurationError(f"{file}: policy_folder must be a folder, {folder} is none")
        own = {str(path): _read(path) for path in sorted(folder.glob("*.toml"))}
        for name, policy in _parse(own).items():
            if name in known:
                raise ConfigurationError(
                    f"{folder / name}.toml: a policy {name!r} comes with the platform: take "
                    "another name, so that nobody takes one for the other"
                )
            known[name] = policy
    return Policies(known, choices, str(file))


def _parse(texts: Mapping[str, str]) -> dict[str, Policy]:
    """Policies by name, from texts by address. Raises ConfigurationError."""
    found: dict[str, Policy] = {}
    for origin, text in texts.items():
        policy = parse_policy(text, origin)
        if policy.name != Path(origin).stem:
            raise ConfigurationError(
                f"{origin}: its name must be that of the file, not {policy.name!r}"
            )
        found[policy.name] = policy
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"no file {file}: put it back, or name another as retention_file in the lake's file"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} is not readable: {error}") from error


def _with_agency(text: str, agency: str, policy: str) -> str:
    """The text with the agency's line changed, or put at the end of [agencies]."""
    lines = text.rstrip("\n").split("\n")  # not splitlines, for which U+0085 ends a line too
    line = f"{_key(agency)} = {_quoted(policy)}"
    start = next((n for n, each in enumerate(lines) if _AGENCIES.match(each)), None)
    if start is None:
        # Before the first table: what follows a table's head belongs to it.
        first = next((n for n, each in enumerate(lines) if _TABLE.match(each)), len(lines))
        return "\n".join([*lines[:first], "[agencies]", line, "", *lines[first:]]) + "\n"
    end = next((n for n in range(start + 1, len(lines)) if _TABLE.match(lines[n])), len(lines))
    own = re.compile(rf"""^\s*(["']?){re.escape(agency)}\1\s*=""")
    for number in range(start + 1, end):
        if own.match(lines[number]):
            lines[number] = line
            break
    else:
        while end > start + 1 and not lines[end - 1].strip():
            end -= 1
        lines.insert(end, line)
    return "\n".join(lines) + "\n"


def _with_change(text: str, change: Changed) -> str:
    lines = [
        "",
        "[[changed]]",
        *(
            f"{name} = {_quoted(getattr(change, name))}"
            for name in ("agency", "policy", "before", "reason", "by")
        ),
        f"at = {change.at.isoformat()}",
    ]
    return text.rstrip("\n") + "\n" + "\n".join(lines) + "\n"


def _says(text: str, wanted: Choices) -> bool:
    try:
        text.encode()
        return parse_choices(text, "") == wanted
    except (ConfigurationError, UnicodeEncodeError):
        return False


def _checked(change: Changed) -> Changed:
    # Structs check their fields only on decoding.
    try:
        checked = msgspec.convert(msgspec.to_builtins(change), Changed)
        msgspec.convert(change.agency, Name)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"the change cannot be recorded: {error}") from error
    return checked


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    # TOML's basic strings take JSON's escapes, but not a bare DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Two people who change the file at once take turns."""
    with file.with_name(f".{file.name}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _replace(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with part.open("x", encoding="utf-8") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        if file.exists():
            part.chmod(file.stat().st_mode & 0o777)
        part.replace(file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)
