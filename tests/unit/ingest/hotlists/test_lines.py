"""Any bytes give lines or counted rejects, whatever blocks they come in."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alpr.errors import BadInput
from ingest.hotlists import lines as module
from ingest.hotlists.layouts import builtin
from ingest.hotlists.lines import MAX_LINE, read_lines
from ingest.hotlists.rejects import Rejects

NCIC, OWN = builtin("ncic"), builtin("platelake")


class Pieces(io.BytesIO):
    """Gives at most so many bytes a read, as a network or an archive does."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step)


def collected(data: bytes, step: int) -> tuple[list[tuple[int, str]], Rejects]:
    rejects = Rejects()
    found = []
    for block in read_lines(Pieces(data, step), NCIC, rejects):
        found += [(int(n), block.text(i)) for i, n in enumerate(block.numbers)]
        found += block.decoded
    return sorted(found), rejects


def naive(data: bytes) -> list[tuple[int, str]]:
    found = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        text = line.rstrip(b" \t\r")
        if text.strip() and b"\x00" not in text:
            try:
                found.append((number, text.decode()))
            except UnicodeDecodeError:
                found.append((number, text.decode("latin-1")))
    return found


some_bytes = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"A", b"BC", b" ", b"\t", b"\x00", b"\xe9", "é".encode()]),
    max_size=30,
).map(b"".join)


@given(some_bytes, st.integers(1, 9))
@example(b"\xef\xbb\xbfA\nB", 3)
@example(b"\n\n\n \nA\n\n \n", 1)
def test_lines_and_numbers_are_those_of_the_file(data: bytes, step: int) -> None:
    found, rejects = collected(data, step)
    assert found == naive(data)
    assert rejects.counts["nul-byte"] == sum(
        b"\x00" in line.rstrip(b" \t\r") for line in data.split(b"\n")
    )


def test_lines_that_end_with_cr_alone() -> None:
    assert collected(b"A\rB\rC", 100)[0] == [(1, "A"), (2, "B"), (3, "C")]


@pytest.mark.parametrize("step", [1000, 70_000, 1 << 20])
def test_a_line_of_ten_megabytes_is_one_reject_and_not_kept(step: int) -> None:
    data = b"A\n" + b"x" * 10_000_000 + b"\nB\n"
    found, rejects = collected(data, step)
    assert found == [(1, "A"), (3, "B")]
    assert rejects.rows == [(1, 2, "line-too-long")]


@pytest.mark.parametrize("step", [70_000, 1 << 22])
def test_ten_megabytes_of_blanks_cost_no_time_and_no_entry(step: int) -> None:
    found, rejects = collected(b"A\n" + b" " * 10_000_000 + b"\nC\n", step)
    assert found == [(1, "A"), (3, "C")]
    assert len(rejects) <= 1  # blank, or too long: nobody need know which


def test_a_line_just_too_long_is_rejected_wherever_it_lies() -> None:
    long = b"x" * (MAX_LINE + 1)
    found, rejects = collected(long + b"\nA\n" + long, 4096)
    assert found == [(2, "A")]
    assert sorted(rejects.rows) == [(1, 1, "line-too-long"), (1, 3, "line-too-long")]


def test_without_a_fallback_other_encodings_are_rejected() -> None:
    rejects = Rejects()
    blocks = list(read_lines(io.BytesIO(b"plate\nAB\xe91\nOK\n"), OWN, rejects))
    assert [number for block in blocks for number in block.numbers.tolist()] == [1, 3]
    assert rejects.rows == [(1, 2, "not-utf-8")]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named(encoding: str) -> None:
    data = "\ufeffABC".encode("utf-16-be") if encoding == "utf-16-be" else "ABC".encode(encoding)
    with pytest.raises(BadInput, match="UTF-16"):
        list(read_lines(io.BytesIO(data), NCIC, Rejects()))


def test_blocks_are_of_the_size_that_is_told() -> None:
    assert module.BLOCK_BYTES > 2 * MAX_LINE
