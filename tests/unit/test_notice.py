"""NOTICE names the licence of every package that pyproject.toml asks for, and no other."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_notice_names_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    shipped = [
        *project["dependencies"],
        *(r for name in optional if name != "dev" for r in optional[name]),
    ]
    asked = {re.split(r"[\[<>=~; ]", requirement)[0] for requirement in shipped}
    notice = (ROOT / "NOTICE").read_text()
    section = notice.split("(pyproject.toml)\n")[1].split("\n\n")[0]
    named = dict(line.split(maxsplit=1) for line in section.splitlines())
    assert named.keys() == asked
    assert all(named.values())


def test_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
