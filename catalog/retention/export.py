"""Evidence on media: what a hold keeps, in a sealed folder that anybody can open.

"In those circumstances officers shall download the applicable ALPR data from the server or
cloud, prior to the date being purged, onto portable media … and book it into evidence"
(S3-466.5; S0-IX likewise). `records.jsonl` has every record whole; `records.csv` and
`index.html` are for reading; images are JPEG files; `hold.json` says who held it and why.
"""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from alpr.errors import BadInput
from alpr.holds import Exported, Hold
from catalog.lake import Lake
from catalog.retention.copies import IMAGES, canonical, sha256
from catalog.retention.evidence import check_copies, image_of
from catalog.retention.evidence_table import Row
from catalog.retention.holds import Holds
from catalog.retention.seal import Sealed, check_seal, manifest_of, sealed
from catalog.retention.signing import PublicKey, SigningKey

FORMAT = "platelake-evidence-1"

_COLUMNS = (
    *("kind", "record_id", "captured_at", "plate", "plate_raw", "state", "confidence", "agency"),
    *("camera", "latitude", "longitude", "heading", "read_id", "category", "list_version"),
    *("entry_plate", "entry_state", "match", "source", "source_id"),
)


def export_hold(
    lake: Lake,
    holds: Holds,
    hold_id: str,
    to: Path,
    *,
    by: str,
    at: datetime,
    key: SigningKey | None,
) -> Sealed:
    """Write a hold's evidence to a new folder, and note it in the hold's history.

    Every record and image is held against its SHA-256 first. Raises BadInput (`unknown-hold`,
    `bad-hold` if it has no copies), Corrupt if a copy is damaged, and as `seal.sealed`.
    """
    state = holds.state(hold_id)
    if state.copied is None or state.gone is not None:
        raise BadInput("bad-hold", f"this hold is {state.status(at)}: it has no evidence to export")
    rows = check_copies(lake, hold_id)
    hold = state.hold
    done: list[Sealed] = []
    about = {
        "format": FORMAT,
        **_purpose(hold),
        "exported_by": by,
        "exported_at": at.astimezone(UTC).isoformat(),
        "records": len(rows),
        "records_digest": state.copied.digest,
    }
    with sealed(to, about, key, done) as folder:
        lines = []
        for row in rows:
            names = {
                name: f"images/{row['kind']}-{row['record_id']}-{name}.jpg"
                for name in IMAGES
                if row[name] is not None
            }
            for column, name in names.items():
                folder.write(name, image_of(lake, row, column))
            lines.append((row, names))
        folder.write("records.jsonl", "".join(f"{_line(*each)}\n" for each in lines))
        folder.write("records.csv", _csv(lines))
        folder.write("hold.json", msgspec.json.format(msgspec.json.encode(holds.history(hold_id))))
        folder.write("index.html", _page(hold, lines, about))
    holds.note(hold_id, Exported(at=at, by=by, digest=done[0].digest))
    return done[0]


def check_export(folder: Path, trusted: PublicKey | None = None) -> list[str]:
    """What is wrong with an exported hold, in words: the seal, each record, each image.

    Raises as `seal.check_seal`.
    """
    problems = check_seal(folder, trusted)
    return problems or list(_record_problems(folder))


def _record_problems(folder: Path) -> Iterator[str]:
    manifest = manifest_of(folder)
    if manifest.get("format") != FORMAT:
        yield f"it is of format {manifest.get('format')!r}, not {FORMAT!r}"
        return
    count = 0
    with (folder / "records.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            count += 1
            entry = json.loads(line)
            record = entry["record"]
            told = f"{entry['kind']} {entry['record_id']}"
            if sha256(canonical(record)) != entry["record_sha256"]:
                yield f"{told} fails its SHA-256"
            for name, file in entry["images"].items():
                if sha256((folder / file).read_bytes()) != record[name]["sha256"]:
                    yield f"the {name} of {told} is not the one its record tells of"
    if count != manifest["records"]:
        yield f"it holds {count} records, its manifest says {manifest['records']}"


def _purpose(hold: Hold) -> dict[str, Any]:
    return {
        "hold_id": hold.hold_id,
        "kind": hold.kind,
        "case_number": hold.case_number,
        "clause": hold.clause,
        "reason": hold.reason,
        "held_by": hold.added_by,
        "held_at": hold.added_at.astimezone(UTC).isoformat(),
    }


def _line(row: Row, images: Mapping[str, str]) -> str:
    return canonical(
        {
            "kind": row["kind"],
            "record_id": row["record_id"],
            "record_sha256": row["record_sha256"],
            "record": json.loads(row["record"]),
            "images": dict(images),
        }
    )


def _csv(lines: Sequence[tuple[Row, Mapping[str, str]]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *IMAGES, "record_sha256"])
    for row, images in lines:
        record = json.loads(row["record"]) | {"kind": row["kind"], "record_id": row["record_id"]}
        writer.writerow(
            [
                *(_cell(record.get(name)) for name in _COLUMNS),
                *(images.get(name, "") for name in IMAGES),
                row["record_sha256"],
            ]
        )
    return text.getvalue()


def _cell(value: object) -> object:
    """A value that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return "" if value is None else value


def _page(
    hold: Hold, lines: Sequence[tuple[Row, Mapping[str, str]]], about: Mapping[str, Any]
) -> str:
    head = "".join(
        f"<tr><th>{html.escape(str(name).replace('_', ' '))}</th>"
        f"<td>{html.escape(str(value))}</td></tr>"
        for name, value in about.items()
    )
    body = "".join(_card(row, images) for row, images in lines)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Evidence {html.escape(hold.hold_id)}</title>
<style>
body {{ font: 16px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
th {{ text-align: left; padding-right: 1rem; font-weight: 600; vertical-align: top }}
article {{ border-top: 1px solid #999; padding: 1rem 0; break-inside: avoid }}
.plate {{ font: 700 1.5rem/1 ui-monospace, monospace }}
img {{ max-width: 100%; max-height: 20rem; margin: .5rem .5rem 0 0 }}
code {{ font-size: .8rem; overflow-wrap: anywhere }}
</style></head><body>
<h1>Evidence</h1><table>{head}</table>
<p>A read is what a machine thought it saw. It alone justifies nothing: compare the picture with
plate and state, and confirm that the record is current.</p>
{body}
</body></html>
"""


def _card(row: Row, images: Mapping[str, str]) -> str:
    moment = row["captured_at"].astimezone(UTC).isoformat(sep=" ", timespec="milliseconds")
    pictures = "".join(
        f'<img src="{html.escape(file)}" alt="{name} of {row["kind"]} {row["record_id"]}">'
        for name, file in images.items()
    )
    state = f" ({html.escape(row['state'])})" if row["state"] else ""
    return (
        f'<article><div class="plate">{html.escape(row["plate"])}{state}</div>'
        f"<div>{row['kind']} {moment}, {html.escape(row['agency'])}/{html.escape(row['camera'])}"
        f"</div>{pictures}<div><code>{row['record_id']}, SHA-256 {row['record_sha256']}</code>"
        "</div></article>\n"
    )
