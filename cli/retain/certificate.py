"""`platelake retain certificate …`: show, list and check the certificates of purges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    from catalog.retention.certificate import Certificate
    from catalog.retention.signing import PublicKey

_EXIT_NOT_SO = 1

_app = typer.Typer(help="Signed records of what was purged, and why.")
_Run = Annotated[str | None, typer.Argument(help="A run's id or its beginning; the newest.")]


def register(app: typer.Typer) -> None:
    """Add the group to the group."""
    app.add_typer(_app, name="certificate", no_args_is_help=True)


@_app.command(name="list")
def list_(
    config: Config = None, profile: Profile = None, home: Home = None, as_json: Json = False
) -> None:
    """Every certificate and attestation, oldest first.

    Example: platelake retain certificate list --profile full
    """
    from catalog.retention import ledger
    from catalog.retention.certificate import Signed

    found = [
        (entry, Signed.parse(entry.document, f"certificate {entry.number}").content)
        for entry in ledger.entries(open_lake(config, profile, home))
    ]
    if as_json:
        told = [
            {
                "number": entry.number,
                "kind": entry.kind,
                "run_id": entry.run_id,
                "issued_at": content.issued_at.isoformat(),
                "rows": sum(day.rows for day in content.days),
                "digest": entry.digest,
            }
            for entry, content in found
        ]
        typer.echo(json.dumps(told, indent=2))
        return
    for entry, content in found:
        rows = sum(day.rows for day in content.days)
        typer.echo(
            f"{entry.number:4} {content.issued_at.isoformat(timespec='seconds')} {entry.kind} "
            f"{entry.run_id}: {rows:,} rows of {len(content.days)} days and classes"
        )


@_app.command()
def show(
    run: _Run = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page to read and print."),
    ] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """One certificate. It is shown as it is stored: `check` says whether it is genuine.

    Example: platelake retain certificate show --html certificate.html
    """
    from catalog.retention import ledger
    from catalog.retention.certificate import Signed
    from catalog.retention.page import page

    entry = ledger.find(open_lake(config, profile, home), run)
    signed = Signed.parse(entry.document, f"certificate {entry.number}")
    if html is not None:
        html.write_text(page(signed), "utf-8")
        typer.echo(f"written: {html}", err=True)
    if as_json:
        typer.echo(signed.document.decode())
    elif html is None:
        _tell(signed.content, signed.digest)


@_app.command()
def check(
    copy: Annotated[
        Path | None, typer.Argument(help="A copy kept elsewhere, which must be one of them.")
    ] = None,
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", metavar="FILE", help="Believe this key (PEM) only."),
    ] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Check signatures, chain, table, objects, and that every purge has one; exit 1 if not so.

    Without --public-key the installation's own key is believed; with --config and no key, the
    one stored beside the certificates, which proves less.

    Example: platelake retain certificate check --public-key platelake.pem
    """
    from alpr.errors import ConfigurationError
    from catalog.retention.audit import audit

    trusted = _trusted(config, profile, home, public_key)
    try:
        document = None if copy is None else copy.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {copy}: {error.strerror}") from error
    result = audit(open_lake(config, profile, home), trusted, document)
    if as_json:
        typer.echo(json.dumps(result.as_json(), indent=2))
    else:
        typer.echo(f"{result.certificates} certificates, the newest has digest {result.newest}")
        if result.by_store:
            typer.echo("the key believed is the one stored beside them: compare it with a copy")
        for fingerprint in result.trusted:
            typer.echo(f"  key {fingerprint}")
        for problem in result.problems:
            typer.echo(f"  PROBLEM {problem}")
    if result.problems:
        raise typer.Exit(_EXIT_NOT_SO)


def _trusted(
    config: Path | None, profile: str | None, home: Path | None, public_key: Path | None
) -> list[PublicKey]:
    from alpr.errors import ConfigurationError
    from catalog.retention.signing import PublicKey, SigningKey

    if public_key is not None:
        try:
            return [PublicKey.from_pem(public_key.read_bytes(), str(public_key))]
        except OSError as error:
            raise ConfigurationError(f"cannot read {public_key}: {error.strerror}") from error
    if config is None:
        from cli.installation import Installation

        key = Installation.of(profile, home).certificate_key
        if key.exists():
            return [SigningKey.load(key).public]
    return []


def _tell(content: Certificate, digest: str) -> None:
    typer.echo(f"certificate {content.number} of run {content.run_id}, {content.software}")
    typer.echo(f"  installation {content.installation}, digest {digest}")
    typer.echo(f"  what had ended by {content.judged_at.isoformat(timespec='seconds')} went:")
    for day in content.days:
        typer.echo(
            f"  {day.table:5} {day.day} {day.retention_class}: {day.rows:,} rows, "
            f"{day.files} files, {day.packs} packs, {day.bytes + day.pack_bytes:,} bytes; "
            f"{day.policy} {day.clause}: {day.kept_for}"
        )
    for hold in content.holds:
        typer.echo(f"  HELD by {hold.hold_id}: {', '.join(hold.partitions)}")
    for address in content.remaining:
        typer.echo(f"  STILL THERE {address}")
    check = content.verification
    typer.echo(f"  {check.statement}" if check else "  not verified")
    for finding in check.findings if check else ():
        typer.echo(f"  FOUND {finding.kind} {finding.where}: {finding.what}")
