from __future__ import annotations

from xml.etree import ElementTree

from tests.soak.report import chart, table

KILL = {
    "number": 1, "what": "task-manager", "at_s": 90.0, "running_s": 12.5, "whole_s": 20.0,
    "accepted": 12345, "sent_twice": 3, "lost": 1, "doubled": 2, "reads_repeated": 10,
    "hits_repeated": 4, "hits_missing": 5, "dead_letters": 0, "orphans": 0, "frames": 9,
    "frame_reads_missing": 7,
}  # fmt: skip


def test_a_row_says_what_a_kill_cost() -> None:
    second = KILL | {"number": 2, "what": "kafka", "frames": 0, "running_s": None}
    second |= {"reads_repeated": 12, "hits_repeated": 9}
    rows = table({"kills": [KILL, second]}).splitlines()[2:]
    assert rows == [
        "| 1 | 1.5 | task manager, amid frames | 12.5 | 20.0 | 12,345 | 13 | 2 | 7 | 4 | 0 |",
        "| 2 | 1.5 | kafka | never | 20.0 | 12,345 | 13 | 2 | 2 | 5 | 0 |",
    ]


def test_a_chart_is_a_picture_with_a_line_for_each_series() -> None:
    drawn = ElementTree.fromstring(chart("A & B", {"a<b": [(0.0, 1.0), (5.0, 3.0)]}, [2.0]))
    assert len(drawn.findall("{*}polyline")) == 1
    ElementTree.fromstring(chart("nothing", {}, []))
