"""`platelake dead-letters …`: look at messages that could not be used, and send them back."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from alpr.records import DeadLetter
    from ingest.dead_letters import Letters, Stored

_EXIT_NOT_SO: Final = 1
_CAMERA_KEY: Final = re.compile(rb"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")

_Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", help="Kafka brokers; the local stack's unless said otherwise."),
]
_Home = Annotated[Path | None, typer.Option("--home", help="State directory of the stack.")]
_Reason = Annotated[
    list[str] | None, typer.Option("--reason", help="Only this reason; may be repeated.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]

_group = typer.Typer(help="Messages that could not be used.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_group, name="dead-letters")


@_group.command("list")
def list_letters(
    reason: _Reason = None,
    topic: Annotated[str | None, typer.Option(help="Only what came from this topic.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 100,
    bootstrap: _Bootstrap = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """List them, each message once, with how many there are of each reason.

    Example: platelake dead-letters list --reason not-json
    """

    def wanted(letter: DeadLetter) -> bool:
        return (not reason or letter.reason in reason) and topic in (None, letter.topic)

    letters = _gather(_broker(bootstrap, home), wanted)
    shown = letters.stored[-limit:]
    if as_json:
        _print(
            {
                "messages": len(letters.stored),
                "reasons": letters.reasons,
                "unreadable": letters.unreadable,
                "letters": [_summary(each) for each in shown],
            }
        )
        return
    for each in shown:
        letter = each.letter
        typer.echo(
            f"{each.id:<24} {letter.at:%Y-%m-%d %H:%M:%S} {letter.reason:<18} "
            f"{','.join(each.jobs):<12} {letter.value_size:>9} B  {letter.detail}"
        )
    for name, count in letters.reasons.items():
        typer.echo(f"{count:>8} {name}")
    if letters.unreadable:
        typer.echo(f"{letters.unreadable:>8} messages of the topic are no dead letters")
    if not letters.stored:
        typer.echo("no dead letters")


@_group.command()
def show(
    identity: Annotated[str, typer.Argument(metavar="ID", help="topic/partition/offset.")],
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the message too; it may hold a plate.")
    ] = False,
    bootstrap: _Bootstrap = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Show one in full; what may hold a plate is hidden without --reveal.

    Example: platelake dead-letters show reads/2/41
    """
    (stored,) = _select(_broker(bootstrap, home), [identity], None)
    fields = _summary(stored) | _contents(stored, reveal)
    if as_json:
        _print(fields)
        return
    for name, value in fields.items():
        typer.echo(f"{name:<11} {value if isinstance(value, str) else json.dumps(value)}")


@_group.command()
def replay(
    identities: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="topic/partition/offset.")
    ] = None,
    reason: _Reason = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    bootstrap: _Bootstrap = None,
    home: _Home = None,
    as_json: _Json = False,
) -> None:
    """Send messages back to their topics as they came; exit code 1 if one was not kept.

    Do it once the fault is mended. Example:
    platelake dead-letters replay --reason schema-version --yes
    """
    from ingest import dead_letters

    if not identities and not reason:
        raise typer.BadParameter("say which: an ID or --reason")
    broker = _broker(bootstrap, home)
    selected = _select(broker, identities, reason)
    if selected and not yes:
        topics = sorted({each.letter.topic for each in selected})
        question = f"send {len(selected)} messages back to {', '.join(topics)}?"
        typer.confirm(question, abort=True, err=True)
    with _open_producer(broker) as sender:
        done = dead_letters.replay(selected, sender)
    if as_json:
        _print({"sent": list(done.sent), "refused": list(done.refused)})
    else:
        typer.echo(f"sent back: {len(done.sent)}")
        for identity in done.refused:
            typer.echo(f"not kept, so not sent back: {identity}")
    if done.refused:
        raise typer.Exit(_EXIT_NOT_SO)


def _broker(bootstrap: str | None, home: Path | None) -> str:
    if bootstrap is not None:
        return bootstrap
    from infra.settings import load

    return f"127.0.0.1:{load(home=home).ports.kafka}"


def _open_producer(bootstrap: str) -> Any:
    from ingest.producer import Producer

    return Producer(bootstrap)


def _gather(broker: str, wanted: Callable[[DeadLetter], bool], *, values: bool = False) -> Letters:
    from ingest.consumer import snapshot
    from ingest.dead_letters import gather
    from ingest.topics import DEAD_LETTERS

    return gather(snapshot(broker, DEAD_LETTERS), wanted, values=values)


def _select(
    broker: str, identities: list[str] | None, reasons: list[str] | None
) -> tuple[Stored, ...]:
    """The letters of these identities, if any are given, and of these reasons, if any are."""
    from alpr.errors import BadInput
    from ingest.dead_letters import letter_id

    def wanted(letter: DeadLetter) -> bool:
        return (not identities or letter_id(letter) in identities) and (
            not reasons or letter.reason in reasons
        )

    stored = _gather(broker, wanted, values=True).stored
    missing = sorted(set(identities or ()) - {each.id for each in stored})
    if missing:
        raise BadInput(
            "no-such-letter",
            f"no dead letter of {', '.join(missing)} is there: see `platelake dead-letters list`",
        )
    return stored


def _summary(stored: Stored) -> dict[str, Any]:
    letter = stored.letter
    return {
        "id": stored.id,
        "reason": letter.reason,
        "detail": letter.detail,
        "jobs": list(stored.jobs),
        "at": letter.at.isoformat(),
        "copies": stored.copies,
        "size": letter.value_size,
        "kept": stored.kept,
    }


def _contents(stored: Stored, reveal: bool) -> dict[str, Any]:
    letter = stored.letter
    camera = letter.key is not None and _CAMERA_KEY.fullmatch(letter.key)
    return {
        "key": _text(letter.key) if reveal or camera else _hidden(letter.key),
        "headers": {name: _text(raw) if reveal else _hidden(raw) for name, raw in letter.headers},
        "value": _text(letter.value) if reveal else _hidden(letter.value),
    }


def _text(raw: bytes | None) -> str:
    if raw is None:
        return "none"
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"base64:{base64.b64encode(raw).decode()}"


def _hidden(raw: bytes | None) -> str:
    return "none" if raw is None else f"{len(raw)} bytes, shown with --reveal"


def _print(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2))
