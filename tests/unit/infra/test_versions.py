from __future__ import annotations

import re

import pytest

from infra.provision import jars
from infra.versions import VERSIONS_FILE, versions


def test_every_version_is_set() -> None:
    assert versions().flink.version.startswith(versions().flink.minor + ".")
    assert versions().kafka.version


@pytest.mark.parametrize("pom", ["kafka/pom.xml", "flink/pom.xml"])
def test_poms_name_no_version_of_their_own(pom: str) -> None:
    text = (VERSIONS_FILE.parent / pom).read_text("utf-8")
    named = re.findall(r"<version>(.*?)</version>", text)
    assert named[0] == "1"  # of the pom itself
    assert all(version.startswith("${") for version in named[1:])


@pytest.mark.parametrize(
    ("pom", "recipe"),
    [("kafka/pom.xml", jars.kafka_recipe()), ("flink/pom.xml", jars.flink_recipe())],
)
def test_every_property_of_a_pom_gets_a_value(pom: str, recipe: str) -> None:
    text = (VERSIONS_FILE.parent / pom).read_text("utf-8")
    for name in set(re.findall(r"\$\{(.*?)\}", text)):
        assert f"('{name}', '" in recipe
