from __future__ import annotations

import multiprocessing
import re
import tomllib
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alpr.errors import ConfigurationError
from alpr.holds import PRESERVATION
from alpr.policy import Policy, parse_policy
from alpr.retention import Period
from catalog.policies import (
    NEUTRAL,
    Policies,
    load_policies,
    load_retention,
    set_policy,
    write_first,
)

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)
SHIPPED = load_policies(None)

OWN = """
name = "eastham"
title = "Eastham Police Department, 7.1"
zone = "America/New_York"
[documents]
E = "Eastham, policy 7.1"
[[class]]
name = "eastham"
records = ["read", "hit"]
sources = ["*"]
keep = "14 days"
keep_clause = "E-3"
minimum = "none stated"
minimum_clause = "E-3"
maximum = "14 days"
maximum_clause = "E-3"
why = "two weeks"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "retention.toml"
    assert write_first(made)
    return made


def put(file: Path, agency: str, policy: str, reason: str = "a test") -> tuple[Policies, Policies]:
    return set_policy(file, agency, policy, by="hall", reason=reason, at=AT)


# What each policy says, as a person reads it in the policy's own text.
RULES = {
    ("neutral", "read", "any"): ("default", "30 days", None, None),
    ("billerica", "read", "any"): ("billerica", "30 days", "30 days", "30 days"),
    ("billerica", "hit", ""): ("billerica", "30 days", "30 days", "30 days"),
    ("dcjis", "read", "any"): ("dcjis", "1 year", "1 year", "1 year"),
    ("dcjis", "hit", ""): ("dcjis-alert", "1 year", "1 year", "1 year"),
    ("leicester", "read", "any"): ("leicester", "1 year", "1 year", None),
    ("barstow", "read", "flock"): ("barstow-flock", "30 days", "30 days", None),
    ("barstow", "read", "flock-v3"): ("barstow-flock", "30 days", "30 days", None),
    ("barstow", "read", "axon"): ("barstow-server", "1 year", "1 year", None),
    ("barstow", "read", "flocking"): ("barstow-server", "1 year", "1 year", None),
    ("barstow", "hit", ""): ("barstow-server", "1 year", "1 year", None),
    ("massachusetts-5.04", "read", "any"): ("massachusetts-5.04", "1 year", None, None),
    ("massachusetts-model", "hit", ""): ("massachusetts-model", "1 year", None, "1 year"),
    ("us-me", "read", "any"): ("us-me", "21 days", None, "21 days"),
    ("us-va", "read", "any"): ("us-va", "21 days", None, "21 days"),
    ("us-ca-chp", "read", "any"): ("us-ca-chp", "60 days", None, "60 days"),
    ("us-tn", "read", "any"): ("us-tn", "90 days", None, "90 days"),
    ("us-nc", "read", "any"): ("us-nc", "90 days", None, "90 days"),
    ("us-ar", "read", "any"): ("us-ar", "150 days", None, "150 days"),
    ("us-co", "read", "any"): ("us-co", "1 year", None, "3 years"),
    ("us-vt", "read", "any"): ("us-vt", "18 months", None, "18 months"),
    ("us-nj", "read", "any"): ("us-nj", "3 years", None, "3 years"),
}


@pytest.mark.parametrize(("policy", "kind", "source"), RULES)
def test_what_each_policy_of_the_package_says(policy: str, kind: str, source: str) -> None:
    name, keep, minimum, maximum = RULES[policy, kind, source]
    retention = load_retention(None)
    each = next(c for c in retention.policies[policy] if c.is_for(kind, source))  # type: ignore[arg-type]
    assert (each.name, str(each.keep)) == (name, keep)
    assert (each.minimum and str(each.minimum)) == minimum
    assert (each.maximum and str(each.maximum)) == maximum


def test_every_policy_of_the_package_was_looked_at() -> None:
    assert {policy for policy, _, _ in RULES} == set(SHIPPED.known)


HOLDS = {
    "billerica": {("evidence", "S0-IX.A"), ("discovery", "S0-IX.A"), ("acted-on-hit", "S0-IV.B")},
    "dcjis": {
        ("disposition", "S1-CP7b.i"),
        ("case", "S1-CP7b.ii"),
        ("case", "S1-CP7b.iii"),
        ("evidence", "S1-CP7b.iv"),
        ("directed", "S1-CP7b.v"),
        ("acted-on-hit", "S1-CP1"),
    },
    "leicester": set(),
    "barstow": {("evidence", "S3-466.5"), ("discovery", "S3-466.5")},
    "massachusetts-5.04": {("acted-on-hit", "S4-IV.B.1.b"), ("case", "S4-IV.B.1.b")},
}


@pytest.mark.parametrize("policy", HOLDS)
def test_the_holds_that_each_seed_knows(policy: str) -> None:
    assert {(rule.kind, rule.clause) for rule in SHIPPED.known[policy].holds} == HOLDS[policy]


def test_a_preservation_request_lasts_as_the_holds_have_it() -> None:
    (rule,) = (each for each in SHIPPED.known["us-nc"].holds if each.kind == "preservation")
    assert (rule.lasts, rule.ends) == (PRESERVATION, "renewable")


def test_no_shipped_period_is_shorter_than_a_topics_retention() -> None:
    shortest = min(each.keep.longest for each in SHIPPED.retention.classes.values())
    assert shortest == 21  # docs/retention.md: Kafka's topics go long before


@pytest.mark.parametrize("policy", SHIPPED.known.values(), ids=lambda policy: policy.name)
def test_every_setting_names_a_document(policy: Policy) -> None:
    for each in policy.classes:
        for clause in (each.clause, each.minimum_clause, each.maximum_clause):
            assert re.split("[- ]", clause)[0] in policy.documents
        assert each.why


def test_nobody_chose_anything() -> None:
    retention = load_retention(None)
    each = retention.class_of("read", "northfield-pd", "platelake")
    assert (each.name, each.policy, each.keep) == ("default", NEUTRAL, Period(days=30))


def test_an_installation_begins_with_the_neutral_policy(file: Path) -> None:
    chosen = load_policies(file)
    assert (chosen.choices.default, chosen.choices.agencies) == (NEUTRAL, {})
    assert set(chosen.known) == set(SHIPPED.known)


def test_what_was_chosen_is_never_overwritten(file: Path) -> None:
    put(file, "northfield-pd", "billerica")
    before = file.read_bytes()
    assert not write_first(file)
    assert file.read_bytes() == before


def test_agencies_follow_their_policies(file: Path) -> None:
    file.write_text('default = "dcjis"\n[agencies]\nnorthfield-pd = "billerica"\n')
    retention = load_retention(file)
    assert retention.class_of("read", "northfield-pd", "x").name == "billerica"
    assert retention.class_of("read", "leominster-pd", "x").name == "dcjis"
    assert retention.class_of("hit", "leominster-pd", "").name == "dcjis-alert"
    # Rows of an earlier policy stay known.
    assert retention.named("us-me").keep == Period(days=21)


def test_the_states_own_policies(file: Path) -> None:
    folder = file.parent / "own"
    folder.mkdir()
    (folder / "eastham.toml").write_text(OWN)
    file.write_text('default = "eastham"\npolicy_folder = "own"\n')
    each = load_retention(file).class_of("hit", "eastham-pd", "")
    assert (each.name, each.keep, each.clause) == ("eastham", Period(days=14), "E-3")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("eastham.toml", OWN.replace('"hit"', '"read"'), "hits have no end"),
        ("eastham.toml", OWN.replace("14 days", "30 days", 1), "keep"),
        ("other.toml", OWN, "its name must be that of the file"),
        ("billerica.toml", OWN.replace("eastham", "billerica"), "comes with the platform"),
        ("eastham.toml", OWN.replace('"eastham"\nrec', '"dcjis"\nrec'), "named 'dcjis'"),
        ("eastham.toml", "\x00", "not valid TOML"),
    ],
)
def test_one_wrong_policy_refuses_all(file: Path, name: str, text: str, told: str) -> None:
    folder = file.parent / "own"
    folder.mkdir()
    (folder / name).write_text(text)
    file.write_text('default = "neutral"\npolicy_folder = "own"\n')
    with pytest.raises(ConfigurationError, match=told):
        load_retention(file)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('default = "nobody"', "no policy 'nobody' is known, which every other agency"),
        ('default = "neutral"\n[agencies]\na-pd = "b"', "no policy 'b' is known, which a-pd"),
        ('default = "neutral"\n[agencies]\n"A PD" = "dcjis"', "agencies"),
        ('default = "neutral"\npolicy_folder = "none"', "must be a folder"),
        ('default = "neutral"\nagency = 1', "`agency`"),
        ("default = ", "not valid TOML"),
    ],
)
def test_a_wrong_retention_file_is_refused(file: Path, text: str, told: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        load_retention(file)


def test_a_missing_retention_file_is_not_taken_for_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="put it back"):
        load_retention(tmp_path / "retention.toml")


def test_a_change_stays_in_the_file_with_who_and_why(file: Path) -> None:
    before, after = put(file, "northfield-pd", "billerica", 'the chief\'s "order" 7\n§ 3')
    assert before.policy_of("northfield-pd").name == NEUTRAL
    assert after.policy_of("northfield-pd").name == "billerica"
    local = AT.astimezone(timezone(timedelta(hours=-5))) + timedelta(minutes=1)
    set_policy(file, "northfield-pd", "us-me", by="Sgt. Ô'Hall", reason="moved", at=local)
    told = load_policies(file).choices
    assert told.agencies == {"northfield-pd": "us-me"}
    assert [(c.before, c.policy, c.by, c.at) for c in told.changed] == [
        ("", "billerica", "hall", AT),
        ("billerica", "us-me", "Sgt. Ô'Hall", AT + timedelta(minutes=1)),
    ]
    assert told.changed[0].reason == 'the chief\'s "order" 7\n§ 3'


def test_what_people_wrote_stays(file: Path) -> None:
    file.write_text(
        "# ours\n"
        'default = "neutral"   # until the council decides\n'
        "\n"
        "[agencies]  # in order of their contracts\n"
        'northfield-pd = "billerica"  # since May\n'
        "# \"quoted-pd\" = 'neutral'\n"
        "\"quoted.pd\" = 'neutral'\n"
        "\n"
        "[[directed]]\n"
        'agency = "eastham-pd"\nname = "eastham-long"\nrecords = ["read"]\nsources = ["*"]\n'
        'keep = "2 years"\nreason = "r"\nby = "b"\non = 2026-11-25\n'
    )
    with pytest.raises(ConfigurationError, match="lets nobody direct"):
        put(file, "quoted.pd", "dcjis")
    file.write_text(file.read_text().replace('default = "neutral"', 'default = "dcjis"'))
    put(file, "quoted.pd", "dcjis")
    put(file, "new.pd", "us-vt")
    text = file.read_text()
    for line in (
        "# ours",
        'default = "dcjis"   # until the council decides',
        "[agencies]  # in order of their contracts",
        'northfield-pd = "billerica"  # since May',
        "# \"quoted-pd\" = 'neutral'",
        '"quoted.pd" = "dcjis"\n"new.pd" = "us-vt"\n\n[[directed]]',
    ):
        assert line in text
    chosen = load_policies(file)
    assert chosen.choices.agencies == {
        "northfield-pd": "billerica",
        "quoted.pd": "dcjis",
        "new.pd": "us-vt",
    }
    assert [each.on for each in chosen.choices.directed] == [date(2026, 11, 25)]
    assert chosen.retention.class_of("read", "eastham-pd", "x").name == "eastham-long"


def test_a_change_that_the_file_cannot_take_leaves_it_as_it_was(file: Path) -> None:
    put(file, "northfield-pd", "dcjis")
    cases = (
        ("northfield-pd", "nobody", "no policy 'nobody'"),
        ("Northfield PD", "dcjis", "cannot be recorded"),
        ("n]\n", "dcjis", "cannot be recorded"),
    )
    before = file.read_bytes()
    for agency, policy, told in cases:
        with pytest.raises(ConfigurationError, match=told):
            put(file, agency, policy)
    with pytest.raises(ConfigurationError, match="cannot be recorded"):
        put(file, "northfield-pd", "us-me", reason="")
    assert file.read_bytes() == before
    file.write_text('default = "neutral"\nagencies = { a-pd = "dcjis" }\n')
    with pytest.raises(ConfigurationError, match="cannot be changed safely"):
        put(file, "b-pd", "dcjis")
    assert {each.name for each in file.parent.iterdir()} == {file.name, f".{file.name}.lock"}


def test_a_direction_that_the_new_policy_does_not_allow_is_refused(file: Path) -> None:
    file.write_text(
        'default = "dcjis"\n[[directed]]\nagency = "a-pd"\nname = "a-long"\nrecords = ["read"]\n'
        'sources = ["*"]\nkeep = "2 years"\nreason = "r"\nby = "b"\non = 2026-11-25\n'
    )
    before = file.read_bytes()
    with pytest.raises(ConfigurationError, match="lets nobody direct"):
        put(file, "a-pd", "billerica")
    assert file.read_bytes() == before


def _put_many(file: Path, name: str) -> None:
    for number in range(10):
        set_policy(file, f"{name}-{number}", "dcjis", by=name, reason="race", at=AT)


def test_people_who_change_it_at_once_take_turns(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    people = [context.Process(target=_put_many, args=(file, f"agency-{n}")) for n in range(3)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    chosen = load_policies(file).choices
    assert len(chosen.agencies) == len(chosen.changed) == 30
    assert set(chosen.agencies.values()) == {"dcjis"}


AGENCIES = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True)
CHANGES = st.lists(
    st.tuples(
        AGENCIES,
        st.sampled_from(sorted(SHIPPED.known)),
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=30),
    ),
    max_size=6,
)


@settings(max_examples=40)
@given(CHANGES)
@example([("a", "dcjis", "next line: \x85"), ("a", "barstow", "\u2028")])
def test_any_changes_can_be_read_back(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, str, str]]
) -> None:
    file = tmp_path_factory.mktemp("retention") / "retention.toml"
    write_first(file)
    expected: dict[str, str] = {}
    for agency, policy, reason in changes:
        set_policy(file, agency, policy, by="hall", reason=reason, at=AT)
        expected[agency] = policy
    told = load_policies(file).choices
    assert told.agencies == expected
    assert [(c.agency, c.policy, c.reason) for c in told.changed] == changes
    assert tomllib.loads(file.read_text("utf-8"))["agencies"] == expected


DOCUMENT = (Path(__file__).parents[3] / "docs" / "retention.md").read_text("utf-8")
EXAMPLES = re.findall(
    r"^\| `([\w.-]+)` \| (\S+) \| ([\w ]+) \| (\d{4}-\d\d-\d\d) \| (\d{4}-\d\d-\d\d \d\d:\d\d) \|$",
    DOCUMENT,
    re.MULTILINE,
)


def test_the_document_has_an_example_of_every_class() -> None:
    assert sorted(name for name, *_ in EXAMPLES) == sorted(SHIPPED.retention.classes)


@pytest.mark.parametrize(("name", "zone", "keep", "through", "gone"), EXAMPLES)
def test_the_documents_examples_are_right(
    name: str, zone: str, keep: str, through: str, gone: str
) -> None:
    each = SHIPPED.retention.named(name)
    captured_at = datetime(2026, 11, 25, 23, 59, 59, 999_000, ZoneInfo(zone))
    day = each.local_day(captured_at)
    assert (each.zone, str(each.keep), str(each.last_day(day))) == (zone, keep, through)
    assert f"{each.ends_at(day):%Y-%m-%d %H:%M}" == gone
    assert each.local_day(captured_at + timedelta(milliseconds=1)) == day + timedelta(days=1)


def test_the_documents_own_policy_is_one() -> None:
    text = next(
        block
        for block in re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
        if "[[class]]" in block
    )
    assert parse_policy(text, "docs/retention.md").classes[0].keep == Period(days=14)


def test_the_documents_retention_file_is_one(file: Path) -> None:
    text = next(
        block
        for block in re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)
        if "[agencies]" in block
    )
    (file.parent / "policies").mkdir()
    file.write_text(text)
    retention = load_retention(file)
    assert retention.class_of("read", "northfield-pd", "x").name == "billerica"
    assert retention.class_of("read", "eastham-pd", "x").name == "eastham-homicide"
    assert retention.class_of("hit", "eastham-pd", "").name == "dcjis-alert"
