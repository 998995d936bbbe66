"""`platelake retain move`: rows into the class that their agency's policy now has for them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from cli.acting import By, Reason, day_of, utc_now, who
from cli.options import Config, Home, Json, Profile, open_lake


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command()(move)


def move(
    agency: Annotated[str, typer.Option("--agency", help="Whose rows.")],
    reason: Reason,
    to_class: Annotated[
        str | None,
        typer.Option("--to", metavar="CLASS", help="A class of its policy, instead of the first."),
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--first", formats=["%Y-%m-%d"], help="First local day of capture."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--last", formats=["%Y-%m-%d"], help="Last local day of capture."),
    ] = None,
    by: By = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put an agency's rows, with their images, into the class that its policy now says.

    For an agency that changed its policy. Start the jobs with the new policy first, or rows that
    they still put into the old class stay there until the next move. Rows that have ended in
    their new class are deleted, and counted. Safe beside the jobs, safe to kill: any later run
    goes on. Exit code 1 if something is left to be done.

    Example: platelake retain move --agency northfield-pd --reason "30 days since 1 November"
    """
    from catalog.retention.orders import Orders
    from cli.agency import tell

    state = Orders(open_lake(config, profile, home), utc_now).move(
        agency,
        by=who(by),
        reason=reason,
        to_class=to_class,
        first=day_of(first),
        last=day_of(last),
    )
    tell([state], as_json)
