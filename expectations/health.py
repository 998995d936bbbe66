"""How each camera is doing: does it send, as much as it used to, on time, and can it read?

From the numbers of `catalog.hours`, brought up to date first. A camera that is misaligned or dirty
(S1-MP-B,D; S4-B2) shows as fewer reads, lower confidence, or more reads without a state than
in its own past; one with a wrong clock as a wrong delay. The verdict names the worst of it, the
reasons say all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, get_args

import numpy as np

from catalog.hours import cameras
from catalog.lake import Lake
from catalog.slices import HOUR, floor_hour
from expectations.frames import CameraHour, camera_frame, hits_by_camera, hourly
from expectations.past import Past
from expectations.registry import Registry
from expectations.suites import Limits

Verdict = Literal[
    "silent", "drifting clock", "low read rate", "low confidence", "ok", "new", "out of service"
]
"""The worst first; what is not to be judged last."""

WRONG: Final = frozenset(get_args(Verdict)[:4])
"""Verdicts that somebody should look at."""

SPARK_HOURS: Final = 7 * 24

_SILENT: Final = timedelta(hours=24)
"""A camera without enough past is silent after so long without a read."""


@dataclass(frozen=True)
class Health:
    """One camera. Means and shares are of its last 24 hours with reads; missing where unknown.

    `reads_hour`, `reads_day`: of the last whole hour, and the 24 up to it, beside what its past
    makes `usual`. `delay`: median seconds from capture to receipt in the newest such hour;
    `ahead`: share of reads received before they were captured. `series`: reads an hour of the
    last seven days, NaN where there was none.
    """

    camera: str
    verdict: Verdict
    reasons: tuple[str, ...]
    last_read: datetime | None
    reads_hour: int
    usual_hour: float | None
    reads_day: int
    usual_day: float | None
    hits_day: int
    confidence: float | None
    usual_confidence: float | None
    stateless: float | None
    delay: float | None
    ahead: float | None
    series: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values; the series with None where there was no read."""
        fields = asdict(self)
        fields["last_read"] = self.last_read.isoformat() if self.last_read else None
        fields["series"] = [None if np.isnan(value) else int(value) for value in self.series]
        return fields


def report(
    lake: Lake,
    now: datetime,
    past: Past,
    limits: Limits,
    registry: Registry | None = None,
) -> list[Health]:
    """The health of every camera that ever sent a read, or is in the registry; the worst first.

    Judges the last whole hour. Raises Unavailable.
    """
    hour = floor_hour(now) - HOUR
    seen = cameras(lake)
    frame = camera_frame(lake, hour, past)
    place = {name: number for number, name in enumerate(frame.names)}
    first = hour + HOUR - SPARK_HOURS * HOUR
    series = hourly(lake, first, SPARK_HOURS)
    means = {
        name: hourly(lake, hour - 23 * HOUR, 24, name)
        for name in ("reads", "confidence", "stateless", "ahead", "delay")
    }
    hits = hits_by_camera(lake, hour - 23 * HOUR, hour + HOUR)
    registered = registry.by_name if registry else {}
    found = []
    for name in sorted({*seen, *registered}):
        day = {column: np.array(each.get(name, [np.nan])) for column, each in means.items()}
        numbers = _numbers(frame, place.get(name))
        last_read = seen[name][1] if name in seen else None
        in_service = registered[name].in_service if name in registered else True
        verdict, reasons = _judge(
            numbers, last_read, now, in_service, limits, _weighted(day, "ahead")
        )
        delays = day["delay"][np.isfinite(day["delay"])]
        found.append(
            Health(
                camera=name,
                verdict=verdict,
                reasons=tuple(reasons),
                last_read=last_read,
                reads_hour=int(numbers.get("reads", 0)),
                usual_hour=_known(numbers.get("reads_usual")),
                reads_day=int(np.nansum(day["reads"])),
                usual_day=_known(numbers.get("reads_day_usual")),
                hits_day=hits.get(name, 0),
                confidence=_weighted(day, "confidence"),
                usual_confidence=_known(numbers.get("confidence_usual")),
                stateless=_weighted(day, "stateless"),
                delay=float(delays[-1]) if len(delays) else None,
                ahead=_weighted(day, "ahead"),
                series=tuple(series.get(name, [float("nan")] * SPARK_HOURS)),
            )
        )
    order = {verdict: number for number, verdict in enumerate(get_args(Verdict))}
    return sorted(found, key=lambda each: (order[each.verdict], each.camera))


def _judge(
    numbers: dict[str, float],
    last_read: datetime | None,
    now: datetime,
    in_service: bool,
    limits: Limits,
    ahead: float | None,
) -> tuple[Verdict, list[str]]:
    if not in_service:
        return "out of service", ["the registry says so"]
    if last_read is None:
        return "silent", ["it is in the registry and never sent a read"]
    reasons: list[tuple[Verdict, str]] = []
    for column, span in (("reads", "the last hour"), ("reads_day", "24 hours")):
        if _below(numbers, column, limits.fewer):
            nothing = numbers[column] == 0
            usual = numbers[f"{column}_usual"]
            told = f"{numbers[column]:,.0f} reads in {span}, usually {usual:,.0f}"
            reasons.append(("silent" if nothing else "low read rate", told))
    if not reasons and now - last_read > _SILENT:
        reasons.append(("silent", f"no read for {(now - last_read) / HOUR:,.0f} hours"))
    if abs(numbers.get("delay_deviation", np.nan)) > limits.drift:
        told = f"reads come after {numbers['delay']:,.0f} s, usually {numbers['delay_usual']:,.0f}"
        reasons.append(("drifting clock", told))
    if ahead is not None and ahead > limits.ahead:
        told = f"{ahead:.0%} of its reads came before they were captured: its clock is ahead"
        reasons.append(("drifting clock", told))
    if _below(numbers, "confidence", limits.drop):
        told = f"mean confidence {numbers['confidence']:.2f}, usually "
        reasons.append(("low confidence", told + f"{numbers['confidence_usual']:.2f}"))
    if numbers.get("stateless_deviation", np.nan) > limits.rise:
        told = f"{numbers['stateless']:.0%} of its reads have no state, usually "
        reasons.append(("low confidence", told + f"{numbers['stateless_usual']:.0%}"))
    if _below(numbers, "frames", limits.drop):
        told = f"{numbers['frames']:.1f} frames a read, usually {numbers['frames_usual']:.1f}"
        reasons.append(("low confidence", told))
    if reasons:
        order = get_args(Verdict)
        worst = min((verdict for verdict, _ in reasons), key=order.index)
        return worst, [told for _, told in reasons]
    if np.isnan(numbers.get("reads_usual", np.nan)):
        return "new", ["too few weeks are known to say what is usual"]
    return "ok", []


def _below(numbers: dict[str, float], column: str, limit: float) -> bool:
    return numbers.get(f"{column}_deviation", np.nan) < -limit


def _numbers(frame: CameraHour, place: int | None) -> dict[str, float]:
    if place is None:
        return {}
    return {name: float(values[place]) for name, values in frame.columns.items()}


def _weighted(day: dict[str, Any], column: str) -> float | None:
    """Mean over the hours, each counting by its reads."""
    values, reads = day[column], day["reads"]
    known = np.isfinite(values) & np.isfinite(reads)
    if not known.any():
        return None
    return float(np.average(values[known], weights=reads[known]))


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(value, 3)
