"""`platelake simulate frames | reads`: made-up traffic whose right answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.sending import Bootstrap, Json, bar, bootstrap_or_local, conclude

if TYPE_CHECKING:
    from datetime import datetime

_Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        help="Begin of event time, RFC 3339 with zone, instead of a time that ends now: "
        "the same seed and start give the same bytes.",
    ),
]
_Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same traffic.")]

_LEAD_S = 1.0

app = typer.Typer(help="Made-up cameras and reads, with the truth beside.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group to the program."""
    parent.add_typer(app, name="simulate")


def _instant(text: str | None) -> datetime | None:
    from datetime import datetime

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"no time: {text}", param_hint="--start") from error
    if at.utcoffset() is None:
        raise typer.BadParameter(f"a zone is required, e.g. {text}Z", param_hint="--start")
    return at


@app.command()
def frames(
    seed: _Seed = 1,
    start: _Start = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long.")] = 60.0,
    agencies: Annotated[int, typer.Option("--agencies", min=1, max=3)] = 3,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write pictures, truth and hot list here; do not send."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", help="Write what the cameras showed (JSON lines).")
    ] = None,
    hotlist: Annotated[
        Path | None, typer.Option("--hotlist", help="Write a made-up hot list (JSON lines).")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Send as fast as possible, not in real time.")
    ] = False,
    bootstrap: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Draw what made-up cameras of up to three agencies see, and send it in real time.

    Example: platelake simulate frames --seconds 30 --truth truth.jsonl
    """
    import time
    from datetime import UTC, datetime, timedelta

    from msgspec.structs import replace

    from ingest.codecs import encode_frame
    from ingest.producer import Producer
    from ingest.simulator.cameras import frames as frames_of
    from ingest.simulator.cameras import make_artists, paced
    from ingest.simulator.demo import demo_world
    from ingest.simulator.export import write_frames, write_hotlist
    from ingest.simulator.plan import make_plan
    from ingest.simulator.truth import write_truth
    from ingest.simulator.wanted import make_hotlist
    from ingest.topics import FRAMES

    def now() -> datetime:
        return datetime.now(UTC)

    world = demo_world(seed, agencies=agencies)
    artists = make_artists(world)
    # Real time begins when the broker is reached, so that the first frames are not late.
    lead = timedelta(seconds=0 if fast or out else _LEAD_S)
    plan = make_plan(world, _instant(start) or now() + lead, seconds)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        truth, hotlist = truth or out / "truth.jsonl", hotlist or out / "hotlist.jsonl"
    if truth is not None:
        write_truth(truth, plan.shown)
    if hotlist is not None:
        write_hotlist(make_hotlist(plan), hotlist)
    count = 0
    with bar("frames", len(plan.exposures)) as shown:
        stream = frames_of(plan, artists)
        if out is not None:
            for _ in write_frames(stream, out):
                count += 1
                shown.advance()
        else:
            with Producer(bootstrap_or_local(bootstrap)) as producer:
                for frame in stream if fast else paced(stream, now, time.sleep):
                    key, value, headers = encode_frame(replace(frame, received_at=now()))
                    producer.send(FRAMES, key=key, value=value, headers=headers)
                    count += 1
                    shown.advance()
    done = "sent" if out is None else "written"
    conclude(as_json, done, count, {}, passes_shown=len(plan.shown), start=plan.start.isoformat())


@app.command()
def reads(
    seed: _Seed = 1,
    start: _Start = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Different reads.")] = 100_000,
    rate: Annotated[
        float, typer.Option("--rate", min=0.001, help="Reads a second of event time.")
    ] = 1000.0,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for reads.jsonl[.gz] and truth.parquet.")
    ] = Path("simulated-reads"),
    packed: Annotated[bool, typer.Option("--gzip", help="Write reads.jsonl.gz.")] = False,
    cameras: Annotated[int, typer.Option("--cameras", min=1)] = 60,
    vehicles: Annotated[int, typer.Option("--vehicles", min=1)] = 50_000,
    late: Annotated[float, typer.Option("--late", help="Share uploaded late.")] = 0.02,
    duplicate: Annotated[float, typer.Option("--duplicate", help="Share sent twice.")] = 0.01,
    drifting: Annotated[
        float, typer.Option("--drifting", help="Share of cameras whose clock is wrong.")
    ] = 0.05,
    wrong_state: Annotated[
        float, typer.Option("--wrong-state", help="Share naming another state.")
    ] = 0.03,
    as_json: Json = False,
) -> None:
    """Write reads with known faults, to be sent with `platelake feed reads`.

    Example: platelake simulate reads --count 1000000 --out load
    """
    import time
    from datetime import UTC, datetime, timedelta

    from alpr.errors import ConfigurationError
    from ingest.simulator.reads import Faults, Traffic, write_reads

    try:
        faults = Faults(late=late, duplicate=duplicate, drifting=drifting, wrong_state=wrong_state)
        # Early enough that the last late upload has come by now.
        ago = timedelta(seconds=count / rate + faults.late_seconds)
        traffic = Traffic(
            seed=seed, start=_instant(start) or datetime.now(UTC) - ago, reads=count, rate=rate,
            cameras=cameras, vehicles=vehicles, faults=faults,
        )  # fmt: skip
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    out.mkdir(parents=True, exist_ok=True)
    path = out / ("reads.jsonl.gz" if packed else "reads.jsonl")
    begin = time.monotonic()
    lines = write_reads(traffic, path, out / "truth.parquet")
    elapsed = time.monotonic() - begin
    conclude(as_json, "written", lines, {}, file=str(path), reads_a_second=round(lines / elapsed))
