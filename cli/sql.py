"""`platelake lookup sql`: any question to the lake's tables and views, and only questions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import Config, Home, Json, Profile, open_lake

if TYPE_CHECKING:
    import pyarrow as pa

    from catalog.reader import Parameters, Reader


def sql_(
    text: Annotated[
        str,
        typer.Argument(metavar="SELECT", help="One SELECT; - reads it from standard input."),
    ],
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--value", metavar="NAME=TEXT", help="What $NAME stands for in it; repeat for several."
        ),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many rows at most.")] = 1000,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="The longest it may take.")
    ] = 60.0,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write every row, without limit.")
    ] = None,
    config: Config = None,
    profile: Profile = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Ask in SQL (DuckDB's): the tables reads and hits, and the views over them; SHOW TABLES.

    Nothing can be written, no other file read, and a query ends after --seconds.

    Example: platelake lookup sql 'SELECT agency, sum(reads) FROM camera_days GROUP BY agency'
    """
    from catalog.reader import MOST_ROWS, Reader

    query = sys.stdin.read() if text == "-" else text
    values = _values(value or [])
    with Reader(open_lake(config, profile, home), seconds=seconds) as reader:
        if csv is not None:
            count = _write_csv(reader, query, values, csv)
            _tell({"rows": count, "file": str(csv)}, as_json)
            return
        rows = reader.ask(query, values, limit=min(limit + 1, MOST_ROWS))
        more, rows = rows.num_rows > limit, rows.slice(0, limit)
        if as_json:
            answer = {"rows": rows.num_rows, "more": more, "results": rows.to_pylist()}
            typer.echo(json.dumps(answer, default=str))
            return
        _show(rows)
        _tell({"rows": rows.num_rows, "more": more}, as_json)


def _values(given: list[str]) -> Parameters:
    pairs = [each.partition("=") for each in given]
    if wrong := [text for text, (_, sign, _) in zip(given, pairs, strict=True) if not sign]:
        raise typer.BadParameter(f"--value NAME=TEXT was required, not {wrong[0]!r}")
    return {name: text for name, _, text in pairs}


def _write_csv(reader: Reader, query: str, values: Parameters, file: Path) -> int:
    """Every row as it comes; the file is there whole or not at all."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv
    from rich.console import Console
    from rich.progress import Progress

    partial = file.with_name(f".{file.name}.part")
    count = 0
    try:
        with (
            reader.stream(query, values) as (schema, batches),
            Progress(console=Console(stderr=True), transient=True) as bar,
            arrow_csv.CSVWriter(str(partial), _lines(schema.empty_table()).schema) as writer,
        ):
            task = bar.add_task("rows", total=None)
            for batch in batches:
                writer.write_table(_lines(pa.Table.from_batches([batch])))
                count += batch.num_rows
                bar.update(task, advance=batch.num_rows, description=f"{count:,} rows")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _lines(rows: pa.Table) -> pa.Table:
    """With lists and structures as JSON: a line of CSV has no place for them."""
    import pyarrow as pa

    for place, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            texts = [
                None if each is None else json.dumps(each, default=str)
                for each in rows[field.name].to_pylist()
            ]
            rows = rows.set_column(place, field.name, pa.array(texts, pa.string()))
    return rows


def _show(rows: pa.Table) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows.column_names)
    for row in rows.to_pylist():
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    Console().print(table)


def _tell(answer: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer))
        return
    more = ", and there are more: raise --limit or use --csv" if answer.get("more") else ""
    typer.echo(f"{answer['rows']:,} rows{more}")
