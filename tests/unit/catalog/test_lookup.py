"""Look-ups against every row, looked at one by one; with an index, without, and with half."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from math import prod
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpr.errors import BadInput
from alpr.lookalikes import GROUPS, exact, pattern, variants
from alpr.records import Read
from catalog.check import check_table
from catalog.commit import Committer
from catalog.compact import CompactionPolicy, compact
from catalog.config import LakeConfig
from catalog.files import read_rows
from catalog.lake import Lake
from catalog.lookup import find as find_module
from catalog.lookup import index
from catalog.lookup import scan as scan_module
from catalog.lookup.find import canvass, common, find, stream, together
from catalog.lookup.places import Area, Box, Circle, Polygon, parse_area
from catalog.lookup.query import Canvass, Common, Sighting, Together, Where
from catalog.lookup.upkeep import refresh_index
from catalog.lookup.view import File, View
from catalog.parquet import Partition
from catalog.query import connect
from tests.contract.lake.samples import DAY, NOW, make_read, no_sleep, stage

TODAY = NOW.date()
PLATES = ("7ABC123", "7ABCI23", "7A8C123", "XYZ0001", "XYZO001", "AB12", "ZZZ9Z99")
CAMERAS = (
    ("north", "gate", 42.0, -71.0),
    ("north", "bridge", 42.1, -71.1),
    ("south", "gate", 41.5, -70.5),
)


def make(number: int) -> Read:
    """One of 600 reads over 40 days in two classes; every seventh without a place."""
    agency, camera, latitude, longitude = CAMERAS[number % 3]
    placed = number % 7 != 0
    moment = DAY - timedelta(days=number % 40, seconds=13 * number)
    return msgspec.structs.replace(
        make_read(number, retention_class="toll" if number % 5 == 0 else "evidence"),
        agency=agency,
        camera=camera,
        plate=PLATES[number % len(PLATES)],
        plate_raw=PLATES[number % len(PLATES)],
        state=("CA", None, "NY")[number % 3],
        captured_at=moment,
        received_at=moment + timedelta(seconds=1),
        latitude=latitude if placed else None,
        longitude=longitude if placed else None,
    )


READS = [make(number) for number in range(600)]


@pytest.fixture(params=["no index", "index", "half"])
def view(request: pytest.FixtureRequest, config: LakeConfig) -> Any:
    """The lake's state: never indexed, indexed, or with files that came after the index."""
    lake = Lake(config)
    lake.init()
    owner = Committer(lake, "reads", now=lambda: NOW, sleep=no_sleep)
    half = 300 if request.param == "half" else 600
    owner.commit([stage(lake, READS[:half])])
    compact(lake, "reads", TODAY, CompactionPolicy(2, 2), sleep=no_sleep)
    if request.param != "no index":
        assert refresh_index(lake, TODAY, "test", lambda: NOW)
    if half < 600:
        owner.commit([stage(lake, READS[half:], first=half)])
    with View(lake) as found:
        yield found


def ids(rows: Any) -> list[str]:
    return sorted(rows["read_id"].to_pylist())


def those(keep: Callable[[Read], bool]) -> list[str]:
    return sorted(read.read_id for read in READS if keep(read))


def test_every_read_of_a_plate_and_of_no_other(view: View) -> None:
    for plate in PLATES:
        found = find(view, Sighting(plate))
        assert ids(found) == sorted(read.read_id for read in READS if read.plate == plate)
        moments = found["captured_at"].to_pylist()
        assert moments == sorted(moments, reverse=True)
    assert find(view, Sighting("NONE")).num_rows == 0


def test_raw_text_is_searched_as_it_is_meant(view: View) -> None:
    assert ids(find(view, Sighting(" 7abc-123 "))) == those(lambda read: read.plate == "7ABC123")


def test_look_alikes_only_when_asked_for(view: View) -> None:
    alike = {"7ABC123", "7ABCI23", "7A8C123"}
    found = find(view, Sighting("7ABC123", lookalikes=True))
    assert ids(found) == those(lambda read: read.plate in alike)


@pytest.mark.parametrize("text", ["7A?C123", "*C123", "XYZ*", "*000?", "?YZ?00*", "7A*2?"])
def test_wildcards(view: View, text: str) -> None:
    regex = re.compile(text.replace("?", ".").replace("*", ".*"))
    expected = those(lambda read: regex.fullmatch(read.plate) is not None)
    assert ids(find(view, Sighting(text))) == expected


def test_all_conditions_must_hold(view: View) -> None:
    first, last = DAY - timedelta(days=20), DAY - timedelta(days=3)
    where = Where(
        first, last, states=frozenset({"CA", ""}), cameras=frozenset({"north/gate", "north/bridge"})
    )
    expected = those(
        lambda read: (
            read.plate == "XYZ0001"
            and first <= read.captured_at < last
            and read.state in ("CA", None)
            and read.agency == "north"
        )
    )
    assert expected
    assert ids(find(view, Sighting("XYZ0001", where))) == expected


def test_the_limit_keeps_the_newest(view: View) -> None:
    found = find(view, Sighting("7ABC123", limit=5))
    own = sorted((r.captured_at for r in READS if r.plate == "7ABC123"), reverse=True)
    assert found["captured_at"].to_pylist() == own[:5]


def test_the_limit_spares_files_that_cannot_have_newer_reads(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search for half of a state's plates must not read the year to show a page."""
    read: list[str] = []
    footer_of = view.footers.of

    def noted(file: File) -> object:
        read.append(file.uri)
        return footer_of(file)

    monkeypatch.setattr(scan_module, "_AHEAD", 1)
    monkeypatch.setattr(view.footers, "of", noted)
    for limit in (1, 7, 100):
        read.clear()
        found = find(view, Sighting("*ABC*", limit=limit))
        own = sorted((r.captured_at for r in READS if "ABC" in r.plate), reverse=True)
        assert found["captured_at"].to_pylist() == own[:limit]
        assert 0 < len(read) < len(view.files)


def test_streaming_gives_every_row_once(view: View) -> None:
    parts = list(stream(view, Sighting("*ABC*"), ["read_id"]))
    assert sorted(i for part in parts for i in part["read_id"].to_pylist()) == those(
        lambda read: "ABC" in read.plate
    )


def test_canvass(view: View) -> None:
    first, last = DAY - timedelta(days=2), DAY - timedelta(days=1)
    where = Where(first, last, area=Circle(42.05, -71.05, 12_000))
    expected = those(
        lambda read: (
            first <= read.captured_at < last
            and read.latitude is not None
            and read.agency == "north"
        )
    )
    assert expected
    found = canvass(view, Canvass(where))
    assert ids(found) == expected
    assert found["captured_at"].to_pylist() == sorted(found["captured_at"].to_pylist())


def test_common_plates(view: View) -> None:
    days = (DAY - timedelta(days=30), DAY)
    places = (
        Where(*days, cameras=frozenset({"north/gate"}), states=frozenset({"CA"})),
        Where(*days, agencies=frozenset({"south"})),
        Where(*days, area=Box(42.05, -71.2, 42.2, -71.05)),
    )
    at = {plate: [0, 0, 0] for plate in PLATES}
    for read in READS:
        if days[0] <= read.captured_at < days[1]:
            own = (
                (read.agency, read.camera) == ("north", "gate") and read.state == "CA",
                read.agency == "south",
                read.camera == "bridge" and read.latitude is not None,
            )
            for place, there in enumerate(own):
                at[read.plate][place] += there
    expected = {plate: (sum(map(bool, n)), sum(n)) for plate, n in at.items()}
    found = common(view, Common(places, 2)).to_pylist()
    assert {row["plate"]: (row["places"], row["reads"]) for row in found} == {
        plate: counts for plate, counts in expected.items() if counts[0] >= 2
    }


def test_common_plates_counted_in_parts(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many reads are counted as they come; the answer must not show where that was done."""
    days = (DAY - timedelta(days=30), DAY)
    query = Common(tuple(Where(*days, cameras=frozenset({f"{a}/{c}"})) for a, c, *_ in CAMERAS), 2)
    whole = common(view, query)
    assert whole.num_rows
    monkeypatch.setattr(find_module._Counts, "_MANY", 3)
    assert common(view, query).equals(whole)


def test_seen_together(config: LakeConfig) -> None:
    """A follower three seconds behind at three cameras; one car that is near only once."""
    reads: list[Read] = []
    for number in range(3):
        moment = DAY - timedelta(days=number, hours=number)
        for plate, behind in (
            ("LEAD1", 0),
            ("TAIL1", 3),
            ("FAR1", 60),
            ("ONCE1", 1 + 500 * number),
        ):
            agency, camera, latitude, longitude = CAMERAS[number]
            at = moment + timedelta(seconds=behind)
            reads.append(
                msgspec.structs.replace(
                    make_read(len(reads)), agency=agency, camera=camera, plate=plate,
                    captured_at=at, received_at=at, latitude=latitude, longitude=longitude,
                )
            )  # fmt: skip
    lake = Lake(config)
    lake.init()
    Committer(lake, "reads", now=lambda: NOW).commit([stage(lake, reads)])
    with View(lake) as view:
        found = together(view, Together("LEAD1", Where(), timedelta(seconds=5), at_least=2))
        assert found.to_pylist() == [{"plate": "TAIL1", "times": 3, "cameras": 3}]
        none = together(view, Together("NOBODY", Where()))
        assert none.num_rows == 0


def test_a_day_taken_out_of_the_index_leaves_no_plate_behind(config: LakeConfig) -> None:
    lake = Lake(config)
    lake.init()
    only = msgspec.structs.replace(
        make_read(1, days_ago=5, retention_class="evidence"), plate="GONE1"
    )
    stays = msgspec.structs.replace(
        make_read(2, days_ago=6, retention_class="evidence"), plate="STAYS1"
    )
    owner = Committer(lake, "reads", now=lambda: NOW)
    owner.commit([stage(lake, [only, stays])])
    (block,) = refresh_index(lake, TODAY, "test", lambda: NOW)
    assert b"GONE1" in lake.store.read(block.uri)
    day = (only.captured_at.date() - date(1970, 1, 1)).days
    index.drop_partition(lake, Partition(day, "evidence"))
    left = [lake.store.read(item.uri) for item in lake.store.list(f"{lake.config.warehouse}/index")]
    assert len(left) == 1
    assert b"GONE1" not in left[0]
    with View(lake) as view:
        # What is in the table is found all the same: the day is not covered any more.
        assert find(view, Sighting("GONE1")).num_rows == 1
        assert find(view, Sighting("STAYS1")).num_rows == 1
    assert index.drop_days(lake, lambda _: True) == 1
    assert list(lake.store.list(f"{lake.config.warehouse}/index")) == []


def test_only_days_that_changed_are_read_again(
    config: LakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day that closes must not cost the reading of the 31 before it."""
    lake = Lake(config)
    lake.init()
    owner = Committer(lake, "reads", now=lambda: NOW)

    def land(number: int, days_ago: int, plate: str) -> None:
        read = make_read(number, days_ago=days_ago, retention_class="evidence")
        owner.commit([stage(lake, [msgspec.structs.replace(read, plate=plate)], first=number)])

    for number, (days_ago, plate) in enumerate([(9, "A1"), (9, "B1"), (8, "A1"), (7, "C1")]):
        land(number, days_ago, plate)
    (first,) = refresh_index(lake, TODAY, "test", lambda: NOW)
    assert refresh_index(lake, TODAY, "test", lambda: NOW) == []
    land(4, 8, "D1")
    land(5, 6, "A1")
    read: list[str] = []

    def noted(lake: Lake, uri: str, columns: list[str] | None = None) -> object:
        read.append(uri)
        return read_rows(lake, uri, columns)

    monkeypatch.setattr(index, "read_rows", noted)
    (second,) = refresh_index(lake, TODAY, "test", lambda: NOW)
    assert read[0] == first.uri
    days = [(DAY - timedelta(days=n)).date() for n in (8, 6)]
    assert sorted(uri.rpartition("/")[0][-10:] for uri in read[1:]) == sorted(
        map(str, [days[0], days[0], days[1]])
    )
    assert [item.uri for item in lake.store.list(f"{lake.config.warehouse}/index")] == [second.uri]
    rows = read_rows(lake, second.uri).to_pylist()
    seen = {"A1": (9, 8, 6), "B1": (9,), "C1": (7,), "D1": (8,)}
    expected = {
        plate: sum(
            index.bit_of(((DAY - timedelta(days=n)).date() - date(1970, 1, 1)).days) for n in ago
        )
        for plate, ago in seen.items()
    }
    assert {row["plate"]: row["days"] for row in rows} == expected


def test_a_view_whose_files_were_compacted_away_looks_again(config: LakeConfig) -> None:
    lake = Lake(config)
    lake.init()
    owner = Committer(lake, "reads", now=lambda: NOW)
    for number in range(4):
        read = msgspec.structs.replace(make_read(number), plate="SAME1")
        owner.commit([stage(lake, [read], first=number)])
    with View(lake) as view:
        files = [file.uri for file in view.files]
        compact(lake, "reads", TODAY, CompactionPolicy(2, 2), sleep=no_sleep)
        lake.store.delete(files)
        assert view.answer(lambda: find(view, Sighting("SAME1"))).num_rows == 4


def test_a_column_that_came_later_is_null_before(config: LakeConfig) -> None:
    """Half the year was written without `heading`; both halves are read, by both ways."""
    lake = Lake(config)
    lake.init()
    owner = Committer(lake, "reads", now=lambda: NOW)
    reads = [msgspec.structs.replace(make_read(n), plate="SAME1") for n in range(2)]
    group = stage(lake, reads[:1])
    uri = group.files[0].file.uri
    _rewrite_without(lake, uri, "heading")
    owner.commit([_resized(lake, group)])
    owner.commit([stage(lake, reads[1:], first=1)])
    with View(lake) as view:
        found = find(view, Sighting("SAME1")).sort_by("source_id")
        assert found["heading"].to_pylist() == [None, 90.0]
    assert compact(lake, "reads", TODAY, CompactionPolicy(2, 2), sleep=no_sleep)
    with View(lake) as view:
        found = find(view, Sighting("SAME1")).sort_by("source_id")
        assert found["heading"].to_pylist() == [None, 90.0]
    assert check_table(lake, "reads").problems == ()
    with connect(lake) as connection:
        rows = connection.sql("SELECT heading FROM reads ORDER BY source_id").fetchall()
    assert rows == [(None,), (90.0,)]


def _rewrite_without(lake: Lake, uri: str, column: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(read_rows(lake, uri).drop_columns([column]), sink, store_schema=False)
    lake.store.write(uri, sink.getvalue())


def _resized(lake: Lake, group: Any) -> Any:
    from dataclasses import replace

    (file,) = group.files
    size = next(
        item.size for item in lake.store.list(lake.config.warehouse) if item.uri == file.file.uri
    )
    return replace(group, files=(replace(file, file=replace(file.file, size=size)),))


# Texts and places.

_PLATE = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=8)


@given(_PLATE)
def test_look_alikes_are_the_plate_itself_and_differ_in_alike_characters_only(plate: str) -> None:
    if prod(sum(c in g for g in GROUPS) * 3 + 1 for c in plate) > 4_000:
        return  # may be too many: see below
    found = variants(plate)
    assert found[0] == plate
    assert len(set(found)) == len(found)
    for other in found:
        assert len(other) == len(plate)
        for a, b in zip(plate, other, strict=True):
            assert a == b or any(a in group and b in group for group in GROUPS)


def test_too_many_look_alikes_are_refused() -> None:
    with pytest.raises(BadInput, match="too-many-lookalikes"):
        variants("O" * 12)


@given(_PLATE, st.data())
def test_a_pattern_of_a_plate_matches_it(plate: str, data: st.DataObject) -> None:
    places = data.draw(
        st.lists(st.sampled_from(["keep", "?", "*"]), min_size=len(plate), max_size=len(plate))
    )
    text = "".join(c if p == "keep" else p for c, p in zip(plate, places, strict=True))
    if places.count("keep") < 3:
        with pytest.raises(BadInput, match="bad-pattern"):
            pattern(text)
    else:
        assert re.match(pattern(text).regex, plate)


@pytest.mark.parametrize("text", ["", "--", "A" * 13])
def test_no_plate_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="bad-plate"):
        exact(text)


def test_areas() -> None:
    import numpy as np

    latitude = np.array([42.0, 42.05, 43.0, np.nan])
    longitude = np.array([-71.0, -71.05, -71.0, np.nan])
    ring = [[-71.1, 41.9], [-70.9, 41.9], [-70.9, 42.02], [-71.1, 42.02], [-71.1, 41.9]]
    areas: dict[Area, list[bool]] = {
        Box(42.0, -71.02, 43.0, -70.9): [True, False, False, False],
        Circle(42.0, -71.0, 8_000): [True, True, False, False],
        Polygon.parse({"type": "Polygon", "coordinates": [ring]}): [True, False, False, False],
    }
    for area, expected in areas.items():
        assert area.contains(latitude, longitude).tolist() == expected
    assert parse_area("42,-71,43,-70") == Box(42, -71, 43, -70)
    assert parse_area("42,-71,500") == Circle(42, -71, 500)


@given(st.floats(-89, 89), st.floats(-179, 179), st.floats(1, 1_000_000), st.data())
def test_a_circle_has_what_its_radius_says(
    latitude: float, longitude: float, radius: float, data: st.DataObject
) -> None:
    """By the angle between two directions from the middle of the Earth, without any shortcut."""
    import numpy as np

    circle = Circle(latitude, longitude, radius)
    reach = radius / 111_195
    near = data.draw(st.floats(-1.5 * reach, 1.5 * reach))
    other = float(np.clip(latitude + near, -90, 90))
    wide = min(1.5 * reach / max(np.cos(np.radians(other)), 1e-3), 180)
    east = longitude + data.draw(st.floats(-wide, wide))

    def direction(north: float, east: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        a, b = np.radians(north), np.radians(east)
        return np.array([np.cos(a) * np.cos(b), np.cos(a) * np.sin(b), np.sin(a)])

    here, there = direction(latitude, longitude), direction(other, east)
    angle = np.arctan2(np.linalg.norm(np.cross(here, there)), here @ there)
    metres = 6_371_008.8 * angle
    if abs(metres - radius) > 0.01:
        assert circle.contains(np.array([other]), np.array([east]))[0] == (metres < radius)


def test_a_degree_of_latitude_is_111_kilometres() -> None:
    import numpy as np

    place = np.array([43.0]), np.array([-71.0])
    assert not Circle(42.0, -71.0, 111_100).contains(*place)[0]
    assert Circle(42.0, -71.0, 111_300).contains(*place)[0]


@pytest.mark.parametrize("text", ["", "1,2", "a,b,c", "95,0,10", "42,-71,41,-70", "42,-71,0"])
def test_no_area_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="bad-area"):
        parse_area(text)


@pytest.mark.parametrize(
    "make_query",
    [
        lambda: Where(datetime(2026, 1, 1)),  # noqa: DTZ001
        lambda: Where(DAY, DAY),
        lambda: Where(cameras=frozenset({"gate"})),
        lambda: Sighting("A", limit=0),
        lambda: Canvass(Where(area=Box(1, 1, 2, 2))),
        lambda: Common((Where(DAY, NOW, agencies=frozenset({"a"})),), 2),
        lambda: Common((Where(agencies=frozenset({"a"})),) * 2, 2),
        lambda: Together("A", Where(), timedelta(hours=1)),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(make_query: Callable[[], object]) -> None:
    with pytest.raises(BadInput):
        make_query()
