"""The dashboard asks for metrics that jobs and services serve, by labels that they have."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from beam_jobs.metrics import _LABELS, CounterName, GaugeName, HistogramName
from expectations import metrics as quality
from infra.jobs import JOBS

DASHBOARD = Path(__file__).parents[3] / "infra" / "metrics" / "grafana-dashboard.json"
_SUFFIXES = {
    **dict.fromkeys(get_args(CounterName), ("_total",)),
    **dict.fromkeys(get_args(GaugeName), ("",)),
    **dict.fromkeys(get_args(HistogramName), ("_bucket", "_count", "_sum")),
}
SERVED = {
    f"platelake_{job}_{name}{suffix}": name
    for job in JOBS
    for name, suffixes in _SUFFIXES.items()
    for suffix in suffixes
}
_QUALITY = {
    **{name: f"platelake_quality_{name}_total" for name in get_args(quality.CounterName)},
    **{name: f"platelake_quality_{name}" for name in get_args(quality.GaugeName)},
}
SERVED |= {served: name for name, served in _QUALITY.items()}
LABELS = {**_LABELS, **quality.LABELS}


def panels() -> Iterator[dict[str, Any]]:
    return (p for p in json.loads(DASHBOARD.read_text())["panels"] if p["type"] != "row")


EXPRESSIONS = [target["expr"] for panel in panels() for target in panel["targets"]]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_exists(expression: str) -> None:
    ours = re.findall(r"\bplatelake_\w+", expression)
    assert ours or expression.startswith("flink_")
    assert set(ours) <= SERVED.keys()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_label_exists(expression: str) -> None:
    names = re.findall(r"\bplatelake_\w+", expression)
    known = {"le"} | {label for name in names for label in LABELS.get(SERVED[name], ())}
    grouped = re.findall(r"by \(([^)]*)\)", expression)
    asked = {label.strip() for group in grouped for label in group.split(",")}
    asked |= set(re.findall(r'(\w+)="', expression))
    assert asked <= known


def test_every_metric_of_jobs_and_services_is_shown() -> None:
    shown = {SERVED[n] for e in EXPRESSIONS for n in re.findall(r"\bplatelake_\w+", e)}
    assert shown == {*_SUFFIXES, *_QUALITY}


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    listed = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in listed}) == len(listed)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in listed)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
