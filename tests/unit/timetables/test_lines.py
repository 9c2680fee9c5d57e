"""Reading newline-delimited JSON and gzip piece by piece."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from app.errors import Invalid
from app.timetables.lines import Line, gunzip, split_lines


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def lines(data: bytes, size: int, limit: int = 10) -> list[Line]:
    return [line async for line in split_lines(pieces(data, size), limit)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_lines_are_the_same_however_they_arrive(size: int) -> None:
    data = b"one\n\n two \r\nx23456789012\n" + b"y" * 10 + b"\n" + b"z" * 11
    assert await lines(data, size) == [
        Line(1, b"one"),
        Line(3, b"two"),
        Line(4, None),
        Line(5, b"y" * 10),
        Line(6, None),
    ]


async def test_nothing_has_no_lines() -> None:
    assert await lines(b"", 1) == []


@pytest.mark.parametrize("size", [1, 5, 100_000])
async def test_gzip_of_several_members_is_read_through(size: int) -> None:
    data = gzip.compress(b"one\n" * 1000) + gzip.compress(b"two\n")
    assert b"".join([piece async for piece in gunzip(pieces(data, size))]) == b"one\n" * 1000 + b"two\n"


async def test_a_bomb_comes_out_in_small_pieces() -> None:
    data = gzip.compress(b"\0" * 50_000_000)
    assert len(data) < 100_000
    sizes = [len(piece) async for piece in gunzip(pieces(data, len(data)))]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 256 * 1024


@pytest.mark.parametrize(
    "data",
    [b"hello", gzip.compress(b"x" * 1000)[:-5], gzip.compress(b"x") + b"rest"],
    # A gzip holds the time: as a name of the test it would be another one in each process.
    ids=["no gzip", "cut off", "more after it"],
)
async def test_what_is_no_gzip_or_was_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        async for _ in gunzip(pieces(data, 4)):
            pass
    assert caught.value.code == "invalid_gzip"


async def test_a_line_without_end_is_not_held_in_memory() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 1_000_000

    tracemalloc.start()
    try:
        found = [line async for line in split_lines(endless(), limit=2_000_000)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [Line(1, None)]
    assert peak < 10_000_000
