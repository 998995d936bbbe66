"""`platelake retain run`: purge what has ended, verify that it is gone, certify it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Config, Every, Home, Json, Profile, open_lake, stop_event

if TYPE_CHECKING:
    from catalog.lake import Lake
    from catalog.retention.purge import PurgeReport, Renew
    from catalog.retention.verification import Verification
    from catalog.retention.verify import Progress
    from cli.installation import Installation

_EXIT_NOT_SO = 1


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(run)


def run(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would go now; change nothing.")
    ] = False,
    share: Annotated[
        float,
        typer.Option(
            "--verify", min=0.0001, max=1.0, help="Share of the data to decode afterwards; 1: all."
        ),
    ] = 0.01,
    store_disk: Annotated[
        Path | None,
        typer.Option(
            "--store-disk",
            metavar="DIR",
            help="MinIO's own folder, to wait until its trash is empty; the installation's.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="FILE", help="Signing key; needed with --config."),
    ] = None,
    every: Every = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Purge what has come to its end, verify that its bytes are gone, and certify it.

    Of a local stack it also deletes old logs, and state that no job needs any more. Safe beside
    the jobs and compaction, safe to kill at any moment and to run again. Exit code 1 if anything
    is left that had to go, could not be copied to evidence, or has no policy. As a service it
    outlives an unavailable catalogue or store. With --json, one line a run.

    Example: platelake retain run --profile full --every 3600
    """
    from alpr.errors import ConfigurationError, Fenced, Unavailable

    lake = open_lake(config, profile, home)
    if dry_run:
        _tell_due(lake, as_json)
        return
    disk, installation = store_disk, None
    if config is None:
        from cli.installation import Installation

        installation = Installation.of(profile, home)
        key = key or installation.certificate_key
        disk = disk or installation.store_disk
    elif key is None:
        raise ConfigurationError("with --config, --key must name the file of the signing key")
    stop = stop_event() if every is not None else None
    while stop is None or not stop.is_set():
        try:
            sound = _run_once(lake, key, disk, round(share * 1_000_000), as_json)
            if installation is not None:
                _sweep(installation)
        except (Fenced, Unavailable) as error:
            if stop is None:
                raise
            typer.echo(f"platelake: {error}", err=True)
        else:
            if stop is None:
                raise typer.Exit(0 if sound else _EXIT_NOT_SO)
        stop.wait(every)


def _run_once(lake: Lake, key_file: Path, disk: Path | None, share_ppm: int, as_json: bool) -> bool:
    """One purge, and what dead ones left; whether all is as it must be."""
    from rich.console import Console

    from catalog.retention.ledger import issue_certificate
    from catalog.retention.purge import run_purge
    from catalog.retention.signing import SigningKey
    from catalog.retention.verify import verify

    key = SigningKey.load_or_make(key_file)
    console = Console(stderr=True)
    checks: dict[str, Verification] = {}
    with console.status("purging", spinner="line") as status:

        def certify(report: PurgeReport, renew: Renew) -> None:
            def tell(progress: Progress) -> None:
                renew()
                status.update(f"verified {progress.objects:,} of {progress.of:,} objects")

            checks[report.run_id] = verify(
                lake,
                lake.retention,
                report.judged_at,
                share_ppm=share_ppm,
                store_disk=disk,
                progress=tell,
            )
            issue_certificate(lake, report, checks[report.run_id], key, datetime.now(UTC))

        reports = run_purge(lake, certify=certify, on_step=status.update)
    for report in reports:
        _tell(report, checks[report.run_id], as_json)
    settled = _finish_orders(lake)
    return settled and all(report.ok and checks[report.run_id].ok for report in reports)


def _sweep(installation: Installation) -> None:
    """What stopped jobs, crashed processes and old logs left in the state directory."""
    from infra.leftovers import sweep_stack

    gone = sweep_stack(installation.stack, datetime.now(UTC).timestamp())
    if gone:
        typer.echo(f"platelake: deleted {len(gone)} old checkpoints, savepoints, logs", err=True)


def _finish_orders(lake: Lake) -> bool:
    """Go on with moves and removals that were cut off; whether none is left in trouble."""
    from alpr.errors import Corrupt
    from catalog.retention.orders import finish_orders
    from catalog.retention.rewrite import Held

    try:
        finish_orders(lake, datetime.now(UTC))
    except (Held, Corrupt) as error:
        typer.echo(f"platelake: an order of an agency cannot be finished: {error}", err=True)
        return False
    return True


def _tell(report: PurgeReport, check: Verification, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(_as_json(report, check), default=str))
        return
    rows = sum(each.rows for each in report.ended)
    size = sum(each.bytes + each.pack_bytes for each in report.ended)
    took = sum(report.seconds.values())
    typer.echo(
        f"run {report.run_id}{' (resumed)' if report.resumed else ''}: {rows:,} rows of "
        f"{len(report.ended)} days and classes, {size:,} bytes, gone in {took:.1f} s"
    )
    for each in report.ended:
        typer.echo(
            f"  {each.table:5} {each.partition.date} {each.partition.retention_class}: "
            f"{each.rows:,} rows in {each.files} files, {each.packs} packs of images"
        )
    for erased in report.evidence:
        typer.echo(
            f"  evidence of hold {erased.hold_id}, which has ended: {erased.records} records"
        )
    for name, count in report.others.items():
        if count:
            typer.echo(f"  besides: {count} {name}")
    for hold, partitions in report.respected.items():
        typer.echo(f"  HELD by {hold}: {', '.join(sorted(p.folder for p in partitions))}")
    for unfinished in report.unfinished:
        typer.echo(f"  NOT COPIED hold {unfinished.hold_id}: {unfinished.why}")
    for name in report.unknown_classes:
        typer.echo(f"  UNKNOWN CLASS {name}: no policy has it, nothing of it goes")
    for address in report.remaining:
        typer.echo(f"  STILL THERE {address}")
    typer.echo(f"  {check.statement}")
    for finding in check.findings:
        typer.echo(f"  FOUND {finding.kind} {finding.where}: {finding.what}")


def _as_json(report: PurgeReport, check: Verification) -> dict[str, Any]:
    return {
        "run_id": report.run_id,
        "resumed": report.resumed,
        "ok": report.ok and check.ok,
        "started_at": report.started_at,
        "finished_at": report.finished_at,
        "judged_at": report.judged_at,
        "ended": [
            {
                "table": each.table,
                "day": each.partition.date,
                "retention_class": each.partition.retention_class,
                "rows": each.rows,
                "files": each.files,
                "bytes": each.bytes,
                "packs": each.packs,
                "pack_bytes": each.pack_bytes,
            }
            for each in report.ended
        ],
        "others": dict(report.others),
        "evidence_ended": [each.hold_id for each in report.evidence],
        "holds_respected": sorted(report.respected),
        "holds_not_copied": {each.hold_id: each.why for each in report.unfinished},
        "unknown_classes": list(report.unknown_classes),
        "remaining": list(report.remaining),
        "seconds": dict(report.seconds),
        "verification": check.as_json(),
    }


def _tell_due(lake: Lake, as_json: bool) -> None:
    from catalog.retention.purge import due
    from catalog.schemas import TABLES

    now = datetime.now(UTC)
    going = [
        {
            "table": name,
            "day": str(partition.date),
            "retention_class": partition.retention_class,
            "rows": sum(file.record_count for file in files),
            "files": len(files),
            "bytes": sum(file.file_size_in_bytes for file in files),
        }
        for name in TABLES
        for partition, files in due(lake, lake.table(name), now).items()
    ]
    if as_json:
        typer.echo(json.dumps({"due": going}))
        return
    for each in going:
        typer.echo(
            f"{each['table']:5} {each['day']} {each['retention_class']}: {each['rows']:,} rows"
        )
    typer.echo(f"{len(going)} days and classes have ended" if going else "nothing has ended")
