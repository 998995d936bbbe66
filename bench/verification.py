"""`python -m bench.verification`: how fast is a lake verified in full, and searched for a canary?

Days of rows, sorted as compaction leaves them, and packs of pictures, until the store holds so
many megabytes. Then everything is decoded and judged (`platelake retain verify --full`), and
everything is searched byte by byte for a canary that is in it (`… canary search`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from alpr.retention import Period, Retention, RetentionClass
from bench.accounting import Machine
from bench.stack import ports_from
from catalog.config import LakeConfig, S3Config
from catalog.images import PackWriter
from catalog.lake import Lake
from catalog.retention.canary import make_canary, plant
from catalog.retention.search import Objects, search
from catalog.retention.verify import verify
from catalog.rows import Origin, reads_to_arrow
from catalog.schemas import READS, SORTED
from catalog.staging import split, write_rows
from tests.contract.lake.samples import make_reads

_NOW: Final = datetime(2026, 11, 20, 15, tzinfo=UTC)
_DAY_ROWS: Final = 1_000_000
_PICTURE: Final = 6_000
_DAY_PICTURES: Final = 5_000
RETENTION: Final = Retention(
    {
        "bench": (
            RetentionClass(
                "default", "bench", frozenset({"read", "hit"}), Period(years=2), "UTC", "§ 1", "-"
            ),
        )
    },
    {},
    "bench",
)


@dataclass(frozen=True)
class Figures:
    """What one pass over a lake took. `megabytes`: as stored, 10^6 bytes."""

    store: str
    megabytes: float
    rows: int
    images: int
    verify_seconds: float
    verify_megabytes_a_second: float
    search_seconds: float
    search_megabytes_a_second: float
    searched_expanded_megabytes: float


def measure(lake: Lake, store: str, megabytes: int) -> Figures:
    """Fill an empty lake, verify it, search it."""
    lake.retention = RETENTION
    lake.init()
    brood = make_canary(RETENTION, _NOW)
    plant(lake, brood, _NOW)
    size = day = 0
    while size < megabytes * 1_000_000:
        size += _fill_day(lake, day)
        day += 1
    begin = time.perf_counter()
    result = verify(lake, RETENTION, _NOW)
    verified = time.perf_counter() - begin
    if not result.ok or result.listed != result.decoded:
        raise AssertionError(f"the lake is not as it was made: {result.findings}")
    begin = time.perf_counter()
    found = search(brood.canary.needles(), [Objects(lake)])
    searched = time.perf_counter() - begin
    if {each.needle for each in found.sightings} != {0, 1} or found.unread:
        raise AssertionError("the canary was not found: the search shows nothing")
    stored = result.decoded_bytes / 1e6
    return Figures(
        store=store,
        megabytes=round(stored, 1),
        rows=result.rows,
        images=result.images,
        verify_seconds=round(verified, 2),
        verify_megabytes_a_second=round(stored / verified, 1),
        search_seconds=round(searched, 2),
        search_megabytes_a_second=round(stored / searched, 1),
        searched_expanded_megabytes=round(found.expanded / 1e6, 1),
    )


def _fill_day(lake: Lake, number: int) -> int:
    """A day's sorted file and its packs; their bytes."""
    source = np.random.default_rng(number)
    moment = _NOW - timedelta(days=number)
    sample = make_reads(20_000, days_ago=number)
    rows = reads_to_arrow(sample, Origin("reads", 0, range(len(sample))), moment)
    rows = pa.concat_tables([rows] * (_DAY_ROWS // len(sample)))
    for name, column in _distinct(rows, source):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(name), column)
    rows = rows.sort_by([("plate", "ascending"), ("captured_at", "ascending")])
    size = 0
    for partition, part in split(rows):
        size += write_rows(
            lake, READS.name, part, partition, f"bench-{number}", level=3, sort_order=SORTED
        ).size
        packs = PackWriter(lake.store, lake.config.warehouse)
        for _ in range(_DAY_PICTURES):
            packs.add(source.bytes(_PICTURE), "default", partition.date)
            size += _PICTURE
        packs.flush()
    return size


def _distinct(rows: pa.Table, source: np.random.Generator) -> Iterator[tuple[str, pa.Array]]:
    """Ids and plates as different as real ones are; else everything compresses to nothing."""
    ids = source.bytes(16 * rows.num_rows)
    text = [ids[start : start + 16].hex() for start in range(0, len(ids), 16)]
    yield "read_id", pa.array(text, pa.large_string())
    plates = [word[:7].upper() for word in text]
    yield "plate", pa.array(plates, pa.large_string())
    yield "plate_raw", pa.array(plates, pa.large_string())


@contextmanager
def _folder(base: Path) -> Iterator[tuple[str, S3Config | None]]:
    yield f"file://{base}/lake", None


@contextmanager
def _minio(base: Path) -> Iterator[tuple[str, S3Config | None]]:
    from infra.provision import Provisioner
    from infra.services.minio import BUCKET, Minio
    from infra.settings import Profile, load

    settings = load(home=base, profile=Profile.FULL, ports=ports_from(24400))
    for folder in (settings.data_dir, settings.logs_dir, settings.run_dir, settings.secrets_dir):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    minio = Minio(settings, Provisioner(settings))
    minio.start()
    try:
        yield f"s3://{BUCKET}/bench", S3Config(minio.endpoint, minio.user_file, minio.password_file)
    finally:
        minio.stop()


def main() -> None:
    """Measure, print JSON, write it where told."""
    parser = argparse.ArgumentParser(prog="python -m bench.verification", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1_000)
    parser.add_argument("--store", choices=("folder", "minio"), default="folder")
    parser.add_argument("--json", type=Path, help="Write the figures there.")
    arguments = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="bench-verification-"))
    try:
        with (_minio if arguments.store == "minio" else _folder)(base) as (warehouse, s3):
            lake = Lake(LakeConfig(f"sqlite:///{base}/catalog.db", warehouse, s3=s3))
            figures = measure(lake, arguments.store, arguments.megabytes)
            lake.close()
    finally:
        shutil.rmtree(base)
    print(json.dumps(asdict(figures)))
    if arguments.json:
        document = {"machine": asdict(Machine.here()), "figures": asdict(figures)}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
