"""`platelake retain verify`: is everything gone that has ended?"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from catalog.retention.topics import TopicState
    from catalog.retention.verification import Finding, Verification

_EXIT_NOT_SO = 1


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(verify)


def verify(
    sample: Annotated[
        float | None,
        typer.Option(
            "--sample", metavar="SHARE", min=0.000001, max=1.0, help="Open this share of the data."
        ),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Open everything; the default.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Which sample is drawn.")] = 0,
    store_disk: Annotated[
        Path | None,
        typer.Option(
            "--store-disk",
            metavar="DIR",
            help="Look at MinIO's own folder too; the installation's, unless --config is given.",
        ),
    ] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Ask the broker what its topics keep.")
    ] = False,
    bootstrap: Annotated[
        str | None, typer.Option("--bootstrap", help="The broker, instead of the installation's.")
    ] = None,
    canary: Annotated[
        Path | None,
        typer.Option(
            "--canary",
            metavar="FILE",
            help="Search for what `retain canary plant` planted, in the lake and its database.",
        ),
    ] = None,
    attest: Annotated[
        str | None,
        typer.Option("--attest", metavar="RUN", help="Sign the result, about this run's purge."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Signing key, for --attest.")
    ] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Decode what is stored and show that nothing is left that has ended; exit 1 if something is.

    Works from the bytes and the policies alone: neither the purge's records nor the table's
    metadata are believed. Beside running jobs, what comes and goes meanwhile is no finding.

    Example: platelake retain verify --profile full --kafka
    """
    from alpr.errors import ConfigurationError
    from catalog.retention import ledger
    from catalog.retention.signing import SigningKey
    from catalog.retention.verify import ALL_PPM
    from catalog.retention.verify import verify as check
    from cli.progress import byte_bar

    if full and sample is not None:
        raise typer.BadParameter("--full and --sample exclude each other")
    lake = open_lake(config, profile, home)
    if config is None:
        from cli.installation import Installation

        installation = Installation.of(profile, home)
        store_disk = store_disk or installation.store_disk
        bootstrap = bootstrap or (installation.stack.bootstrap if kafka else None)
        key = key or installation.certificate_key
    elif kafka and bootstrap is None:
        raise typer.BadParameter("with --config, --kafka needs --bootstrap")
    if attest is not None:
        if key is None:
            raise ConfigurationError("with --config, --key must name the file of the signing key")
        ledger.find(lake, attest)  # before the work, not after it
    more: Sequence[Finding] | None = None
    if canary is not None:
        from catalog.retention.canary import Canary
        from catalog.retention.search import Database, Objects, search

        needles = Canary.load(canary).needles()
        more = search(needles, [Objects(lake), Database(lake.catalog.engine)]).findings()
    with byte_bar("verifying") as show:
        result = check(
            lake,
            lake.retention,
            datetime.now(UTC),
            share_ppm=ALL_PPM if sample is None else round(sample * ALL_PPM),
            seed=seed,
            store_disk=store_disk,
            topics=None if bootstrap is None else lambda: _topics(bootstrap),
            more=more,
            progress=lambda at: show(at.bytes, at.of_bytes),
        )
    if attest is not None and key is not None:
        run = ledger.find(lake, attest).run_id
        ledger.attest(lake, result, SigningKey.load_or_make(key), datetime.now(UTC), run)
    _tell(result, as_json)
    if not result.ok:
        raise typer.Exit(_EXIT_NOT_SO)


def _topics(bootstrap: str) -> list[TopicState]:
    from catalog.retention.topics import TopicState
    from ingest.kept import kept_topics

    return [
        TopicState(each.name, each.wanted, each.found, each.oldest)
        for each in kept_topics(bootstrap)
    ]


def _tell(result: Verification, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
        return
    seconds = (result.finished_at - result.started_at).total_seconds()
    typer.echo(result.statement)
    for kind, count in result.listed.items():
        typer.echo(f"  {kind}: {result.decoded.get(kind, 0):,} of {count:,} decoded")
    typer.echo(
        f"  {result.rows:,} rows, {result.images:,} images, {result.decoded_bytes / 1e6:,.1f} MB "
        f"in {seconds:.1f} s; {result.held:,} held; looked at: {', '.join(result.scope)}"
    )
    for finding in result.findings:
        typer.echo(f"  FOUND {finding.kind} {finding.where}: {finding.what} ({finding.count})")
    for limit in result.limits:
        typer.echo(f"  not seen: {limit}")
