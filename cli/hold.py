"""`platelake hold …`: keep records as evidence, hand them out, let them go."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.acting import By, Key, Reason, day_of, print_json, signing_key, utc_now, who
from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    from alpr.holds import HoldState
    from catalog.retention.holds import Holds
    from catalog.retention.selection import Query

_EXIT_NOT_SO = 1
_DAY = ["%Y-%m-%d"]
_MOMENT = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]
_KINDS = "evidence|case|disposition|discovery|acted-on-hit|preservation|directed"

_app = typer.Typer(help="Holds: records kept as evidence.", no_args_is_help=True)

_Hold = Annotated[str, typer.Argument(metavar="HOLD", help="Its id, or how it begins.")]


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_app, name="hold")


@_app.command()
def add(
    kind: Annotated[str, typer.Option("--kind", metavar=_KINDS, help="Why it must be kept.")],
    reason: Reason,
    clause: Annotated[
        str,
        typer.Option(
            "--clause", help="Of the policy or statute; by default the only one for this kind."
        ),
    ] = "",
    read: Annotated[list[str] | None, typer.Option("--read", help="Id of a read; repeat.")] = None,
    hit: Annotated[
        list[str] | None, typer.Option("--hit", help="Id of a hit; its read is held too; repeat.")
    ] = None,
    plate_file: Annotated[
        typer.FileText | None,
        typer.Option(
            "--plate-file",
            metavar="FILE",
            help="A file with a plate (-: standard input), so that it is in no list of processes.",
        ),
    ] = None,
    camera: Annotated[str | None, typer.Option("--camera", help="Only of this camera.")] = None,
    agency: Annotated[str | None, typer.Option("--agency", help="Only of this agency.")] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=_MOMENT, metavar="TIME", help="Captured at or after."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=_MOMENT, metavar="TIME", help="Captured before."),
    ] = None,
    day: Annotated[
        datetime | None,
        typer.Option("--day", formats=_DAY, help="Day of capture of the ids: finds them faster."),
    ] = None,
    case: Annotated[str, typer.Option("--case", help="Case number.")] = "",
    until: Annotated[
        datetime | None, typer.Option("--until", formats=_DAY, help="The last day it is in force.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Hold at most so many records.")
    ] = 1000,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before holding what was found.")
    ] = False,
    by: By = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Copy reads or hits, with their images, into evidence, where no purge reaches them.

    Name them by id, or by plate or camera and a range of time; with a range their hits are held
    too. Returns when the copies have been read back and compared. The same records for the same
    purpose again are the same hold. Exit code 1 if they had ended before, cannot be copied, or
    their policy (`platelake agency policies`) knows no such hold; a policy that states no holds
    at all takes any, with its clause named.

    Example: platelake hold add --kind case --case 26-1234 --clause S1-CP7b.iii
    --reason "robbery on Main Street" --read 0f3c…
    """
    from catalog.retention.holds import Holds, Purpose
    from catalog.retention.selection import select

    hold_kind = _kind(kind)
    query = _query(plate_file, camera, agency, first, last)
    if query is None and not (read or hit):
        raise typer.BadParameter(
            "name records: --read, --hit, or --plate-file with --from and --to"
        )
    lake = open_lake(config, profile, home)
    wanted_day = day_of(day)
    records = select(
        lake,
        reads=read or (),
        hits=hit or (),
        query=query,
        days=None if wanted_day is None else (wanted_day, wanted_day),
        limit=limit,
        progress=_progress(as_json),
    )
    if not records:
        typer.echo("nothing was found: no hold was made", err=True)
        raise typer.Exit(_EXIT_NOT_SO)
    if query is not None and not yes:
        count = {each: sum(r.kind == each for r in records) for each in ("read", "hit")}
        typer.confirm(f"Hold {count['read']} reads and {count['hit']} hits?", abort=True, err=True)
    purpose = Purpose(hold_kind, clause, reason, case, day_of(until))
    state = Holds(lake, who(by), utc_now).add(records, purpose)
    _tell(state, as_json)
    if state.status(utc_now()) != "held":
        raise typer.Exit(_EXIT_NOT_SO)


@_app.command()
def renew(
    hold: _Hold,
    reason: Reason,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=_DAY, help="The new last day; by default as its rule lasts."
        ),
    ] = None,
    by: By = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Put off the last day of a hold.

    Example: platelake hold renew 0f3c --reason "second request of the district attorney"
    """
    holds = _holds(config, profile, home, by)
    _tell(holds.renew(holds.find(hold), reason, day_of(until)), as_json)


@_app.command()
def release(
    hold: _Hold,
    reason: Reason,
    by: By = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """End a hold: its copies go with the next purge, unless another hold has them too.

    Example: platelake hold release 0f3c --reason "final disposition 26-1234"
    """
    holds = _holds(config, profile, home, by)
    _tell(holds.release(holds.find(hold), reason), as_json)


@_app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Every hold: what for, until when, and what has become of it.

    Example: platelake hold list --all --json
    """
    now = utc_now()
    states = [
        state
        for state in _holds(config, profile, home, None).all()
        if everything or state.status(now) in ("requested", "stuck", "held", "ended")
    ]
    if as_json:
        print_json([_as_json(state) for state in states])
        return
    for state in states:
        typer.echo(_line(state))


@_app.command()
def show(
    hold: _Hold,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """One hold with its history, and whether its copies are whole; exit code 1 if not.

    Example: platelake hold show 0f3c
    """
    import msgspec

    from alpr.errors import Corrupt
    from catalog.retention.evidence import check_copies

    lake = open_lake(config, profile, home)
    holds = _holds(config, profile, home, None)
    hold_id = holds.find(hold)
    state, problem = holds.state(hold_id), None
    try:
        copies = len(check_copies(lake, hold_id))
    except Corrupt as error:
        copies, problem = 0, str(error)
    events = json.loads(msgspec.json.encode(holds.history(hold_id)))
    if as_json:
        print_json(_as_json(state) | {"copies": copies, "problem": problem, "events": events})
    else:
        typer.echo(_line(state))
        for event in events:
            told = event.get("hold", event)
            words = told.get("reason") or event.get("why") or ""
            person = told.get("added_by") or event.get("by") or ""
            moment = told.get("added_at") or event.get("at")
            typer.echo(f"  {moment} {event['type']} {person} {words}".rstrip())
        typer.echo(f"  {copies} copies read and compared" if problem is None else f"  {problem}")
    if problem is not None or (state.status(utc_now()) == "held" and not copies):
        raise typer.Exit(_EXIT_NOT_SO)


@_app.command()
def export(
    hold: _Hold,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new folder on the medium.")],
    by: By = None,
    key: Key = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Write a hold's evidence to a sealed folder: records, pictures, manifest, signature.

    Example: platelake hold export 0f3c --to /media/usb/26-1234
    """
    from catalog.retention.export import export_hold

    lake, holds = open_lake(config, profile, home), _holds(config, profile, home, by)
    done = export_hold(
        lake,
        holds,
        holds.find(hold),
        to,
        by=who(by),
        at=utc_now(),
        key=signing_key(key, config, profile, home),
    )
    if as_json:
        print_json(
            {
                "folder": str(done.folder),
                "manifest_sha256": done.digest,
                "files": done.files,
                "bytes": done.bytes,
                "signed_by": done.signed_by,
            }
        )
        return
    signed = f"signed by {done.signed_by[:16]}…" if done.signed_by else "not signed"
    typer.echo(
        f"{done.folder}: {done.files} files, {done.bytes:,} bytes, {signed}\n"
        f"write this down, apart from the medium: {done.digest}"
    )


@_app.command("check-export")
def check_export(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    public_key: Annotated[
        Path | None,
        typer.Option("--public-key", metavar="FILE", help="PEM of who must have sealed it."),
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="What `hold export` told to write down.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Is an exported folder as it was sealed? Exit code 1 if a byte differs.

    Example: platelake hold check-export /media/usb/26-1234
    """
    from catalog.retention.copies import sha256
    from catalog.retention.export import check_export as check
    from catalog.retention.seal import MANIFEST
    from catalog.retention.signing import PublicKey

    trusted = (
        None if public_key is None else PublicKey.from_pem(public_key.read_bytes(), str(public_key))
    )
    problems = check(folder, trusted)
    if digest is not None and sha256((folder / MANIFEST).read_bytes()) != digest.lower():
        problems.append("the manifest is not the one whose digest was written down")
    if as_json:
        print_json({"folder": str(folder), "problems": problems})
    else:
        for problem in problems:
            typer.echo(f"PROBLEM {problem}")
        if not problems:
            typer.echo("every byte is as it was sealed")
    if problems:
        raise typer.Exit(_EXIT_NOT_SO)


def _holds(config: Path | None, profile: str | None, home: Path | None, by: str | None) -> Holds:
    from catalog.retention.holds import Holds

    return Holds(open_lake(config, profile, home), who(by), utc_now)


def _kind(text: str) -> Any:
    from alpr.holds import HOLD_KINDS

    if text not in HOLD_KINDS:
        raise typer.BadParameter(f"no kind {text!r}; there are {', '.join(HOLD_KINDS)}")
    return text


def _query(
    plate_file: Any,
    camera: str | None,
    agency: str | None,
    first: datetime | None,
    last: datetime | None,
) -> Query | None:
    from alpr.plates import canonical, is_canonical
    from catalog.retention.selection import Query

    if plate_file is None and camera is None:
        if agency or first or last:
            raise typer.BadParameter("--agency, --from and --to go with --plate-file or --camera")
        return None
    if first is None or last is None:
        raise typer.BadParameter("a plate or a camera needs --from and --to")
    plate = None if plate_file is None else canonical(plate_file.readline())
    if plate is not None and not is_canonical(plate):
        raise typer.BadParameter("the first line of --plate-file must be a plate")
    return Query(first, last, plate, agency, camera)


def _progress(as_json: bool) -> Any:
    def tell(done: int, all_: int) -> None:
        if not as_json and all_ > 20 and (done % 20 == 0 or done == all_):
            typer.echo(f"\rlooked at {done} of {all_} files", err=True, nl=done == all_)

    return tell


def _tell(state: HoldState, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(state))
    else:
        typer.echo(_line(state))


def _line(state: HoldState) -> str:
    hold, status = state.hold, state.status(utc_now())
    until = "released" if state.released else f"until {state.until or 'released'}"
    why = state.stuck or (state.refused.why if state.refused else "")
    return (
        f"{hold.hold_id} {status}: {len(hold.records)} records, {hold.kind} "
        f"{hold.case_number or '-'}, {hold.clause}, by {hold.added_by}, {until}"
        f"{f': {why}' if why and status in ('stuck', 'refused') else ''}"
    )


def _as_json(state: HoldState) -> dict[str, Any]:
    hold = state.hold
    until: date | None = state.until
    return {
        "hold_id": hold.hold_id,
        "status": state.status(utc_now()),
        "kind": hold.kind,
        "case_number": hold.case_number,
        "clause": hold.clause,
        "reason": hold.reason,
        "added_by": hold.added_by,
        "added_at": hold.added_at.isoformat(),
        "until": until and until.isoformat(),
        "ends_at": state.ends_at and state.ends_at.isoformat(),
        "records": len(hold.records),
        "images": state.copied.images if state.copied else None,
        "digest": state.copied.digest if state.copied else None,
        "exports": state.exports,
        "why": state.stuck or (state.refused.why if state.refused else None),
    }
