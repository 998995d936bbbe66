"""The figures of `bench.throughput` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def markdown(result: Mapping[str, Any]) -> str:
    """Tables of rates, costs, latencies and goals; `result` as in the JSON file."""
    machine, plan = result["machine"], result["plan"]
    ours = result["ours"]
    lines = [
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}; load average {machine['load']} before "
        f"and {result['load_after']} after. {plan['reads']:,} reads of "
        f"{result['message_bytes']:.0f} bytes, {plan['hit_share']:.1%} of them hits, "
        f"{plan['hotlist_entries']:,} hot-list entries.",
        "",
        "| | reads/s | CPU s per million reads | RSS, MiB |",
        "|---|---:|---:|---:|",
        *_together("match + land", ours),
        _loop("(a) bare kafka-python loop, decode and match only", result["bare"]),
        *_together("(b) match + land, one element per record", result["per_record"]),
        _loop("(c) Bytewax, decode and match only", result["bytewax"]),
        "",
        "| match + land are | times |",
        "|---|---:|",
        _ratio("(a)", ours, result["bare"]),
        _ratio("(b)", ours, result["per_record"]),
        _ratio("(c)", ours, result["bytewax"]),
        "",
        "| read → hit, ms | hits | p50 | p99 | most |",
        "|---|---:|---:|---:|---:|",
        _latency(f"{plan['low_rate']:.0f} reads/s", result["latency_low"]),
        _latency(f"half load, {result['half_rate']:,.0f} reads/s", result["latency_half"]),
        "",
        "| goal | met |",
        "|---|---|",
        *(f"| {goal} | {'yes' if met else '**no**'} |" for goal, met in result["goals"].items()),
        "",
    ]
    return "\n".join(lines)


def _together(name: str, figures: Mapping[str, Any]) -> list[str]:
    reads = figures["reads"]
    rows = [
        f"| **{name}** | **{figures['reads_per_s']:,.0f}** "
        f"| **{figures['cpu_s_per_million']:.1f}** | |"
    ]
    rows += [
        f"| … {job} worker | {each['reads_per_s']:,.0f} | {each['cpu_s_per_million']:.1f} "
        f"| {each['rss_mib']:.0f} |"
        for job, each in figures["jobs"].items()
    ]
    rows += [
        f"| … {service} | | {each['cpu_s'] / reads * 1e6:.1f} | {each['rss_mib']:.0f} |"
        for service, each in figures["services"].items()
    ]
    return rows


def _loop(name: str, figures: Mapping[str, Any] | str) -> str:
    if isinstance(figures, str):
        return f"| {name}: not run, {figures} | | | |"
    return (
        f"| {name} | {figures['reads_per_s']:,.0f} | {figures['cpu_s_per_million']:.1f} "
        f"| {figures['rss_mib']:.0f} |"
    )


def _ratio(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any] | str) -> str:
    if isinstance(theirs, str):
        return f"| {name} | not run |"
    return f"| {name} | {ours['reads_per_s'] / theirs['reads_per_s']:.2f} |"


def _latency(name: str, figures: Mapping[str, Any]) -> str:
    return (
        f"| {name} | {figures['count']} | {figures['p50']:.0f} | {figures['p99']:.0f} "
        f"| {figures['most']:.0f} |"
    )
