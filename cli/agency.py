"""`platelake agency data …`: a contributing agency's own rows, at its own request (S1-CP6)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.acting import By, Key, Reason, day_of, print_json, signing_key, utc_now, who
from cli.agency_policy import register as register_policies
from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    from alpr.orders import OrderState

_EXIT_NOT_SO = 1

_app = typer.Typer(help="Contributing agencies.", no_args_is_help=True)
_data = typer.Typer(help="An agency's own rows: find, export, remove.", no_args_is_help=True)
_app.add_typer(_data, name="data")

_Agency = Annotated[str, typer.Argument(metavar="AGENCY")]
_From = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="First local day of capture."),
]
_To = Annotated[
    datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last local day of capture.")
]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    register_policies(_app)
    app.add_typer(_app, name="agency")


@_data.command()
def find(
    agency: _Agency,
    first: _From = None,
    last: _To = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """How many rows the lake has of an agency, by table, day and class; exit code 1 if none.

    Example: platelake agency data find northfield-pd --from 2026-11-01
    """
    from catalog.retention.agency_data import find as look

    shares = look(open_lake(config, profile, home), agency, day_of(first), day_of(last))
    if as_json:
        print_json(
            [
                {
                    "table": share.table,
                    "day": share.day.isoformat(),
                    "retention_class": share.retention_class,
                    "rows": share.rows,
                    "cameras": sorted(share.cameras),
                    "first_captured": share.first and share.first.isoformat(),
                    "last_captured": share.last and share.last.isoformat(),
                }
                for share in shares
            ]
        )
    else:
        for share in shares:
            typer.echo(
                f"{share.table} {share.day} {share.retention_class}: {share.rows:,} rows of "
                f"{len(share.cameras)} cameras"
            )
        typer.echo(f"{sum(share.rows for share in shares):,} rows of {agency}")
    if not shares:
        raise typer.Exit(_EXIT_NOT_SO)


@_data.command()
def export(
    agency: _Agency,
    to: Annotated[Path, typer.Option("--into", metavar="DIR", help="A new folder.")],
    reason: Reason,
    first: _From = None,
    last: _To = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of Parquet.")] = False,
    images: Annotated[bool, typer.Option("--images", help="With every picture.")] = False,
    by: By = None,
    key: Key = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write an agency's rows into a sealed folder, with a manifest; it stays on record.

    Example: platelake agency data export northfield-pd --into handout --reason "its request 7"
    """
    from catalog.retention.agency_data import export_agency
    from catalog.retention.orders import Orders

    lake = open_lake(config, profile, home)
    signer, counts = signing_key(key, config, profile, home), {}

    def write() -> tuple[str, int]:
        done, rows = export_agency(
            lake,
            agency,
            to,
            by=who(by),
            at=utc_now(),
            key=signer,
            first=day_of(first),
            last=day_of(last),
            as_csv=as_csv,
            images=images,
        )
        counts.update(rows)
        return done.digest, sum(rows.values())

    state = Orders(lake, utc_now).export(
        agency, write, by=who(by), reason=reason, first=day_of(first), last=day_of(last)
    )
    if as_json:
        print_json(as_plain(state) | {"folder": str(to), "rows": counts})
    else:
        rows = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        typer.echo(f"{to}: {rows}; order {state.order.order_id}")


@_data.command()
def remove(
    agency: _Agency,
    reason: Reason,
    first: _From = None,
    last: _To = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Delete an agency's rows and images, in every old state of the tables too.

    Copies under a hold stay until the hold ends. What the agency's cameras send later lands
    again: stop them first. Safe beside the jobs, safe to kill: any later run, of this command
    or `agency data orders --finish`, goes on. Exit code 1 if something is left to be done.

    Example: platelake agency data remove northfield-pd --to 2026-06-30 --reason "its request 8"
    """
    from catalog.retention.orders import Orders

    if not yes:
        typer.confirm(f"Delete what {agency} contributed, for good?", abort=True, err=True)
    state = Orders(open_lake(config, profile, home), utc_now).remove(
        agency, by=who(by), reason=reason, first=day_of(first), last=day_of(last)
    )
    tell([state], as_json)


@_data.command()
def orders(
    finish: Annotated[
        bool, typer.Option("--finish", help="Go on with those that are not finished.")
    ] = False,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Every export, removal and move that an agency ordered: who, why, what was done.

    Example: platelake agency data orders --json
    """
    from catalog.retention.orders import Orders

    known = Orders(open_lake(config, profile, home), utc_now)
    tell(known.finish() if finish else known.all(), as_json, check=finish)


def tell(states: list[OrderState], as_json: bool, *, check: bool = True) -> None:
    """Print orders; exit code 1 if one is not finished, unless told not to check."""
    if as_json:
        print_json([as_plain(state) for state in states])
    else:
        for state in states:
            typer.echo(_line(state))
    if check and any(state.finished is None for state in states):
        raise typer.Exit(_EXIT_NOT_SO)


def as_plain(state: OrderState) -> dict[str, Any]:
    """An order as plain values, for JSON."""
    order = state.order
    return {
        "order_id": order.order_id,
        "action": order.action,
        "agency": order.agency,
        "first": order.first and order.first.isoformat(),
        "last": order.last and order.last.isoformat(),
        "to_class": order.to_class,
        "reason": order.reason,
        "by": order.by,
        "at": order.at.isoformat(),
        "moved": state.moved,
        "removed": state.removed,
        "expired": state.expired,
        "duplicates": state.duplicates,
        "by_day": state.by_day,
        "files_deleted": state.files_deleted,
        "packs_deleted": state.packs_deleted,
        "waiting": state.waiting,
        "handed": state.handed and state.handed.rows,
        "manifest_sha256": state.handed and state.handed.digest,
        "finished_at": state.finished and state.finished.at.isoformat(),
        "held_by": list(state.finished.held) if state.finished else [],
    }


def _line(state: OrderState) -> str:
    order = state.order
    if order.action == "export":
        done = f"{state.handed.rows:,} rows handed out" if state.handed else "never completed"
    else:
        done = (
            f"{state.moved:,} rows moved, {state.removed:,} removed, "
            f"{state.expired:,} past their end"
        )
        if state.finished is None:
            done += f"; not finished, {state.waiting} objects are too young to be sure"
        elif state.finished.held:
            done += f"; copies stay under {len(state.finished.held)} holds"
    return f"{order.order_id} {order.action} {order.agency} by {order.by}: {done}"
