"""`platelake quality run|history|alerts`: do the lake's rows keep their rules?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from catalog.lake import Lake
    from cli.installation import Installation
    from expectations.findings import Outcome
    from expectations.hotlist import HotList
    from expectations.rounds import Plan, Round, Rounds

_EXIT_NOT_SO = 1
_LIST = "hotlist"

_Config = Annotated[
    Path | None,
    typer.Option("--config", help="The lake's TOML file, instead of the installation's."),
]
_Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Whose lake, without --config.", metavar="embedded|full"),
]
_Home = Annotated[
    Path | None, typer.Option("--home", help="State directory; .platelake unless said otherwise.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_Registry = Annotated[
    Path | None,
    typer.Option(
        "--registry", help="CSV file of the cameras; cameras.csv of the state directory if there."
    ),
]
_Zone = Annotated[
    str, typer.Option("--zone", help="Whose clock makes the hour of the week.", metavar="ZONE")
]

_quality = typer.Typer(help="Rules for the lake's rows.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_quality, name="quality")


@_quality.callback()
def group() -> None:
    """Rules for the lake's rows."""


@_quality.command()
def run(
    table: Annotated[
        str | None, typer.Option("--table", help="Only this.", metavar="reads|hits|hotlist")
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="Day of capture, all its rows."),
    ] = None,
    every_day: Annotated[bool, typer.Option("--all", help="Every day that has rows.")] = False,
    hour: Annotated[
        datetime | None,
        typer.Option("--hour", formats=["%Y-%m-%dT%H"], help="Hour of capture (UTC), all of it."),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Hours changed since they were last checked.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(
            "--every", min=1, help="Run as a service: --changed, again after so many seconds."
        ),
    ] = None,
    pages: Annotated[
        Path | None, typer.Option("--docs", metavar="DIR", help="Write Data Docs (HTML) here.")
    ] = None,
    known_class: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            help="A retention class that rows may have, instead of the policies'; repeat.",
        ),
    ] = None,
    registry: _Registry = None,
    zone: _Zone = "UTC",
    hot_list: Annotated[
        Path | None,
        typer.Option("--hotlist", help="Hot-list store; the installation's without --config."),
    ] = None,
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", help="With --every: folder of Prometheus targets."),
    ] = None,
    config: _Config = None,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Hold rows against the rules: of the newest commit, of a day or hour, or what has changed.

    Results go to the table that `platelake quality history` shows. --changed and --every also
    raise and clear alerts, hold cameras and hit rates against their past, and check the hot
    list; as a service it outlives an unavailable catalogue or store, and Ctrl-C or SIGTERM ends
    it after the hour under way. Exit code 1 if a rule is broken; a service ends with 0.

    Example: platelake quality run --every 300 --docs quality/ --zone America/New_York
    """
    from catalog.schemas import TABLES

    if table is not None and table not in (*TABLES, _LIST):
        raise typer.BadParameter(f"no table {table!r}; there are {', '.join((*TABLES, _LIST))}")
    ways = [day is not None, every_day, hour is not None, changed or every is not None]
    if sum(ways) > 1:
        raise typer.BadParameter("--day, --all, --hour and --changed or --every exclude each other")
    if ways[-1] and table is not None:
        raise typer.BadParameter("--changed and --every look at every table: leave --table out")
    lake = _open(config, profile, home)
    plan = _plan(lake, config, profile, home, registry, zone, hot_list, known_class, pages)
    if every is not None:
        if metrics is None and config is None:
            metrics = _installation(profile, home).settings.metrics_dir
        _serve(lake, plan, every, metrics, as_json)
        return
    if changed:
        from expectations.rounds import Rounds

        done = Rounds(lake, plan).run(datetime.now(UTC))
        _write_index(lake, plan)
        _report_round(done, as_json)
        ok = done.ok
    else:
        checks = _checks(lake, plan, table, day, every_day, hour)
        ok = _report_checks(lake, plan, checks, as_json)
    if not ok:
        raise typer.Exit(_EXIT_NOT_SO)


@_quality.command()
def history(
    table: Annotated[
        str | None,
        typer.Option("--table", help="Only this: reads, hits, cameras, hit-rates, states, …"),
    ] = None,
    rule: Annotated[str | None, typer.Option("--rule", help="A part of the rule's words.")] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="Checked since then (UTC)."
        ),
    ] = None,
    broken: Annotated[bool, typer.Option("--broken", help="Only what was broken.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 50,
    config: _Config = None,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Show what was checked and found, the newest first.

    Example: platelake quality history --table cameras --broken --since 2026-11-01 --json
    """
    from catalog import quality

    lake = _open(config, profile, home)
    quality.prepare(lake)
    found = quality.history(
        lake,
        table=table,
        rule=rule,
        since=None if since is None else since.replace(tzinfo=UTC),
        broken=broken,
        limit=limit,
    )
    if as_json:
        typer.echo(json.dumps({"results": [each.as_json() for each in found]}, indent=2))
        return
    for each in found:
        verdict = "not judged" if each.ok is None else "holds" if each.ok else "BROKEN"
        told = each.error or f"{each.unexpected:,} of {each.checked:,}"
        about = f" ({', '.join(each.subjects[:5])})" if each.subjects else ""
        typer.echo(
            f"{each.at:%Y-%m-%d %H:%M} {each.table} {each.part}: {verdict} {each.rule}: "
            f"{told}{about}"
        )
    if not found:
        typer.echo("nothing was checked")


@_quality.command()
def alerts(
    closed: Annotated[bool, typer.Option("--all", help="Also those that were cleared.")] = False,
    table: Annotated[str | None, typer.Option("--table", help="Only of this.")] = None,
    config: _Config = None,
    profile: _Profile = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Show what is known to be wrong; exit code 1 if anything is.

    Example: platelake quality alerts --all --json
    """
    from catalog import quality

    lake = _open(config, profile, home)
    quality.prepare(lake)
    found = quality.find_alerts(lake, table=table, closed=closed)
    open_now = [each for each in found if each.cleared_at is None]
    if as_json:
        typer.echo(
            json.dumps(
                {"open": len(open_now), "alerts": [each.as_json() for each in found]}, indent=2
            )
        )
    else:
        for each in found:
            about = f" for {each.subject}" if each.subject else ""
            until = "" if each.cleared_at is None else f", cleared {each.cleared_at:%Y-%m-%d %H:%M}"
            typer.echo(
                f"{each.opened_at:%Y-%m-%d %H:%M} {each.table}: {each.rule}{about}: {each.told}; "
                f"found {each.times} times, last in {each.last_part}{until}"
            )
        typer.echo(f"{len(open_now)} alerts open")
    if open_now:
        raise typer.Exit(_EXIT_NOT_SO)


def _open(config: Path | None, profile: str | None, home: Path | None) -> Lake:
    from catalog.config import LakeConfig
    from catalog.lake import Lake

    if config is not None:
        return Lake(LakeConfig.load(config))
    return _installation(profile, home).lake()


def _installation(profile: str | None, home: Path | None) -> Installation:
    from cli.installation import Installation

    return Installation.of(profile, home)


def _plan(
    lake: Lake,
    config: Path | None,
    profile: str | None,
    home: Path | None,
    registry: Path | None,
    zone: str,
    hot_list: Path | None,
    known_class: list[str] | None,
    pages: Path | None,
) -> Plan:
    from expectations.past import Past
    from expectations.registry import load_registry
    from expectations.rounds import Plan

    if config is None:
        installation = _installation(profile, home)
        hot_list = hot_list or installation.hotlist_store
        usual = installation.settings.state_dir / "cameras.csv"
        registry = registry or (usual if usual.exists() else None)
    return Plan(
        registry=None if registry is None else load_registry(registry),
        retention_classes=tuple(known_class or sorted(lake.retention.classes)),
        past=Past(zone=zone),
        pages=pages,
        hot_list=None if hot_list is None else _list_opener(hot_list),
    )


def _list_opener(store: Path) -> Callable[[], HotList | None]:
    def opened() -> HotList | None:
        import pyarrow as pa

        from alpr.errors import Unavailable
        from expectations.hotlist import HotList
        from ingest.hotlists.snapshot import open_snapshot, read_manifest

        try:
            manifest = read_manifest(store)
        except Unavailable:
            return None  # none was ever loaded
        entries = pa.Table.from_batches([open_snapshot(store, manifest).rows])
        return HotList(manifest.version, manifest.built_at, entries)

    return opened


def _checks(
    lake: Lake,
    plan: Plan,
    table: str | None,
    day: datetime | None,
    every_day: bool,
    hour: datetime | None,
) -> Iterator[Outcome]:
    from catalog.schemas import TABLES
    from catalog.slices import days_of
    from expectations.checkpoint import check_day, check_newest_commit
    from expectations.hotlist import check_list
    from expectations.rounds import Rounds
    from expectations.suites import suites

    now = datetime.now(UTC)
    for name in [table] if table else list(TABLES):
        if name == _LIST:
            listed = plan.hot_list() if plan.hot_list else None
            if listed is not None:
                yield from check_list(listed, plan.limits, now, plan.pages)
            continue
        suite = suites(plan.retention_classes, plan.registry)[name]
        if hour is not None:
            yield from Rounds(lake, plan).check_hour(name, hour.replace(tzinfo=UTC), now)
        elif every_day:
            for each in days_of(lake, name):
                yield from check_day(lake, suite, each, now, plan.pages)
        elif day is not None:
            yield from check_day(lake, suite, day.date(), now, plan.pages)
        else:
            yield from check_newest_commit(lake, suite, now, plan.pages)


def _report_checks(lake: Lake, plan: Plan, checks: Iterator[Outcome], as_json: bool) -> bool:
    """Record and tell what was found; whether no rule is broken."""
    import uuid

    from catalog import quality
    from expectations.rounds import results_of

    quality.prepare(lake)
    run_id, now = str(uuid.uuid4()), datetime.now(UTC)
    outcomes = []
    for outcome in checks:
        quality.record(lake, list(results_of(outcome, run_id, now)))
        outcomes.append(outcome)
        if not as_json:
            _tell(outcome)
    _write_index(lake, plan)
    if as_json:
        typer.echo(json.dumps({"checks": [each.as_json() for each in outcomes]}, default=str))
    elif not outcomes:
        typer.echo("no rows to check")
    elif plan.pages is not None:
        typer.echo(f"pages: {plan.pages / 'index.html'}")
    return all(outcome.ok for outcome in outcomes)


def _serve(lake: Lake, plan: Plan, every: float, metrics: Path | None, as_json: bool) -> None:
    import logging
    import signal
    import threading

    from alpr.errors import PlatelakeError
    from expectations.metrics import QualityMetrics
    from expectations.rounds import Rounds

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    counted = QualityMetrics()
    if metrics is not None:
        counted.serve(metrics)
    rounds: Rounds | None = None
    try:
        while not stop.is_set():
            try:
                rounds = rounds or Rounds(lake, plan, stop=stop.is_set)
                done = rounds.run(datetime.now(UTC))
                _write_index(lake, plan)
                counted.done(lake, done, datetime.now(UTC))
            except PlatelakeError as error:
                # Whatever it is, the stream goes on, and so does this.
                counted.failed()
                typer.echo(f"quality: {type(error).__name__}: {error}", err=True)
            else:
                _report_round(done, as_json)
            stop.wait(every)
    finally:
        counted.close()


def _write_index(lake: Lake, plan: Plan) -> None:
    if plan.pages is None:
        return
    from catalog import quality
    from expectations.site import KEEP, prune_pages, write_index

    now = datetime.now(UTC)
    prune_pages(plan.pages, now - KEEP)
    results = quality.history(lake, since=now - KEEP, limit=20_000)
    write_index(plan.pages, results, quality.find_alerts(lake), now)


def _report_round(done: Round, as_json: bool) -> None:
    if as_json:
        raised, cleared = (
            [dict(zip(("table", "rule", "subject"), each, strict=True)) for each in listed]
            for listed in (done.changes.raised, done.changes.cleared)
        )
        typer.echo(
            json.dumps(
                {
                    "checks": [each.as_json() for each in done.outcomes],
                    "raised": raised,
                    "cleared": cleared,
                    "waiting": done.waiting,
                    "seconds": done.seconds,
                }
            )
        )
        return
    for outcome in done.outcomes:
        _tell(outcome)
    typer.echo(
        f"{len(done.outcomes)} parts checked, {len(done.changes.raised)} alerts raised, "
        f"{len(done.changes.cleared)} cleared, {done.waiting} hours waiting ({done.seconds:.1f} s)"
    )


def _tell(outcome: Outcome) -> None:
    held = len(outcome.findings) - len(outcome.broken) - len(outcome.unjudged)
    typer.echo(
        f"{outcome.table} {outcome.part}: {outcome.rows:,} rows, "
        f"{held} of {len(outcome.findings)} rules hold ({outcome.seconds:.1f} s)"
    )
    for finding in outcome.unjudged if outcome.rows else ():
        typer.echo(f"  not judged: {finding.rule}: {finding.error}")
    for finding in outcome.broken:
        rows = "" if finding.error or finding.subjects else " rows"
        typer.echo(f"  BROKEN {finding.rule}: {finding.told}{rows}")
