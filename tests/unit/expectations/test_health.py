"""Verdicts of cameras, and the page."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from catalog.lake import Lake
from catalog.slices import HOUR
from expectations.health import SPARK_HOURS, WRONG, Health, report
from expectations.health_page import page, sparkline
from expectations.registry import RegisteredCamera, Registry
from expectations.suites import Limits
from tests.unit.expectations.test_frames import PAST, H, put, put_hits, weeks

NOW = H + HOUR + timedelta(minutes=20)


def health(lake: Lake, now: datetime = NOW, **more: Any) -> dict[str, Health]:
    return {each.camera: each for each in report(lake, now, PAST, Limits(), **more)}


@pytest.mark.parametrize(
    ("numbers", "verdict", "reason"),
    [
        ({"reads": 100}, "ok", None),
        (None, "silent", "0 reads in the last hour, usually 100"),
        ({"reads": 30}, "low read rate", "30 reads in the last hour, usually 100"),
        ({"reads": 100, "delay": 62.0}, "drifting clock", "reads come after 62 s, usually 2"),
        ({"reads": 100, "ahead": 0.5}, "drifting clock", "50% of its reads came before"),
        ({"reads": 100, "confidence": 0.7}, "low confidence", "mean confidence 0.70, usually 0.90"),
        ({"reads": 100, "stateless": 0.6}, "low confidence", "60% of its reads have no state"),
        ({"reads": 100, "frames": 1.0}, "low confidence", "1.0 frames a read, usually 4.0"),
    ],
)
def test_verdicts(
    empty: Lake, numbers: dict[str, Any] | None, verdict: str, reason: str | None
) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {} if numbers is None else {"one": numbers})
    found = health(empty)["a/one"]
    assert found.verdict == verdict
    assert (found.verdict in WRONG) == (reason is not None)
    assert len(found.reasons) == (reason is not None)
    assert not reason or found.reasons[0].startswith(reason)


def test_the_worst_is_the_verdict_and_all_reasons_are_told(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {"one": {"reads": 30, "confidence": 0.5, "delay": -99.0}})
    found = health(empty)["a/one"]
    assert found.verdict == "drifting clock"
    assert len(found.reasons) == 3


def test_new_silent_unheard_of_and_out_of_service(empty: Lake) -> None:
    put(empty, H, {"new": {"reads": 100}, "off": {"reads": 100}})
    put(empty, H - 40 * HOUR, {"gone": {"reads": 100}})
    registry = Registry(
        (
            RegisteredCamera("a", "off", "MA", "fixed", 42.3, -71.1, in_service=False),
            RegisteredCamera("a", "never", "MA", "fixed", 42.3, -71.1),
        )
    )
    found = health(empty, registry=registry)
    assert {name: each.verdict for name, each in found.items()} == {
        "a/gone": "silent",
        "a/never": "silent",
        "a/new": "new",
        "a/off": "out of service",
    }
    assert found["a/gone"].reasons == ("no read for 41 hours",)
    assert found["a/never"].last_read is None
    # The worst first.
    assert list(found) == ["a/gone", "a/never", "a/new", "a/off"]


def test_numbers(empty: Lake) -> None:
    put(empty, H - 20 * HOUR, {"one": {"reads": 300, "confidence": 0.5, "delay": 7.0}})
    put(empty, H, {"one": {"reads": 100, "confidence": 0.9, "stateless": 0.3}})
    put_hits(empty, H, "one", "bolo", 2)
    found = health(empty)["a/one"]
    assert (found.reads_hour, found.reads_day, found.hits_day) == (100, 400, 2)
    assert found.confidence == pytest.approx(0.6)  # each hour by its reads
    assert found.stateless == pytest.approx(0.15)
    assert found.delay == 2.0
    assert found.last_read == H + HOUR / 2
    assert len(found.series) == SPARK_HOURS
    assert (found.series[-1], found.series[-21]) == (100, 300)
    told = found.as_json()
    assert told["series"][-2] is None
    assert told["last_read"] == "2026-11-20T14:30:00+00:00"


class Tags(HTMLParser):
    """Every tag that is opened is closed, but those that need not be."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_nothing_and_quotes_what_it_is_given(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {"one": {"reads": 10}})
    (found,) = report(empty, NOW, PAST, Limits())
    odd = Health(**{**vars(found), "camera": "<script>alert(1)</script>/&", "reasons": ("<b>",)})
    text = page([found, odd], NOW)
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert tags.links == []
    assert not re.search(r"https?:|@import|url\(", text)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "Cameras: 2" in text
    assert text.count("<svg") == 2
    assert "low read rate" in text
    assert page([], NOW).count("<tr>") == 1


def test_a_sparkline_has_gaps_and_its_usual_line() -> None:
    nan = float("nan")
    drawn = sparkline([0.0, 10.0, nan, 5.0], usual=10.0)
    lines = re.findall(r'points="([^"]+)"', drawn)
    assert len(lines) == 2
    assert lines[0].split() == ["0.0,31.0", "56.0,1.0"]
    assert lines[1].split() == ["168.0,16.0"] * 2
    assert "y1=1.0 y2=1.0" in drawn
    assert "no read" in sparkline([nan, nan])
    assert "no read" in sparkline([])


def test_it_is_now_that_counts(empty: Lake) -> None:
    weeks(empty, {"one": {"reads": 100}})
    put(empty, H, {"one": {"reads": 100}})
    assert health(empty, H + HOUR)["a/one"].verdict == "ok"
    # An hour later, when nothing more came: nothing is usual at that hour, and a day has not gone.
    assert health(empty, H + 2 * HOUR)["a/one"].verdict == "new"
    assert health(empty, H + 26 * HOUR)["a/one"].verdict == "silent"
