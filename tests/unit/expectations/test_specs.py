from datetime import UTC, datetime, timedelta

import pytest

from alpr.errors import ConfigurationError
from catalog.schemas import TABLES
from expectations.specs import (
    CLOCK_SLACK,
    AtMost,
    Between,
    Matches,
    NotAfter,
    NotNull,
    OneOf,
    RefersTo,
    Suite,
    Unique,
    Usual,
)
from expectations.suites import (
    Limits,
    camera_suite,
    hit_rate_suite,
    list_suites,
    state_suite,
    suites,
)
from ingest.codecs import MAX_CLOCK_AHEAD


def test_every_table_has_a_suite() -> None:
    assert suites().keys() == TABLES.keys()


@pytest.mark.parametrize("table", TABLES)
def test_every_required_column_is_asked_for(table: str) -> None:
    asked = {rule.column for rule in suites()[table].rules if isinstance(rule, NotNull)}
    assert asked == {field.name for field in TABLES[table].arrow if not field.nullable}


@pytest.mark.parametrize("table", TABLES)
def test_no_two_rules_of_a_table_read_the_same(table: str) -> None:
    titles = [rule.title for rule in suites()[table].rules]
    assert len(set(titles)) == len(titles)


def test_known_classes_are_those_given() -> None:
    suite = suites(["evidence", "default", "default"])["reads"]
    assert OneOf("retention_class", ("default", "evidence")) in suite.rules


def test_clocks_may_differ_as_much_as_at_the_entrance() -> None:
    assert CLOCK_SLACK == MAX_CLOCK_AHEAD


def test_suite_of_an_unknown_table_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not for 'plates'"):
        Suite("plates", ())


@pytest.mark.parametrize(
    "rule",
    [NotNull("speed"), Unique(()), NotAfter("captured_at", "seen_at", timedelta(0))],
)
def test_rule_for_a_column_that_is_not_there_is_refused(rule: NotNull | Unique | NotAfter) -> None:
    with pytest.raises(ConfigurationError, match="has no column"):
        Suite("reads", (rule,))


def test_the_same_rule_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        Suite("reads", (NotNull("plate"), NotNull("plate")))


def test_empty_range_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="low must be below high"):
        Between("confidence", 1.0, 1.0)


def test_range_of_two_kinds_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="of one kind"):
        Between("captured_at", 0.0, datetime(2026, 1, 1, tzinfo=UTC))


def test_broken_pattern_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a pattern"):
        Matches("plate", "[A-Z")


def test_no_allowed_value_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one value"):
        OneOf("match", ())


def test_reference_to_an_unknown_table_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no table 'plates'"):
        RefersTo("read_id", "plates")


@pytest.mark.parametrize("mostly", [0.0, 1.1])
def test_a_share_of_rows_that_is_none_is_refused(mostly: float) -> None:
    with pytest.raises(ConfigurationError, match="mostly must be"):
        Unique(("plate",), mostly)


@pytest.mark.parametrize(("below", "above"), [(None, None), (0.0, None), (1.0, -1.0)])
def test_usual_without_a_bound_that_can_be_passed_is_refused(
    below: float | None, above: float | None
) -> None:
    with pytest.raises(ConfigurationError, match="a positive number of deviations"):
        Usual("reads", "reads are", below, above)


@pytest.mark.parametrize("limit", [-0.1, float("nan")])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ConfigurationError, match="a limit of at least 0"):
        AtMost("ahead", limit, "the share is")


def test_a_limit_of_a_share_above_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="limit unfit is a share"):
        Limits(unfit=1.5)


def test_limits_are_in_the_rules() -> None:
    limits = Limits(fewer=3, more=4, drop=5, rise=6, drift=7, ahead=0.8, hit_jump=9, unfit=0.1)
    rules = {
        rule
        for suite in (camera_suite, hit_rate_suite, state_suite)
        for rule in suite(limits).rules
    }
    assert {(r.measure, r.below, r.above) for r in rules if isinstance(r, Usual)} == {
        ("reads", 3, 4),
        ("reads_day", 3, 4),
        ("confidence", 5, None),
        ("frames", 5, None),
        ("stateless", None, 6),
        ("delay", 7, 7),
        ("hits", None, 9),
    }
    assert {(r.column, r.limit) for r in rules if isinstance(r, AtMost)} == {
        ("ahead", 0.8),
        ("unfit", 0.1),
    }


def test_no_two_rules_of_numbers_or_lists_read_the_same() -> None:
    for suite in (camera_suite(), hit_rate_suite(), state_suite(), *list_suites()):
        titles = [rule.title for rule in suite.rules]
        assert len(set(titles)) == len(titles)
