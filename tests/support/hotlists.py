"""Hot-list files in any declared layout: written from fields, as the source would."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ingest.hotlists.layouts import Layout


def render_row(layout: Layout, fields: Mapping[str, str], around: str = "") -> str:
    """One row with these fields (by target); `around` is where no field is read."""
    if layout.kind == "fixed":
        return _fixed(layout, fields, around)
    if layout.kind == "json":
        return json.dumps(_object(layout, fields, around))
    return _delimited(layout, fields, around)


def render(layout: Layout, rows: Sequence[str]) -> bytes:
    """A whole file around the rows: header, footer, or the brackets of a document."""
    if layout.kind == "json":
        return ("[" + ",\n".join(rows) + "]").encode()
    lines = list(rows)
    if layout.header == "names":
        lines.insert(0, layout.delimiter.join([*header_names(layout), "owner_name"]))
    if layout.header_pattern is not None:
        lines.insert(0, "DATE07/02/2018 09:00")
    if layout.footer is not None:
        lines.append(f"TOTAL RECORD {len(rows):07d}")
    return "".join(f"{line}\n" for line in lines).encode()


def header_names(layout: Layout) -> list[str]:
    return [str(field.column) for field in layout.fields.values()]


def _fixed(layout: Layout, fields: Mapping[str, str], around: str) -> str:
    slices = {name: field.slice for name, field in layout.fields.items() if field.slice}
    line = [" "] * max(layout.min_width, *(end for _, end in slices.values()))
    # A wide field first: a narrow one may be the beginning of it (NCIC's category).
    for name, (begin, end) in sorted(slices.items(), key=lambda item: item[1][0] - item[1][1]):
        text = fields.get(name, "")
        if text:
            line[begin:end] = text[: end - begin].ljust(end - begin)
    text = "".join(line)
    if not around:
        return text.rstrip()
    # A person's data follows the fields, which in some rows are fewer.
    read = [
        end
        for name, (_, end) in slices.items()
        if not name.startswith("vehicle")
        or not layout.vehicle_only_for
        or fields.get("category") in layout.vehicle_only_for
    ]
    return text[: max(read)] + around


def _delimited(layout: Layout, fields: Mapping[str, str], around: str) -> str:
    if layout.header == "names":
        cells = [fields.get(name, "") for name in layout.fields]
        return _line([*cells, around], layout.delimiter)
    cells = [around.split(",")[0] if layout.rest else around] * (layout.columns or 0)
    if layout.rest:
        cells[-1] = around  # only what is behind all other fields may hold delimiters
    for field in layout.fields.values():
        if isinstance(field.column, int):
            cells[field.column] = ""
    ordered = sorted(layout.fields.items(), key=lambda item: item[1].slice is not None)
    for name, field in ordered:
        assert isinstance(field.column, int)
        if field.slice is None:
            cells[field.column] = fields.get(name, "")
        elif fields.get(name):
            begin, end = field.slice
            held = cells[field.column].ljust(end)
            cells[field.column] = held[:begin] + fields[name][: end - begin] + held[end:]
    if layout.rest:
        return layout.delimiter.join(cells)
    return _line(cells, layout.delimiter)


def _line(cells: Sequence[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow(cells)
    return out.getvalue()


def _object(layout: Layout, fields: Mapping[str, str], around: str) -> dict[str, Any]:
    made: dict[str, Any] = {"ContactName": around, "note": around, "Comment": around}
    for name, field in layout.fields.items():
        path = field.column if isinstance(field.column, str) else (field.column or ("",))[0]  # type: ignore[index]
        if name in fields:
            made[str(path)] = fields[name]
    return made
