from pathlib import Path

import pytest

from alpr.errors import ConfigurationError
from expectations.registry import RegisteredCamera, Registry, load_registry, parse_registry

HEAD = "agency,camera,state,kind,latitude,longitude,service"


def parse(*lines: str) -> Registry:
    return parse_registry([HEAD, *lines])


def test_a_registry_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cameras.csv"
    file.write_text(
        "\ufeffstate, agency,camera,kind,latitude,longitude\n"
        "MN,northfield-pd,main-st,fixed,44.458,-93.161\n\n"
        "MN,northfield-pd,car-12,mobile,,\n",
        "utf-8",
    )
    registry = load_registry(file)
    assert registry.by_name["northfield-pd/main-st"] == RegisteredCamera(
        "northfield-pd", "main-st", "MN", "fixed", 44.458, -93.161
    )
    assert registry.by_name["northfield-pd/car-12"].latitude is None
    assert registry.out_of_service == frozenset()


def test_out_of_service() -> None:
    registry = parse("a,one,MN,fixed,44.4,-93.1,out", "a,two,MN,fixed,44.4,-93.1,in")
    assert registry.out_of_service == {"a/one"}


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "the first line must name agency, camera"),
        (["agency,camera,state,kind,latitude"], "must name longitude too"),
        ([HEAD + ",colour"], "unknown columns 'colour'"),
        ([HEAD], "without cameras"),
        ([HEAD, "a,one,MN,fixed,44.4,-93.1,in", "a,one,MN,mobile,,,in"], "twice: a/one"),
        ([HEAD, "A,one,MN,fixed,44.4,-93.1,in"], "line 2: a name of lower-case"),
        ([HEAD, "a,one,Minnesota,fixed,44.4,-93.1,in"], "postal code"),
        ([HEAD, "a,one,MN,drone,44.4,-93.1,in"], "kind must be one of fixed"),
        ([HEAD, "a,one,MN,fixed,44.4,,in"], "come together"),
        ([HEAD, "a,one,MN,fixed,north,-93.1,in"], "decimal number of degrees"),
        ([HEAD, "a,one,MN,fixed,nan,-93.1,in"], "is not in MN"),
        ([HEAD, "a,one,MN,fixed,-93.1,44.4,in"], "is not in MN"),
        ([HEAD, "a,one,MN,fixed,44.4,-93.1,off"], "service must be in or out"),
        ([HEAD, "a,one,MN,fixed,44.4"], "as many fields"),
        ([HEAD, "a,one,MN,fixed,44.4,-93.1,in,more"], "as many fields"),
        ([HEAD, 'a,"one'], "unexpected end of data"),
    ],
)
def test_what_is_wrong_is_named(lines: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse_registry(lines)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no registry of cameras"):
        load_registry(tmp_path / "none.csv")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match="not a readable text file"):
        load_registry(tmp_path / "bytes")
