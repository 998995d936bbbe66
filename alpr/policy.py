"""A policy as its file says it: classes, bounds and holds, each with the clause it comes from.

A policy file is refused unless every kind of record has exactly one end for every source, and
every class says both bounds: a period, or that the policy states none. A minimum is not a
maximum, and a key left out is not an answer.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from alpr.errors import BadInput, ConfigurationError
from alpr.holds import HoldKind, Line, Words
from alpr.records import Instant, Name
from alpr.retention import KINDS, Kind, Period, RetentionClass

NONE_STATED: Final = "none stated"
"""What a file writes for a bound that its policy does not set."""

HoldEnd = Literal[
    "disposition", "case-file", "no-longer-evidence", "directed", "renewable", "none-stated"
]
"""What ends a hold: the case's final disposition or the conclusion of its investigation; the
period of the case file it lies in; that it is no longer reasonable to believe it will be
evidence; a direction; its last day unless it is renewed; nothing that the policy names."""

HOLD_ENDS: Final[tuple[HoldEnd, ...]] = get_args(HoldEnd)

_Key = Annotated[str, Meta(pattern=r"^[A-Z][A-Za-z0-9]{0,15}(?!\n)$")]
_Source = Annotated[str, Meta(pattern=r"^[a-z0-9._*?-]{1,64}(?!\n)$")]
_Sources = Annotated[tuple[_Source, ...], Meta(min_length=1)]
_Kinds = Annotated[tuple[Kind, ...], Meta(min_length=1)]
_FileT = TypeVar("_FileT", bound=msgspec.Struct)


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a file; every key is required unless it has a default."""


class _ClassTable(_Table, frozen=True, kw_only=True):
    name: Name
    records: _Kinds
    sources: _Sources
    keep: str
    keep_clause: Line
    minimum: str
    minimum_clause: Line
    maximum: str
    maximum_clause: Line
    why: Words


class _HoldTable(_Table, frozen=True, kw_only=True):
    kind: HoldKind
    ends: HoldEnd
    lasts: str
    clause: Line
    why: Words


class _PolicyFile(_Table, frozen=True, kw_only=True):
    name: Name
    title: Line
    zone: str
    documents: Annotated[dict[_Key, Words], Meta(min_length=1)]
    classes: Annotated[tuple[_ClassTable, ...], Meta(min_length=1)] = msgspec.field(name="class")
    holds: tuple[_HoldTable, ...] = msgspec.field(name="hold", default=())


@dataclass(frozen=True)
class HoldRule:
    """One reason for which a policy lets records outlive their class (`alpr.holds`).

    `lasts`: how long one such hold may be in force without being renewed; None: not stated.
    """

    kind: HoldKind
    ends: HoldEnd
    lasts: Period | None
    clause: str
    why: str


@dataclass(frozen=True)
class Policy:
    """What one policy says about retention. `documents`: what the keys of its clauses stand for."""

    name: str
    title: str
    zone: str
    documents: Mapping[str, str]
    classes: tuple[RetentionClass, ...]
    holds: tuple[HoldRule, ...]

    @property
    def direction(self) -> HoldRule | None:
        """By which rule its administrator may direct another period; None: by none."""
        return next((rule for rule in self.holds if rule.kind == "directed"), None)


class Directed(_Table, frozen=True, kw_only=True):
    """Records of an agency that its administrator put into a class of their own (S1-CP7b.v)."""

    agency: Name
    name: Name
    records: _Kinds
    sources: _Sources
    keep: str
    reason: Words
    by: Line
    on: date


class Changed(_Table, frozen=True, kw_only=True):
    """An agency was given another policy; `before` is empty where it followed the default."""

    agency: Name
    policy: Name
    before: Annotated[str, Meta(max_length=64)]
    reason: Words
    by: Line
    at: Instant


class Choices(_Table, frozen=True, kw_only=True):
    """A retention file: who follows which policy, who directed what, who changed it.

    `policy_folder`: where the state's own policy files lie, from the retention file's folder.
    """

    default: Name
    policy_folder: str | None = None
    agencies: dict[Name, Name] = {}
    directed: tuple[Directed, ...] = ()
    changed: tuple[Changed, ...] = ()


def parse_policy(text: str, origin: str) -> Policy:
    """A policy from its file's text. Raises ConfigurationError, naming `origin` and the clauses."""
    file = _decode(text, origin, _PolicyFile)
    policy = Policy(
        name=file.name,
        title=file.title,
        zone=file.zone,
        documents=file.documents,
        classes=tuple(_class(each, file, origin) for each in file.classes),
        holds=tuple(_hold(each, file, origin) for each in file.holds),
    )
    _check_names(policy, origin)
    for kind in KINDS:
        _check_ends(kind, [each for each in policy.classes if kind in each.records], origin)
    _check_holds(policy, origin)
    return policy


def hold_rule(policies: Iterable[Policy], kind: HoldKind, clause: str = "") -> HoldRule | None:
    """By which rule records of these policies may be held; None: none of them states any hold.

    `clause`: which of the rules for this kind is meant; empty: the only one. Of rules that differ
    in nothing but how long they last, the shortest. Raises BadInput (`bad-hold`) where a policy
    does not know the kind or the clause, or more than one clause could be meant.
    """
    stated = [policy for policy in policies if policy.holds]
    rules = [rule for policy in stated for rule in _rules_for(policy, kind, clause)]
    clauses = sorted({rule.clause for rule in rules})
    if len(clauses) > 1:
        raise BadInput(
            "bad-hold",
            f"a hold of kind {kind} can be made by {' or '.join(clauses)}: name one of them "
            "(--clause), and hold records of agencies with different policies apart",
        )
    return min(
        rules, key=lambda rule: math.inf if rule.lasts is None else rule.lasts.longest, default=None
    )


def _rules_for(policy: Policy, kind: HoldKind, clause: str) -> list[HoldRule]:
    of_kind = [rule for rule in policy.holds if rule.kind == kind]
    if not of_kind:
        known = sorted({rule.kind for rule in policy.holds})
        raise BadInput(
            "bad-hold",
            f"policy {policy.name} knows no hold of kind {kind}: it knows {', '.join(known)}",
        )
    found = [rule for rule in of_kind if clause in ("", rule.clause)]
    if not found:
        raise BadInput(
            "bad-hold",
            f"policy {policy.name} has no hold of kind {kind} by clause {clause!r}: it has "
            f"{', '.join(rule.clause for rule in of_kind)}",
        )
    return found


def parse_choices(text: str, origin: str) -> Choices:
    """A retention file from its text. Raises ConfigurationError, naming `origin`."""
    return _decode(text, origin, Choices)


def directed_classes(
    choices: Choices, policies: Mapping[str, Policy], origin: str
) -> dict[str, tuple[RetentionClass, ...]]:
    """Per agency the classes that its administrator directed, in the file's order.

    Raises ConfigurationError if the agency's policy allows no direction, or two directions are
    for the same records.
    """
    found: dict[str, list[RetentionClass]] = {}
    for each in choices.directed:
        policy = policies[choices.agencies.get(each.agency, choices.default)]
        if policy.direction is None:
            raise ConfigurationError(
                f"{origin}: {each.agency} follows policy {policy.name}, which lets nobody direct "
                f"another period: take its class {each.name} out, or name a policy that does"
            )
        found.setdefault(each.agency, []).append(
            RetentionClass(
                name=each.name,
                policy=policy.name,
                records=frozenset(each.records),
                keep=_period(each.keep, origin, f"class {each.name}"),
                zone=policy.zone,
                clause=policy.direction.clause,
                why=f"{each.reason} (directed by {each.by} on {each.on})",
                sources=_patterns(each.sources),
            )
        )
    for agency, classes in found.items():
        for first, second, kind in _pairs(classes):
            if _meet(first.sources, second.sources):
                raise ConfigurationError(
                    f"{origin}: {kind}s of {agency} are directed into both {first.name} "
                    f"({first.why}) and {second.name} ({second.why}): take one out"
                )
    return {agency: tuple(classes) for agency, classes in found.items()}


def patterns_meet(one: str, other: str) -> bool:
    """Whether some text matches both patterns of `*` (any text) and `?` (one character)."""
    reached = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if i == len(one) and j == len(other):
            return True
        for step in _steps(one, i, other, j):
            if step not in reached:
                reached.add(step)
                todo.append(step)
    return False


def _steps(one: str, i: int, other: str, j: int) -> Iterator[tuple[int, int]]:
    a, b = one[i : i + 1], other[j : j + 1]
    if a == "*":
        yield i + 1, j
    if b == "*":
        yield i, j + 1
    if a and b and (a in "*?" or b in "*?" or a == b):
        # A star may go on after the character that both have here.
        yield (i if a == "*" else i + 1), (j if b == "*" else j + 1)


def _decode(text: str, origin: str, kind: type[_FileT]) -> _FileT:
    try:
        return msgspec.convert(tomllib.loads(text), kind)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{origin} is not valid TOML: {error}") from error
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigurationError(f"{origin}: {error}") from error


def _class(table: _ClassTable, file: _PolicyFile, origin: str) -> RetentionClass:
    what = f"class {table.name}"
    for clause in (table.keep_clause, table.minimum_clause, table.maximum_clause):
        _check_clause(clause, file, origin, what)
    keep = _period(table.keep, origin, what)
    minimum = _bound(table.minimum, origin, what)
    maximum = _bound(table.maximum, origin, what)
    try:
        return RetentionClass(
            name=table.name,
            policy=file.name,
            records=frozenset(table.records),
            keep=keep,
            zone=file.zone,
            clause=table.keep_clause,
            why=table.why,
            minimum=minimum,
            maximum=maximum,
            sources=_patterns(table.sources),
            minimum_clause=table.minimum_clause,
            maximum_clause=table.maximum_clause,
        )
    except ConfigurationError as error:
        raise ConfigurationError(f"{origin}: {error}") from error


def _hold(table: _HoldTable, file: _PolicyFile, origin: str) -> HoldRule:
    what = f"hold {table.kind}"
    _check_clause(table.clause, file, origin, what)
    lasts = _bound(table.lasts, origin, what)
    if table.ends == "renewable" and lasts is None:
        raise ConfigurationError(
            f"{origin}: {what} ({table.clause}) is renewable, so `lasts` must say after how long"
        )
    return HoldRule(table.kind, table.ends, lasts, table.clause, table.why)


def _period(text: str, origin: str, what: str) -> Period:
    try:
        return Period.parse(text)
    except ConfigurationError as error:
        raise ConfigurationError(f"{origin}: {what}: {error}") from error


def _bound(text: str, origin: str, what: str) -> Period | None:
    return None if text == NONE_STATED else _period(text, origin, f'{what} (or "{NONE_STATED}")')


def _patterns(sources: Iterable[str]) -> tuple[str, ...]:
    """As a class has them: none at all where one of them matches everything."""
    patterns = tuple(sources)
    return () if any(set(each) == {"*"} for each in patterns) else patterns


def _check_clause(clause: str, file: _PolicyFile, origin: str, what: str) -> None:
    for key in file.documents:
        if clause == key or clause.startswith((f"{key}-", f"{key} ")):
            return
    raise ConfigurationError(
        f"{origin}: {what} cites {clause!r}, which begins with none of the keys in [documents] "
        f"({', '.join(file.documents)})"
    )


def _check_names(policy: Policy, origin: str) -> None:
    first: dict[str, RetentionClass] = {}
    for each in policy.classes:
        if (known := first.setdefault(each.name, each)) is not each:
            raise ConfigurationError(
                f"{origin}: two classes are named {each.name} ({known.clause} and {each.clause})"
            )


def _check_ends(kind: Kind, classes: list[RetentionClass], origin: str) -> None:
    """Every source must have one class: those that name theirs, then the one for all others."""
    for first, second, of in _pairs(classes):
        if of == kind and (not first.sources or _meet(first.sources, second.sources)):
            raise ConfigurationError(
                f"{origin}: {kind}s of some sources are in two classes: {first.name} "
                f"({first.clause}) and {second.name} ({second.clause}); a class for all other "
                'sources (["*"]) comes last, and no two others may meet'
            )
    if not classes or classes[-1].sources:
        others = "".join(
            f"; {each.name} ({each.clause}) is for {', '.join(each.sources)} only"
            for each in classes
        )
        raise ConfigurationError(
            f"{origin}: {kind}s have no end{' for other sources' if classes else ''}{others}: "
            f'add a class for them with sources = ["*"], and the clause that it follows'
        )


def _check_holds(policy: Policy, origin: str) -> None:
    seen: set[tuple[str, str]] = set()
    for rule in policy.holds:
        if (rule.kind, rule.clause) in seen:
            raise ConfigurationError(f"{origin}: hold {rule.kind} ({rule.clause}) is there twice")
        seen.add((rule.kind, rule.clause))


def _pairs(
    classes: Iterable[RetentionClass],
) -> Iterator[tuple[RetentionClass, RetentionClass, Kind]]:
    listed = list(classes)
    for place, first in enumerate(listed):
        for second in listed[place + 1 :]:
            for kind in KINDS:
                if kind in first.records & second.records:
                    yield first, second, kind


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two classes that name their sources have one in common; `()` is all others."""
    if not one or not other:
        return not one and not other
    return any(patterns_meet(a, b) for a in one for b in other)
