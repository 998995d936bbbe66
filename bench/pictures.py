"""Reads of labelled pictures that went through the running platform, held against the labels.

    platelake feed frames plates/frames/us --camera pictures/us --rate 0.7
    python -m bench.pictures plates/frames/us --labels plates/frames.csv --camera pictures/us

Fed slower than one a second, each picture is a pass of its own. A read names the first frame
of its pass, and `feed` numbers the pictures in the order of their names: so each read is
compared with the label of its own picture, not with whichever fits.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

from alpr.plates import match_key
from catalog.config import LakeConfig
from catalog.lake import Lake
from catalog.query import connect
from ingest.feed.pictures import picture_paths


def labels_of(table: Path) -> dict[str, str]:
    """Plate by file name."""
    with table.open(newline="", encoding="utf-8") as lines:
        return {Path(row["file"]).name: row["plate"] for row in csv.DictReader(lines)}


def reads_of(lake: Lake, agency: str, camera: str) -> dict[int, list[str]]:
    """Plates by the number of the picture that their pass began with."""
    found: dict[int, list[str]] = defaultdict(list)
    with connect(lake) as database:
        rows = database.execute(
            "SELECT source_id, plate FROM reads WHERE agency = ? AND camera = ?", [agency, camera]
        ).fetchall()
    for source_id, plate in rows:
        found[int(source_id.split(".")[0])].append(plate)
    return found


def compare(pictures: list[Path], labels: dict[str, str], reads: dict[int, list[str]]) -> str:
    """Counts as JSON: pictures, those with a read, with the right one, with O as 0 and I as 1."""
    read = exact = folded = 0
    for number, picture in enumerate(pictures):
        plate, given = labels[picture.name], reads.get(number, [])
        read += bool(given)
        exact += plate in given
        folded += match_key(plate) in map(match_key, given)
    return json.dumps(
        {"pictures": len(pictures), "with_read": read, "exact": exact, "exact_folded": folded}
    )


def main() -> None:
    """Compare one folder with one camera."""
    parser = argparse.ArgumentParser(
        description="Hold reads of labelled pictures against the labels."
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=Path, required=True, help="CSV with file and plate")
    parser.add_argument("--camera", required=True, help="agency/camera that they were fed as")
    parser.add_argument("--lake", type=Path, default=Path(".platelake/embedded/lake.toml"))
    arguments = parser.parse_args()
    agency, camera = arguments.camera.split("/")
    reads = reads_of(Lake(LakeConfig.load(arguments.lake)), agency, camera)
    print(compare(picture_paths(arguments.folder), labels_of(arguments.labels), reads))


if __name__ == "__main__":
    main()
