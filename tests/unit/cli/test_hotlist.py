"""`platelake hotlist …` on a store in a folder: output, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from alpr.errors import BadInput, Unavailable
from cli.main import app

runner = CliRunner()
TEXT = "plate,state,category\nABC 123,MA,stolen-vehicle\nXYZ9,NH,bolo\n"


class Lists:
    """The commands on one installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"

    def run(self, *command: str, stdin: str | None = None) -> Result:
        return runner.invoke(app, ["hotlist", *command, "--home", str(self.home)], input=stdin)

    def json(self, *command: str, code: int = 0) -> Any:
        done = self.run(*command, "--json")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)

    def file(self, text: str = TEXT) -> str:
        path = self.folder / "list.csv"
        path.write_text(text)
        return str(path)


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    return Lists(tmp_path)


def test_a_list_is_loaded_shown_exported_and_told(lists: Lists) -> None:
    done = lists.json("load", lists.file(), "--source", "police")
    assert (done["outcome"], done["entries"], done["in_force"]) == ("done", 2, 2)
    assert lists.json("load", lists.file(), "--source", "police")["outcome"] == "unchanged"
    status = lists.json("status")
    assert status["list"]["version"] == done["version"]
    (state,) = status["sources"]
    assert state["categories"] == {"bolo": 1, "stolen-vehicle": 1}
    assert not state["stale"]
    (entry,) = lists.json("show", "--plate", "abc-123")
    assert (entry["plate"], entry["state"], entry["source"]) == ("ABC123", "MA", "police")
    assert lists.json("show", "--entry", entry["entry_id"]) == [entry]
    assert lists.json("show", "--plate", "NONE1", code=1) == []
    events = lists.json("history", "--source", "police")
    assert [event["outcome"] for event in events] == ["done", "done", "unchanged"]
    out = lists.folder / "out.csv"
    assert lists.json("export", "--source", "police", "--out", str(out))["entries"] == 2
    again = lists.json("load", str(out), "--source", "copy")
    assert (again["entries"], again["rejected"]) == (2, {})


def test_the_plate_may_come_from_standard_input(lists: Lists) -> None:
    lists.run("load", lists.file(), "--source", "police")
    done = lists.run("show", "--plate", "-", stdin="XYZ 9\n")
    assert done.exit_code == 0
    assert "bolo" in done.stdout


@pytest.mark.parametrize("options", [(), ("--plate", "A", "--entry", "0" * 32), ("--plate", "--")])
def test_the_whole_list_is_not_shown(lists: Lists, options: tuple[str, ...]) -> None:
    lists.run("load", lists.file(), "--source", "police")
    assert lists.run("show", *options).exit_code == 2


def test_a_declared_source_is_loaded_from_its_location(lists: Lists) -> None:
    made = lists.json(
        "declare", "police", "--layout", "platelake", "--location", lists.file(),
        "--refresh-hours", "6", "--meaning", "q=blue", "--state", "MA",
    )  # fmt: skip
    assert (made["refresh_h"], made["categories"]) == (6, {"Q": "blue"})
    assert lists.json("sources") == [made]
    lists.file("plate,category\nABC1,Q\n")
    lists.run("load", "--source", "police")
    (entry,) = lists.json("show", "--plate", "ABC1")
    assert (entry["category"], entry["state"]) == ("blue", "MA")


def test_status_fails_when_a_list_is_stale(lists: Lists) -> None:
    lists.run("declare", "late", "--layout", "ncic")
    done = lists.run("status")
    assert done.exit_code == 1
    assert "STALE" in done.stdout
    assert "never loaded" in done.stdout


def test_without_any_list_status_is_unavailable(lists: Lists) -> None:
    assert isinstance(lists.run("status").exception, Unavailable)


def test_a_refused_load_leaves_the_list_and_says_why(lists: Lists) -> None:
    lists.run("load", lists.file(), "--source", "police")
    done = lists.run("load", lists.file("plate\nNEW1\n"), "--source", "police")
    assert isinstance(done.exception, BadInput)
    assert done.exception.reason == "removes-too-much"
    assert "--allow-removal" in str(done.exception)
    assert lists.json("status")["sources"][0]["entries"] == 2
    allowed = lists.json("load", lists.file(), "--source", "police")
    assert allowed["outcome"] == "unchanged"
    lists.run("load", lists.file("plate\nNEW1\n"), "--source", "police", "--allow-removal")
    assert "switched off: removal" in lists.run("history").stdout


@pytest.mark.parametrize(
    "command",
    [
        ("load", "--source", "police"),
        ("declare", "police", "--layout", "plain", "--category", "robber"),
        ("declare", "police", "--layout", "plain", "--state", "Massachusetts"),
        ("declare", "police", "--layout", "plain", "--meaning", "q"),
        ("declare", "police", "--layout", "plain", "--priority", "9"),
    ],
)
def test_wrong_usage(lists: Lists, command: tuple[str, ...]) -> None:
    assert lists.run(*command).exit_code == 2


def test_another_layout_needs_another_declaration(lists: Lists) -> None:
    lists.run("declare", "police", "--layout", "plain")
    done = lists.run("load", lists.file(), "--source", "police", "--layout", "ncic")
    assert done.exit_code == 2


def test_a_template_is_kept_and_used(lists: Lists) -> None:
    template = lists.folder / "mine.toml"
    template.write_text(
        'name = "mine"\ntitle = "Mine"\nkind = "delimited"\ndelimiter = "|"\ncolumns = 2\n'
        'category = "bolo"\n[fields]\nplate = 1\n'
    )
    names = [layout["name"] for layout in lists.json("layouts", "--save", str(template))]
    assert "mine" in names
    assert "ncic" in names
    done = lists.json("load", lists.file("Doe|AB1\n"), "--source", "m", "--layout", "mine")
    assert done["categories"] == {"bolo": 1}


@pytest.mark.parametrize(
    "command",
    ["layouts", "declare", "sources", "load", "status", "show", "history", "export"],
)
def test_help_has_an_example(command: str) -> None:
    done = runner.invoke(app, ["hotlist", command, "--help"])
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert "--json" in done.stdout
