from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alpr.errors import ConfigurationError
from alpr.holds import HOLD_KINDS
from alpr.policy import (
    HOLD_ENDS,
    NONE_STATED,
    Choices,
    Policy,
    directed_classes,
    parse_choices,
    parse_policy,
    patterns_meet,
)
from alpr.retention import KINDS, Period

CLASS = {
    "name": "sample",
    "records": ["read", "hit"],
    "sources": ["*"],
    "keep": "1 year",
    "keep_clause": "S1-CP7b",
    "minimum": "1 year",
    "minimum_clause": "S1-CP7b",
    "maximum": NONE_STATED,
    "maximum_clause": "S1-CP7b",
    "why": "a year",
}
HOLD = {
    "kind": "evidence",
    "ends": "no-longer-evidence",
    "lasts": NONE_STATED,
    "clause": "S1-CP7b.iv",
    "why": "evidence",
}
FILE: dict[str, Any] = {
    "name": "sample",
    "title": "A sample",
    "zone": "America/New_York",
    "documents": {"S1": "A document"},
    "class": [CLASS],
}


def toml(file: dict[str, Any]) -> str:
    """A file of values and lists, tables, and lists of tables, in this order."""
    lines = [
        f"{name} = {json.dumps(value)}"
        for name, value in file.items()
        if not isinstance(value, dict) and not _tables(value)
    ]
    for name, value in file.items():
        if isinstance(value, dict):
            lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in value.items())]
    for name, value in file.items():
        if _tables(value):
            for table in value:
                lines += [f"[[{name}]]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def parse(**changes: object) -> Policy:
    return parse_policy(toml(FILE | changes), "sample.toml")


def with_class(**changes: object) -> dict[str, Any]:
    return CLASS | changes


def refused(**changes: object) -> str:
    with pytest.raises(ConfigurationError) as error:
        parse(**changes)
    assert str(error.value).startswith("sample.toml")
    return str(error.value)


def test_a_policy_says_what_its_file_says() -> None:
    policy = parse(hold=[HOLD])
    (each,) = policy.classes
    assert (policy.name, policy.title, policy.zone) == ("sample", "A sample", "America/New_York")
    assert policy.documents == {"S1": "A document"}
    assert (each.name, each.policy, each.records) == ("sample", "sample", frozenset(KINDS))
    assert (each.keep, each.minimum, each.maximum) == (Period(years=1), Period(years=1), None)
    assert (each.clause, each.minimum_clause, each.maximum_clause) == ("S1-CP7b",) * 3
    assert (each.zone, each.why, each.sources) == ("America/New_York", "a year", ())
    (hold,) = policy.holds
    assert (hold.kind, hold.ends, hold.lasts) == ("evidence", "no-longer-evidence", None)
    assert policy.direction is None


@pytest.mark.parametrize("key", sorted(FILE))
def test_no_key_of_a_policy_may_be_missing(key: str) -> None:
    file = {name: value for name, value in FILE.items() if name != key}
    with pytest.raises(ConfigurationError, match=f"required field `{key}`"):
        parse_policy(toml(file), "sample.toml")


@pytest.mark.parametrize("key", sorted(CLASS))
def test_no_key_of_a_class_may_be_missing(key: str) -> None:
    each = {name: value for name, value in CLASS.items() if name != key}
    assert f"required field `{key}`" in refused(**{"class": [each]})


@pytest.mark.parametrize("key", sorted(HOLD))
def test_no_key_of_a_hold_may_be_missing(key: str) -> None:
    each = {name: value for name, value in HOLD.items() if name != key}
    assert f"required field `{key}`" in refused(hold=[each])


def test_a_key_that_nobody_knows_is_refused() -> None:
    assert "`audits`" in refused(audits=1)
    assert "`keeps`" in refused(**{"class": [with_class(keeps="1 year")]})
    assert "`until`" in refused(hold=[HOLD | {"until": "never"}])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keep", 30),
        ("keep", NONE_STATED),
        ("keep", "for ever"),
        ("minimum", ""),
        ("maximum", "unlimited"),
        ("records", []),
        ("records", ["plate"]),
        ("records", "read"),
        ("sources", []),
        ("sources", ["Flock"]),
        ("sources", ["[a-z]*"]),
        ("name", "Sample"),
        ("name", "sample/../other"),
        ("keep_clause", ""),
        ("keep_clause", "S2-V"),
        ("keep_clause", "S10-V"),
        ("minimum_clause", "somewhere"),
        ("maximum_clause", "CP7b"),
        ("why", ""),
    ],
)
def test_a_value_of_another_kind_is_refused(key: str, value: object) -> None:
    refused(**{"class": [with_class(**{key: value})]})


def test_a_class_that_contradicts_itself_is_refused_with_both_clauses() -> None:
    told = refused(
        **{
            "class": [
                with_class(keep="30 days", keep_clause="S1-one", minimum_clause="S1-two"),
            ]
        }
    )
    assert "keep of 30 days (S1-one)" in told
    assert "minimum of 1 year (S1-two)" in told


@pytest.mark.parametrize(
    ("classes", "told"),
    [
        (
            [with_class(records=["read"])],
            ["hits have no end"],
        ),
        (
            [with_class(records=["hit"])],
            ["reads have no end"],
        ),
        (
            [with_class(sources=["flock*"])],
            ["reads have no end for other sources", "sample (S1-CP7b) is for flock* only"],
        ),
        (
            [
                with_class(records=["hit"]),
                with_class(name="a", records=["read"], sources=["flock"], keep_clause="S1-a"),
                with_class(name="b", records=["read"], sources=["axon"], keep_clause="S1-b"),
            ],
            ["reads have no end for other sources", "a (S1-a)", "b (S1-b)"],
        ),
    ],
)
def test_a_record_without_an_end_is_refused(classes: list[Any], told: list[str]) -> None:
    message = refused(**{"class": classes})
    for words in told:
        assert words in message


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["*"], ["*"]),
        (["flock*"], ["flock-v3"]),
        (["a*"], ["*a"]),
        (["*"], ["flock"]),
        (["x", "flock?"], ["y", "*k1"]),
    ],
)
def test_a_record_with_two_ends_is_refused_with_both_clauses(
    first: list[str], second: list[str]
) -> None:
    message = refused(
        **{
            "class": [
                with_class(name="a", sources=first, keep_clause="S1-a"),
                with_class(name="b", sources=second, keep_clause="S1-b"),
                with_class(name="rest"),
            ]
        }
    )
    assert "a (S1-a)" in message
    assert "b (S1-b)" in message


def test_classes_of_other_records_or_sources_do_not_meet() -> None:
    policy = parse(
        **{
            "class": [
                with_class(name="cloud", sources=["flock", "flock-*"], records=["read"]),
                with_class(name="server"),
            ]
        }
    )
    assert [each.sources for each in policy.classes] == [("flock", "flock-*"), ()]


def test_two_classes_of_one_name_are_refused() -> None:
    message = refused(
        **{
            "class": [
                with_class(sources=["flock"], keep_clause="S1-a"),
                with_class(keep_clause="S1-b"),
            ]
        }
    )
    assert "two classes are named sample (S1-a and S1-b)" in message


def test_a_zone_that_no_clock_has_is_refused() -> None:
    assert "America/New_York" in refused(zone="Massachusetts")


def test_a_renewable_hold_says_for_how_long() -> None:
    assert "lasts" in refused(hold=[HOLD | {"ends": "renewable"}])
    (hold,) = parse(hold=[HOLD | {"ends": "renewable", "lasts": "1 year"}]).holds
    assert hold.lasts == Period(years=1)


def test_a_hold_is_there_once() -> None:
    assert "twice" in refused(hold=[HOLD, HOLD])
    assert len(parse(hold=[HOLD, HOLD | {"clause": "S1-CP1"}]).holds) == 2


PATTERNS = st.text("ab*?", min_size=1, max_size=6)


@given(PATTERNS, PATTERNS, st.text("ab", max_size=8))
def test_patterns_that_match_one_text_meet(one: str, other: str, text: str) -> None:
    if fnmatchcase(text, one) and fnmatchcase(text, other):
        assert patterns_meet(one, other)
        assert patterns_meet(other, one)


@given(PATTERNS, PATTERNS)
def test_patterns_meet_in_some_short_text(one: str, other: str) -> None:
    # A text that both match need be no longer than both patterns together.
    texts = [""]
    for _ in range(len(one) + len(other)):
        texts += [text + mark for text in texts if len(text) == len(texts[-1]) for mark in "ab"]
    found = any(fnmatchcase(text, one) and fnmatchcase(text, other) for text in texts)
    assert patterns_meet(one, other) is found


PERIODS = st.tuples(st.integers(1, 60), st.sampled_from(["days", "months", "years"])).map(
    lambda parts: f"{parts[0]} {parts[1]}"
)
BOUNDS = st.just(NONE_STATED) | PERIODS
CLAUSES = st.sampled_from(["S1", "S1-CP7b", "S1 7(a)"])
NAMES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=20)
CLASSES = st.fixed_dictionaries(
    {
        "name": NAMES,
        "records": st.lists(st.sampled_from(KINDS), min_size=1, max_size=2, unique=True),
        "sources": st.lists(st.text("ab*?-", min_size=1, max_size=5), min_size=1, max_size=3),
        "keep": PERIODS,
        "keep_clause": CLAUSES,
        "minimum": BOUNDS,
        "minimum_clause": CLAUSES,
        "maximum": BOUNDS,
        "maximum_clause": CLAUSES,
        "why": WORDS,
    }
)
HOLDS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(HOLD_KINDS),
        "ends": st.sampled_from(HOLD_ENDS),
        "lasts": BOUNDS,
        "clause": CLAUSES,
        "why": WORDS,
    }
)


@given(st.lists(CLASSES, min_size=1, max_size=4), st.lists(HOLDS, max_size=3), WORDS)
def test_a_policy_that_is_taken_has_one_end_for_every_record(
    classes: list[dict[str, Any]], holds: list[dict[str, Any]], title: str
) -> None:
    file = FILE | {"class": classes, "hold": holds, "title": title}
    if not holds:
        del file["hold"]
    try:
        policy = parse_policy(toml(file), "sample.toml")
    except ConfigurationError:
        return
    assert policy.title == title
    assert [each.name for each in policy.classes] == [each["name"] for each in classes]
    assert [each.kind for each in policy.holds] == [each["kind"] for each in holds]
    for kind in KINDS:
        for source in ("", "a", "b", "ab", "-", "zebra", "a-b-a"):
            own = [each for each in policy.classes if each.is_for(kind, source)]
            named = [each for each in own if each.sources]
            general = [each for each in own if not each.sources]
            assert len(named) <= 1
            assert len(general) == 1
            assert own[0] is (named or general)[0]
    for each in policy.classes:
        assert each.minimum is None or each.keep.covers(each.minimum)
        assert each.maximum is None or each.maximum.covers(each.keep)


@given(st.lists(CLASSES, min_size=1, max_size=2), PERIODS, PERIODS)
def test_a_keep_outside_its_bounds_is_never_taken(
    classes: list[dict[str, Any]], bound: str, keep: str
) -> None:
    assume(not Period.parse(keep).covers(Period.parse(bound)))
    broken = classes[-1] | {"keep": keep, "minimum": bound}
    with pytest.raises(ConfigurationError):
        parse_policy(toml(FILE | {"class": [*classes[:-1], broken]}), "sample.toml")


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    for parser in (parse_policy, parse_choices):
        with pytest.raises(ConfigurationError, match=re.escape("sample.toml")):
            parser(text, "sample.toml")


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_a_damaged_policy_is_taken_or_refused(place: int, damage: bytes) -> None:
    whole = toml(FILE | {"hold": [HOLD]}).encode()
    text = (whole[:place] + damage + whole[place + len(damage) :]).decode("utf-8", "replace")
    try:
        policy = parse_policy(text, "sample.toml")
    except ConfigurationError:
        return
    assert policy.classes


DIRECTION = """
default = "sample"
[[directed]]
agency = "northfield-pd"
name = "northfield-long"
records = ["read"]
sources = ["*"]
keep = "2 years"
reason = "homicide unit"
by = "Sgt. Hall"
on = 2026-11-25
"""
DIRECTABLE = parse(hold=[HOLD | {"kind": "directed", "ends": "directed", "clause": "S1-CP7b.v"}])


def test_an_administrator_directs_a_class() -> None:
    choices = parse_choices(DIRECTION, "retention.toml")
    (each,) = directed_classes(choices, {"sample": DIRECTABLE}, "retention.toml")["northfield-pd"]
    assert (each.name, each.policy, each.clause) == ("northfield-long", "sample", "S1-CP7b.v")
    assert (each.keep, each.minimum, each.maximum) == (Period(years=2), None, None)
    assert each.zone == "America/New_York"
    assert each.why == "homicide unit (directed by Sgt. Hall on 2026-11-25)"


def test_a_policy_that_lets_nobody_direct_is_kept_to() -> None:
    choices = parse_choices(DIRECTION, "retention.toml")
    with pytest.raises(ConfigurationError, match="lets nobody direct another period"):
        directed_classes(choices, {"sample": parse()}, "retention.toml")


def test_two_directions_for_one_record_are_refused() -> None:
    twice = DIRECTION + DIRECTION.replace('default = "sample"', "").replace("-long", "-longer")
    choices = parse_choices(twice, "retention.toml")
    with pytest.raises(ConfigurationError, match=r"northfield-long .* and northfield-longer"):
        directed_classes(choices, {"sample": DIRECTABLE}, "retention.toml")


@pytest.mark.parametrize("key", ["agency", "name", "records", "sources", "keep", "reason", "by"])
def test_a_direction_says_everything(key: str) -> None:
    text = re.sub(rf"(?m)^{key} = .*\n", "", DIRECTION)
    with pytest.raises(ConfigurationError, match=f"required field `{key}`"):
        parse_choices(text, "retention.toml")


def test_choices_need_a_default_only() -> None:
    assert parse_choices('default = "neutral"', "retention.toml") == Choices(default="neutral")
    with pytest.raises(ConfigurationError, match="required field `default`"):
        parse_choices("", "retention.toml")
