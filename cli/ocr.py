"""`platelake ocr read|eval`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alpr.errors import BadInput

if TYPE_CHECKING:
    from vision.port import PlateReading

_Json = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
_Recogniser = Annotated[
    str, typer.Option("--recogniser", help="Engine: platelake, or ppocr for comparison.")
]
_ocr = typer.Typer(help="Read plates in pictures, and measure how well.", no_args_is_help=True)

EXIT_FAILED = 1


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    app.add_typer(_ocr, name="ocr")


@_ocr.command()
def read(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="JPEG or PNG files.")],
    draw: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each picture with its plates drawn.")
    ] = None,
    recogniser: _Recogniser = "platelake",
    as_json: _Json = False,
) -> None:
    """Read the plates of pictures; a picture that cannot be read is told and makes it exit 1.

    Example: platelake ocr read gate.jpg yard.jpg --draw out/
    """
    from vision.decode import decode_file, encode_jpeg
    from vision.gallery import drawn
    from vision.port import open_recogniser

    engine = open_recogniser(recogniser)
    results: list[dict[str, Any]] = []
    for path in images:
        try:
            image = decode_file(_bytes(path))
        except BadInput as error:
            results.append({"file": str(path), "error": error.reason, "detail": error.detail})
            if not as_json:
                typer.echo(f"{path}: {error}", err=True)
            continue
        readings = engine.read(image)
        results.append({"file": str(path), "plates": [asdict(reading) for reading in readings]})
        if not as_json:
            _print(path, readings)
        if draw:
            draw.mkdir(parents=True, exist_ok=True)
            (draw / f"{path.stem}.read.jpg").write_bytes(encode_jpeg(drawn(image, readings)))
    if as_json:
        report = {"recogniser": engine.version, "images": results}
        typer.echo(json.dumps(report, indent=2))
    if any("error" in result for result in results):
        raise typer.Exit(EXIT_FAILED)


@_ocr.command("eval")
def evaluate_(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="CSV",
            exists=True,
            dir_okay=False,
            help="Labels: file, plate, and where known x, y, w, h (plate box) and state.",
        ),
    ],
    root: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of the pictures.")
    ],
    region: Annotated[
        str | None, typer.Option(help="Only rows with this value in the column region.")
    ] = None,
    pictures: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a page of pictures: wrong, unsure, right."),
    ] = None,
    recogniser: _Recogniser = "platelake",
    as_json: _Json = False,
) -> None:
    """Measure a recogniser on labelled pictures, on one thread.

    A row without a box is a picture cut to its plate; an empty plate means that
    there is none. Example: platelake ocr eval plates/frames.csv --root plates
    """
    from rich.console import Console
    from rich.progress import track

    from vision.evaluation import evaluate, figures, read_labels
    from vision.gallery import write_gallery
    from vision.port import open_recogniser

    labels = read_labels(table, region)
    outcomes = list(
        track(
            evaluate(labels, root, open_recogniser(recogniser)),
            "reading",
            total=len(labels),
            console=Console(stderr=True),
            disable=as_json,
        )
    )
    totals = asdict(figures(outcomes))
    if pictures:
        write_gallery(pictures, root, outcomes)
    if as_json:
        typer.echo(json.dumps(totals))
        return
    for name, value in totals.items():
        typer.echo(f"{name:12} {'-' if value is None else value}")
    if pictures:
        typer.echo(f"pictures     {pictures / 'index.html'}")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput("not-readable", f"{path}: {error.strerror}") from error


def _print(path: Path, readings: list[PlateReading]) -> None:
    if not readings:
        typer.echo(f"{path}: no plate")
    for reading in readings:
        others = ", ".join(f"{text} {score:.2f}" for text, score in reading.candidates[1:3])
        box = reading.box
        typer.echo(
            f"{path}: {reading.text or '(unreadable)'}  {reading.confidence:.2f}"
            f"  {reading.state or '-'}  at {box.x:.0f},{box.y:.0f} {box.w:.0f}x{box.h:.0f}"
            + (f"  or {others}" if others else "")
        )
