"""`platelake feed frames | reads`: put real input in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.sending import Bootstrap, Json, Refusals, bar, bootstrap_or_local, conclude

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, tzinfo

    from alpr.errors import BadInput
    from alpr.records import Read
    from ingest.feed.pictures import Picture

_Rate = Annotated[float | None, typer.Option("--rate", min=0.001, help="At most so many a second.")]

app = typer.Typer(help="Send pictures or reads to the platform.", no_args_is_help=True)


def register(parent: typer.Typer) -> None:
    """Add the group to the program."""
    parent.add_typer(app, name="feed")


@app.command()
def frames(
    source: Annotated[str, typer.Argument(help="Folder, picture, video, or rtsp://… address.")],
    camera: Annotated[
        str, typer.Option("--camera", help="agency/camera that the pictures are of.")
    ],
    rate: _Rate = None,
    kind: Annotated[
        Literal["fixed", "mobile", "portable"], typer.Option("--kind", help="Kind of camera.")
    ] = "fixed",
    latitude: Annotated[float | None, typer.Option("--lat", min=-90, max=90)] = None,
    longitude: Annotated[float | None, typer.Option("--lon", min=-180, max=180)] = None,
    heading: Annotated[
        float | None, typer.Option("--heading", min=0, max=359.999, help="Degrees from north.")
    ] = None,
    captured: Annotated[
        Literal["now", "exif", "file"],
        typer.Option(
            "--captured",
            help="Capture time: now, the pictures' EXIF, or when the file was written. "
            "For a video, `file` counts on from then.",
        ),
    ] = "now",
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of EXIF times that name none.")
    ] = "UTC",
    first_sequence: Annotated[
        int, typer.Option("--first-sequence", min=0, help="Number of the first frame.")
    ] = 0,
    bootstrap: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Send pictures as frames of one camera, in order; exit code 1 if any was refused.

    JPEG files are passed on byte for byte; other pictures are encoded.
    An address is read until Ctrl-C, reconnecting when the camera falls silent.

    Example: platelake feed frames pictures/ --camera northfield-pd/main-st --rate 5
    """
    import time
    from datetime import UTC, datetime

    from ingest.feed.send import Source, Tally, pace, parse_camera, send_pictures
    from ingest.producer import Producer

    agency, name = parse_camera(camera)
    origin = Source(agency, name, kind, latitude, longitude, heading)

    def now() -> datetime:
        return datetime.now(UTC)

    tally = Tally()
    pictures, total, live = _pictures(source, captured, _zone(zone), rate, now)
    with Producer(bootstrap_or_local(bootstrap)) as producer:
        with bar("frames", total) as shown:
            try:
                for _ in send_pictures(
                    pictures,
                    origin,
                    producer,
                    tally,
                    clock=now,
                    # A live camera sets its own pace.
                    wait=pace(None if live else rate, time.monotonic, time.sleep),
                    on_refused=Refusals(shown),
                    first_sequence=first_sequence,
                ):
                    shown.advance()
            except KeyboardInterrupt:
                if not live:
                    raise
        producer.flush()
    conclude(as_json, "sent", tally.sent, tally.refused, camera=camera)


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise typer.BadParameter(f"no such time zone: {name}", param_hint="--zone") from error


def _pictures(
    source: str, captured: str, zone: tzinfo, rate: float | None, now: Callable[[], datetime]
) -> tuple[Iterator[Picture | BadInput], int | None, bool]:
    """The pictures of a source, how many there are if that is known, and whether it is live."""
    import time
    from datetime import UTC, datetime

    from alpr.errors import ConfigurationError
    from ingest.feed.pictures import SUFFIXES, Clock, load_all, picture_paths
    from ingest.feed.video import from_file, from_stream, is_stream

    if is_stream(source):
        stream = from_stream(
            source,
            rate,
            clock=now,
            sleep=time.sleep,
            on_lost=lambda wait: typer.echo(f"no pictures: again in {wait:.0f} s", err=True),
        )
        return stream, None, True
    path = Path(source)
    if not path.exists():
        raise ConfigurationError(f"a folder, picture, video or address was required, got {source}")
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        paths = picture_paths(path)
        return load_all(paths, Clock(captured), zone), len(paths), False
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return from_file(path, written if captured == "file" else now(), rate), None, False


@app.command()
def reads(
    file: Annotated[Path, typer.Argument(help="JSON lines of reads; .gz is unpacked.")],
    rate: _Rate = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Send the file so often.")] = 1,
    keep_received: Annotated[
        bool,
        typer.Option(
            "--keep-received", help="Keep each read's received_at instead of the time of sending."
        ),
    ] = False,
    retention: Annotated[
        Path | None,
        typer.Option(
            "--retention",
            metavar="FILE",
            help="Retention file by which late reads are refused; that of the local installation "
            "unless another broker is named.",
        ),
    ] = None,
    bootstrap: Bootstrap = None,
    as_json: Json = False,
) -> None:
    """Send reads from a file; exit code 1 if any line was refused.

    Reads that their agency's policy has let go already are refused, not sent.

    Example: platelake feed reads reads.jsonl.gz --rate 1000
    """
    import time
    from datetime import UTC, datetime

    from alpr.errors import ConfigurationError
    from ingest.feed.send import Tally, pace, send_reads
    from ingest.producer import Producer

    if not file.is_file():
        raise ConfigurationError(f"a file of reads was required, {file} is none")
    tally = Tally()
    admit = _admission(retention, bootstrap)
    begin = time.monotonic()
    wait = pace(rate, time.monotonic, time.sleep)
    with Producer(bootstrap_or_local(bootstrap), linger_ms=20) as producer:
        size = None if file.suffix == ".gz" else file.stat().st_size * repeat
        with bar("reads", size, as_bytes=True) as shown:
            refusals = Refusals(shown)
            for _ in range(repeat):
                waiting = 0
                for length in send_reads(
                    file,
                    producer,
                    tally,
                    wait=wait,
                    on_refused=refusals,
                    clock=None if keep_received else lambda: datetime.now(UTC),
                    admit=admit,
                ):
                    waiting += length
                    if waiting > 1 << 18:  # a bar drawn for every line would cost more than it
                        shown.advance(waiting)
                        waiting = 0
                shown.advance(waiting)
            producer.flush()
    elapsed = time.monotonic() - begin
    conclude(as_json, "sent", tally.sent, tally.refused, reads_a_second=round(tally.sent / elapsed))


def _admission(file: Path | None, bootstrap: str | None) -> Callable[[Read], object] | None:
    """What refuses reads past their retention; None where nobody says which policies apply."""
    from datetime import UTC, datetime

    from alpr.admission import Admission
    from catalog.policies import load_retention

    if file is None:
        if bootstrap is not None:
            return None
        from cli.installation import Installation

        file = Installation.of().retention_file
        if not file.exists():
            return None
    admission = Admission(load_retention(file), lambda: datetime.now(UTC))
    return lambda read: admission.check("read", read, read.source)
