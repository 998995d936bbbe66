from datetime import UTC, datetime, timedelta

import pytest

from alpr.errors import ConfigurationError
from catalog.schemas import TABLES
from expectations.specs import (
    CLOCK_SLACK,
    Between,
    Matches,
    NotAfter,
    NotNull,
    OneOf,
    RefersTo,
    Suite,
    Unique,
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
