"""`platelake lookup …`: where was a plate, what passed a place, which plates were at several."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import Config, Home, Json, Profile, open_lake
from cli.sql import sql_

if TYPE_CHECKING:
    import pyarrow as pa

    from catalog.lookup.places import Area
    from catalog.lookup.query import Where
    from catalog.lookup.view import View

FLAT = (
    *("captured_at", "agency", "camera", "plate", "plate_raw", "state", "confidence"),
    *("state_confidence", "latitude", "longitude", "heading", "frames", "source"),
    *("source_version", "source_id", "received_at", "retention_class", "read_id"),
)
"""The columns that fit into a line; pictures are fetched with --images."""

_SHOWN = ("captured_at", "agency", "camera", "plate", "state", "confidence", "read_id")

_TIMES = [
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M%z",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
]

_Text = Annotated[
    str,
    typer.Argument(
        metavar="PLATE",
        help="? is one character, * any number; - reads it from standard input, where no other "
        "user of this machine sees it.",
    ),
]
_From = Annotated[
    datetime | None,
    typer.Option("--from", formats=_TIMES, help="First moment; UTC unless it says otherwise."),
]
_To = Annotated[
    datetime | None, typer.Option("--to", formats=_TIMES, help="First moment not asked for.")
]
_States = Annotated[
    list[str] | None, typer.Option("--state", help="Issuing state; '' where it was not read.")
]
_Agencies = Annotated[list[str] | None, typer.Option("--agency", help="Repeat for several.")]
_Cameras = Annotated[
    list[str] | None, typer.Option("--camera", metavar="AGENCY/CAMERA", help="Repeat for several.")
]
_Area = Annotated[
    str | None,
    typer.Option(
        "--area",
        metavar="AREA",
        help="SOUTH,WEST,NORTH,EAST or LAT,LON,METRES or a GeoJSON file of a polygon.",
    ),
]
_Limit = Annotated[int, typer.Option("--limit", min=1, max=999_999, help="So many rows at most.")]

_app = typer.Typer(help="Find reads and plates in the lake.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the group to the program."""
    _app.command("sql")(sql_)
    app.add_typer(_app, name="lookup")


@_app.command()
def plate(
    text: _Text,
    lookalikes: Annotated[
        bool,
        typer.Option("--lookalikes", help="Also what looks like it: O and 0, I and 1, B and 8 …"),
    ] = False,
    first: _From = None,
    last: _To = None,
    state: _States = None,
    agency: _Agencies = None,
    camera: _Cameras = None,
    area: _Area = None,
    limit: _Limit = 1000,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every read, without limit.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Fetch the reads' pictures.")
    ] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Every read of a plate, the newest first. A read is unverified: compare it with its picture.

    Example: platelake lookup plate '7AB?12*' --from 2026-11-01 --state CA
    """
    from catalog.lookup.find import find, stream
    from catalog.lookup.query import MOST_ROWS, Sighting

    where = _where(first, last, state, agency, camera, area)
    query = Sighting(_read(text), where, lookalikes, MOST_ROWS if csv else limit + 1)
    with _view(config, profile, home) as view:
        if csv is not None:
            count = _write_csv(csv, stream(view, query, FLAT))
            _tell(view, where, {"rows": count, "file": str(csv)}, as_json)
            return
        columns = [*FLAT, *(("crop", "overview") if images else ())]
        rows = view.answer(lambda: find(view, query, columns))
        if images is not None:
            _fetch(view, rows.slice(0, limit), images)
        _show(view, where, rows, limit, as_json)


@_app.command("canvass")
def canvass_(
    first: Annotated[datetime, typer.Option("--from", formats=_TIMES, help="First moment (UTC).")],
    last: Annotated[datetime, typer.Option("--to", formats=_TIMES, help="First moment after.")],
    state: _States = None,
    agency: _Agencies = None,
    camera: _Cameras = None,
    area: _Area = None,
    limit: _Limit = 1000,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Everything that passed a place in a time, in its order (S3-466.4c: canvass areas).

    Example: platelake lookup canvass --area 42.36,-71.06,500 --from 2026-11-20T02:00 --to
    2026-11-20T04:00
    """
    from catalog.lookup.find import canvass
    from catalog.lookup.query import Canvass

    where = _where(first, last, state, agency, camera, area)
    with _view(config, profile, home) as view:
        rows = view.answer(lambda: canvass(view, Canvass(where, limit + 1), FLAT))
        _show(view, where, rows, limit, as_json)


@_app.command("common")
def common_(
    place: Annotated[
        list[str],
        typer.Option(
            "--place",
            metavar="PLACE@FROM@TO",
            help="An area, or AGENCY/CAMERA, and its time; repeat, twice at least.",
        ),
    ],
    at_least: Annotated[int, typer.Option("--at-least", min=2, help="At so many of them.")] = 2,
    limit: _Limit = 100,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Plates that were at several places, each at its time; those at most places first.

    Example: platelake lookup common --place 42.36,-71.06,500@2026-11-01@2026-11-02 --place
    northfield-pd/main-st@2026-11-03@2026-11-04
    """
    from catalog.lookup.find import common
    from catalog.lookup.query import Common, Where

    places = tuple(_place(each) for each in place)
    whole = Where(
        min(each.first for each in places if each.first),
        max(each.last for each in places if each.last),
    )
    with _view(config, profile, home) as view:
        rows = view.answer(lambda: common(view, Common(places, at_least, limit + 1)))
        _show(view, whole, rows, limit, as_json)


@_app.command("together")
def together_(
    text: _Text,
    within: Annotated[float, typer.Option("--within", help="Seconds before or after.")] = 10.0,
    at_least: Annotated[int, typer.Option("--at-least", min=2, help="So many times.")] = 2,
    first: _From = None,
    last: _To = None,
    limit: _Limit = 100,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Plates seen at the same cameras close to this one, again and again.

    Example: platelake lookup together 7ABC123 --from 2026-11-01 --within 8
    """
    from catalog.lookup.find import together
    from catalog.lookup.query import Together

    where = _where(first, last, None, None, None, None)
    query = Together(_read(text), where, timedelta(seconds=within), at_least, limit + 1)
    with _view(config, profile, home) as view:
        rows = view.answer(lambda: together(view, query))
        _show(view, where, rows, limit, as_json)


@contextmanager
def _view(config: Path | None, profile: str | None, home: Path | None) -> Iterator[View]:
    from catalog.lake import Lake
    from catalog.lookup.view import View
    from catalog.reader import as_reader

    with View(Lake(as_reader(open_lake(config, profile, home).config))) as view:
        yield view


def _read(text: str) -> str:
    return sys.stdin.readline().strip() if text == "-" else text


def _where(
    first: datetime | None,
    last: datetime | None,
    states: list[str] | None,
    agencies: list[str] | None,
    cameras: list[str] | None,
    area: str | None,
) -> Where:
    from catalog.lookup.places import Polygon, parse_area
    from catalog.lookup.query import Where

    shape: Area | None = None
    if area is not None and Path(area).is_file():
        shape = Polygon.parse(json.loads(Path(area).read_text("utf-8")))
    elif area is not None:
        shape = parse_area(area)
    return Where(
        first=_aware(first),
        last=_aware(last),
        states=frozenset(each.upper() for each in states or ()),
        agencies=frozenset(agencies or ()),
        cameras=frozenset(cameras or ()),
        area=shape,
    )


def _place(text: str) -> Where:
    where, _, times = text.partition("@")
    begin, _, end = times.partition("@")
    camera = [where] if "/" in where and not Path(where).is_file() else None
    try:
        first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    except ValueError:
        raise typer.BadParameter(f"PLACE@FROM@TO was required, not {text!r}") from None
    return _where(first, last, None, None, camera, None if camera else where)


def _aware(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _write_csv(file: Path, parts: Iterator[pa.Table]) -> int:
    """Every part as it comes; the file is there whole or not at all."""
    import pyarrow.csv as pc
    from rich.console import Console
    from rich.progress import Progress

    count = 0
    partial = file.with_name(f".{file.name}.part")
    writer = None
    try:
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reads", total=None)
            for part in parts:
                writer = writer or pc.CSVWriter(str(partial), part.schema)
                writer.write_table(part)
                count += part.num_rows
                bar.update(task, advance=part.num_rows, description=f"{count:,} reads")
            if writer is None:
                partial.write_text(",".join(f'"{name}"' for name in FLAT) + "\n")
            else:
                writer.close()
            partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _fetch(view: View, rows: pa.Table, folder: Path) -> None:
    from catalog.images import ImageRef, read_image

    folder.mkdir(parents=True, exist_ok=True)
    lake = view.lake
    for name in ("crop", "overview"):
        for identity, ref in zip(rows["read_id"].to_pylist(), rows[name].to_pylist(), strict=True):
            if ref is not None:
                data = read_image(lake.store, lake.config.warehouse, ImageRef(**ref))
                (folder / f"{identity}-{name}.jpg").write_bytes(data)


def _show(view: View, where: Where, rows: pa.Table, limit: int, as_json: bool) -> None:
    """The rows up to the limit; one more was asked for, to know whether there are more."""
    full, rows = rows.num_rows > limit, rows.slice(0, limit)
    names = [name for name in rows.column_names if name not in ("crop", "overview")]
    rows = rows.select(names)
    if as_json:
        _tell(view, where, {"rows": rows.num_rows, "more": full, "results": rows.to_pylist()}, True)
        return
    from rich.console import Console
    from rich.table import Table

    shown = [name for name in names if name in _SHOWN] or names
    table = Table(*shown)
    for row in rows.select(shown).to_pylist():
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    Console().print(table)
    _tell(view, where, {"rows": rows.num_rows, "more": full}, False)


def _tell(view: View, where: Where, answer: dict[str, Any], as_json: bool) -> None:
    """The answer, and what it does not speak of: an ended day is no day without reads."""
    files = view.within(where.first, where.last)
    searched = {
        "days": len({file.partition.day for file in files}),
        "files": len(files),
        "reads": sum(file.rows for file in files),
    }
    kept = {name: str(day) for name, day in sorted(view.cutoffs.items())}
    if as_json:
        full = {**answer, "searched": searched, "kept_since": kept}
        typer.echo(json.dumps(full, default=str))
        return
    more = ", and there are more: raise --limit" if answer.get("more") else ""
    typer.echo(
        f"{answer['rows']:,} rows{more}; searched {searched['reads']:,} reads of "
        f"{searched['days']:,} days in {searched['files']:,} files"
    )
    classes = {file.partition.retention_class for file in view.files}
    for name in sorted(classes & set(kept)):
        typer.echo(
            f"  {name}: reads before {kept[name]} have been deleted, nothing is known of them"
        )
    typer.echo("A read is what a machine thought it saw: compare it with its picture.")
